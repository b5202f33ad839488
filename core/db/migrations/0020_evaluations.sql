CREATE TABLE `evaluation` (
	`eval_id` text PRIMARY KEY NOT NULL,
	`key_id` text NOT NULL,
	`run_uid` text NOT NULL,
	`run_id` text NOT NULL,
	`task_id` text NOT NULL,
	`labels` text NOT NULL,
	`gt_name` text,
	`gt_sha256` text,
	`str_mode` text NOT NULL,
	`state` text NOT NULL,
	`progress` text NOT NULL,
	`token` integer DEFAULT 0 NOT NULL,
	`lease_until` integer NOT NULL,
	`version` text,
	`summary` text,
	`artifact_rel` text,
	`error_code` text,
	`error_message` text,
	`error_details` text,
	`created_at` integer NOT NULL,
	`finished_at` integer
);
--> statement-breakpoint
CREATE INDEX `evaluation_list` ON `evaluation` (`created_at`,`eval_id`);--> statement-breakpoint
CREATE INDEX `evaluation_list_key` ON `evaluation` (`key_id`,`created_at`,`eval_id`);--> statement-breakpoint
CREATE INDEX `evaluation_run` ON `evaluation` (`run_uid`,`created_at`,`eval_id`);--> statement-breakpoint
CREATE INDEX `evaluation_running` ON `evaluation` (`lease_until`) WHERE state = 'running';