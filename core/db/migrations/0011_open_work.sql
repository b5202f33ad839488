DROP INDEX `extract_status`;--> statement-breakpoint
CREATE INDEX `extract_running` ON `extract` (`lease_until`) WHERE status = 'running';--> statement-breakpoint
CREATE INDEX `extract_queued` ON `extract` (`waiting_for`,`sent_at`,`lease_until`) WHERE status = 'queued';--> statement-breakpoint
CREATE INDEX `extract_suspect` ON `extract` (`suspects`) WHERE status = 'queued' AND suspects > 0;--> statement-breakpoint
CREATE INDEX `extract_without_input` ON `extract` (`lease_until`) WHERE status = 'queued' AND input IS NULL;--> statement-breakpoint
CREATE INDEX `extract_deleting` ON `extract` (`ended_at`) WHERE status = 'deleting';--> statement-breakpoint
CREATE INDEX `extract_pending` ON `extract` (`status`) WHERE pending_artifact IS NOT NULL;--> statement-breakpoint
CREATE INDEX `extract_input` ON `extract` (`ended_at`) WHERE input IS NOT NULL;--> statement-breakpoint
CREATE INDEX `extract_input_object` ON `extract` ((input ->> '$.objectKey')) WHERE input IS NOT NULL;--> statement-breakpoint
DROP INDEX `run_key_created`;--> statement-breakpoint
DROP INDEX `run_open`;--> statement-breakpoint
CREATE INDEX `run_waiting` ON `run` (`touched_at`) WHERE state = 'running' AND waiting_for = 'model_server';--> statement-breakpoint
CREATE INDEX `run_untold` ON `run` (`finished_at`) WHERE webhook_url IS NOT NULL AND webhook IS NULL;--> statement-breakpoint
CREATE INDEX `run_source` ON `run` (`key_id`,`source_run_id`) WHERE source_run_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX `run_list` ON `run` (`created_at`,`run_uid`) WHERE state <> 'deleted';--> statement-breakpoint
CREATE INDEX `run_list_task` ON `run` (`task_id`,`created_at`,`run_uid`) WHERE state <> 'deleted';--> statement-breakpoint
CREATE INDEX `run_list_state` ON `run` (`state`,`created_at`,`run_uid`);--> statement-breakpoint
CREATE INDEX `run_list_task_state` ON `run` (`task_id`,`state`,`created_at`,`run_uid`);--> statement-breakpoint
CREATE INDEX `run_list_key` ON `run` (`key_id`,`created_at`,`run_uid`) WHERE state <> 'deleted';--> statement-breakpoint
CREATE INDEX `run_list_key_task` ON `run` (`key_id`,`task_id`,`created_at`,`run_uid`) WHERE state <> 'deleted';--> statement-breakpoint
CREATE INDEX `run_list_key_state` ON `run` (`key_id`,`state`,`created_at`,`run_uid`);--> statement-breakpoint
CREATE INDEX `run_list_key_task_state` ON `run` (`key_id`,`task_id`,`state`,`created_at`,`run_uid`);--> statement-breakpoint
CREATE INDEX `run_open` ON `run` (`touched_at`) WHERE state IN ('planning', 'running', 'canceling', 'finishing', 'deleting');--> statement-breakpoint
CREATE INDEX `request_count_minute` ON `request_count` (`minute`);