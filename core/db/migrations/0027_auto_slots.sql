CREATE TABLE `slots` (
	`name` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`state` text NOT NULL
);
--> statement-breakpoint
ALTER TABLE `run` ADD `slots` integer;--> statement-breakpoint
ALTER TABLE `run` ADD `slots_why` text;--> statement-breakpoint
ALTER TABLE `run` ADD `looked_at` integer;