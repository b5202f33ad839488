DROP INDEX `extract_handed_over`;--> statement-breakpoint
CREATE INDEX `extract_in_line` ON `extract` (`key_id`,`not_before`) WHERE status = 'queued' AND waiting_for IS NULL AND input IS NOT NULL;--> statement-breakpoint
CREATE INDEX `extract_in_flight` ON `extract` (`key_id`,`lease_until`) WHERE status = 'running' AND input IS NOT NULL;--> statement-breakpoint
CREATE INDEX `extract_handed_over` ON `extract` (`key_id`,`handed_over_at`) WHERE handed_over_at IS NOT NULL;