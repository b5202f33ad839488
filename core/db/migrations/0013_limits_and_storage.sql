CREATE TABLE `storage` (
	`key_id` text PRIMARY KEY NOT NULL,
	`bytes` integer DEFAULT 0 NOT NULL,
	`objects` integer DEFAULT 0 NOT NULL,
	`measured_at` integer,
	`recent_bytes` integer DEFAULT 0 NOT NULL,
	`recent_objects` integer DEFAULT 0 NOT NULL,
	`next_bytes` integer DEFAULT 0 NOT NULL,
	`next_objects` integer DEFAULT 0 NOT NULL,
	`pass_bytes` integer DEFAULT 0 NOT NULL,
	`pass_objects` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
ALTER TABLE `key` ADD `max_in_flight` integer;--> statement-breakpoint
ALTER TABLE `key` ADD `max_stored_bytes` integer;--> statement-breakpoint
ALTER TABLE `key` ADD `max_stored_objects` integer;