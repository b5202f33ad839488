ALTER TABLE `extract` ADD `error_details` text;--> statement-breakpoint
ALTER TABLE `item` ADD `error_details` text;