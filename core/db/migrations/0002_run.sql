CREATE TABLE `item` (
	`run_uid` text NOT NULL,
	`idx` integer NOT NULL,
	`custom_id` text,
	`file` text,
	`source_kind` text NOT NULL,
	`object_key` text,
	`etag` text,
	`url` text,
	`declared_mime_type` text,
	`kept` integer DEFAULT false NOT NULL,
	`status` text NOT NULL,
	`sent_epoch` integer DEFAULT 0 NOT NULL,
	`send_seq` integer DEFAULT 0 NOT NULL,
	`slot` integer,
	`token` integer DEFAULT 0 NOT NULL,
	`lease_until` integer,
	`not_before` integer,
	`attempts` integer DEFAULT 0 NOT NULL,
	`claims` integer DEFAULT 0 NOT NULL,
	`suspects` integer DEFAULT 0 NOT NULL,
	`buried` integer DEFAULT 0 NOT NULL,
	`pending_artifact` text,
	`artifact_rel` text,
	`result` text,
	`schema_ok` integer,
	`error_code` text,
	`error_message` text,
	`prompt_tokens` integer DEFAULT 0 NOT NULL,
	`completion_tokens` integer DEFAULT 0 NOT NULL,
	`model_calls` integer DEFAULT 0 NOT NULL,
	`total_ms` integer DEFAULT 0 NOT NULL,
	`image_ms` integer DEFAULT 0 NOT NULL,
	`inference_ms` integer DEFAULT 0 NOT NULL,
	`validate_ms` integer DEFAULT 0 NOT NULL,
	`ended_at` integer,
	PRIMARY KEY(`run_uid`, `idx`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `item_custom_id` ON `item` (`run_uid`,`custom_id`);--> statement-breakpoint
CREATE UNIQUE INDEX `item_file` ON `item` (`run_uid`,`file`);--> statement-breakpoint
CREATE INDEX `item_window` ON `item` (`run_uid`,`status`,`sent_epoch`,`idx`);--> statement-breakpoint
CREATE INDEX `item_lease` ON `item` (`lease_until`) WHERE status = 'running';--> statement-breakpoint
CREATE INDEX `item_lone` ON `item` (`run_uid`) WHERE suspects >= 2;--> statement-breakpoint
CREATE INDEX `item_object_key` ON `item` (`object_key`) WHERE source_kind = 'upload';--> statement-breakpoint
CREATE TABLE `run` (
	`run_uid` text PRIMARY KEY NOT NULL,
	`key_id` text NOT NULL,
	`run_id` text NOT NULL,
	`task_id` text NOT NULL,
	`payload_hash` text NOT NULL,
	`principal_role` text NOT NULL,
	`state` text NOT NULL,
	`epoch` integer NOT NULL,
	`plan_n` integer DEFAULT 0 NOT NULL,
	`concurrency` integer NOT NULL,
	`source` text NOT NULL,
	`source_run_id` text,
	`persist_inputs` integer NOT NULL,
	`webhook_url` text,
	`webhook` text,
	`waiting_for` text,
	`total` integer DEFAULT 0 NOT NULL,
	`succeeded` integer DEFAULT 0 NOT NULL,
	`failed` integer DEFAULT 0 NOT NULL,
	`canceled` integer DEFAULT 0 NOT NULL,
	`schema_ok` integer DEFAULT 0 NOT NULL,
	`schema_failed` integer DEFAULT 0 NOT NULL,
	`prompt_tokens` integer DEFAULT 0 NOT NULL,
	`completion_tokens` integer DEFAULT 0 NOT NULL,
	`model_calls` integer DEFAULT 0 NOT NULL,
	`model_ms` integer DEFAULT 0 NOT NULL,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`finished_at` integer,
	`touched_at` integer NOT NULL,
	`planning` text,
	`finishing` text,
	`error_code` text,
	`error_message` text,
	`error_details` text,
	`artifact_rel` text
);
--> statement-breakpoint
CREATE UNIQUE INDEX `run_id` ON `run` (`key_id`,`run_id`);--> statement-breakpoint
CREATE INDEX `run_key_created` ON `run` (`key_id`,`created_at`);--> statement-breakpoint
CREATE INDEX `run_open` ON `run` (`state`,`touched_at`);--> statement-breakpoint
CREATE TABLE `request_count` (
	`key_id` text NOT NULL,
	`minute` integer NOT NULL,
	`count` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`key_id`, `minute`)
);
--> statement-breakpoint
CREATE TABLE `usage` (
	`key_id` text NOT NULL,
	`day` text NOT NULL,
	`task_id` text NOT NULL,
	`items` integer DEFAULT 0 NOT NULL,
	`prompt_tokens` integer DEFAULT 0 NOT NULL,
	`completion_tokens` integer DEFAULT 0 NOT NULL,
	`model_calls` integer DEFAULT 0 NOT NULL,
	`model_ms` integer DEFAULT 0 NOT NULL,
	`image_bytes` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`key_id`, `day`, `task_id`)
);
--> statement-breakpoint
CREATE INDEX `usage_day` ON `usage` (`day`);--> statement-breakpoint
ALTER TABLE `key` ADD `requests_per_minute` integer;--> statement-breakpoint
ALTER TABLE `key` ADD `items_per_day` integer;--> statement-breakpoint
ALTER TABLE `key` ADD `model_seconds_per_day` integer;--> statement-breakpoint
ALTER TABLE `key` ADD `max_run_items` integer;