ALTER TABLE `extract` ADD `calls_counted` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `item` ADD `calls_counted` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `item` ADD `pages_read` integer;--> statement-breakpoint
ALTER TABLE `run` ADD `max_pages` integer;--> statement-breakpoint
ALTER TABLE `run` ADD `pages` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `run` ADD `types` text;--> statement-breakpoint
ALTER TABLE `usage` ADD `pages` integer DEFAULT 0 NOT NULL;