CREATE TABLE `model_time` (
	`session_id` text NOT NULL,
	`key_id` text NOT NULL,
	`day` text NOT NULL,
	`task_id` text NOT NULL,
	`ms` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`session_id`, `key_id`, `day`, `task_id`)
);
--> statement-breakpoint
CREATE INDEX `model_time_day` ON `model_time` (`day`);--> statement-breakpoint
CREATE INDEX `model_time_key` ON `model_time` (`key_id`,`day`);--> statement-breakpoint
CREATE TABLE `run_model_time` (
	`run_uid` text NOT NULL,
	`session_id` text NOT NULL,
	`ms` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`run_uid`, `session_id`)
);
