ALTER TABLE `item` ADD `split` text;--> statement-breakpoint
ALTER TABLE `run` ADD `split` text;--> statement-breakpoint
ALTER TABLE `run` ADD `documents` integer DEFAULT 0 NOT NULL;