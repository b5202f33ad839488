ALTER TABLE `run` ADD `look_again_at` integer;--> statement-breakpoint
CREATE INDEX `run_look_again` ON `run` (`look_again_at`) WHERE look_again_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX `extract_look_again` ON `extract` (`not_before`) WHERE status = 'deleted' AND not_before IS NOT NULL;--> statement-breakpoint
CREATE INDEX `item_data_open` ON `item` (`object_key`) WHERE source_kind = 'data' AND status IN ('queued', 'running');