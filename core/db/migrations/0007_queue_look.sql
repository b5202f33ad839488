CREATE TABLE `queue_look` (
	`name` text PRIMARY KEY NOT NULL,
	`looked_at` integer NOT NULL,
	`empty_looks` integer DEFAULT 0 NOT NULL,
	`empty_since` integer
);
--> statement-breakpoint
ALTER TABLE `breaker` ADD `message_chain` text;