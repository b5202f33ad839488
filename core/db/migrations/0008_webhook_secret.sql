ALTER TABLE `key` ADD `webhook_version` integer;--> statement-breakpoint
ALTER TABLE `key` ADD `webhook_overlap_until` integer;