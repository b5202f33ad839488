ALTER TABLE `item` ADD `warnings` text;--> statement-breakpoint
ALTER TABLE `run` ADD `skipped` text;--> statement-breakpoint
ALTER TABLE `run` ADD `warned` integer DEFAULT 0 NOT NULL;