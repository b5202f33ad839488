ALTER TABLE `key` ADD `retention_days` integer;--> statement-breakpoint
ALTER TABLE `run` ADD `expires_after_s` integer;--> statement-breakpoint
CREATE INDEX `run_expires` ON `run` ((finished_at + expires_after_s * 1000)) WHERE expires_after_s IS NOT NULL AND finished_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX `extract_deleted` ON `extract` (`key_id`,`created_at`) WHERE status = 'deleted';