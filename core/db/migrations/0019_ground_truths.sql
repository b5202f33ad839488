CREATE TABLE `ground_truth` (
	`gt_id` text PRIMARY KEY NOT NULL,
	`key_id` text NOT NULL,
	`name` text NOT NULL,
	`sha256` text NOT NULL,
	`records` integer NOT NULL,
	`bytes` integer NOT NULL,
	`image_key` text NOT NULL,
	`object_key` text NOT NULL,
	`from_run_id` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `ground_truth_list` ON `ground_truth` (`created_at`,`gt_id`);--> statement-breakpoint
CREATE INDEX `ground_truth_list_key` ON `ground_truth` (`key_id`,`created_at`,`gt_id`);--> statement-breakpoint
CREATE INDEX `ground_truth_name` ON `ground_truth` (`key_id`,`name`,`created_at`,`gt_id`);--> statement-breakpoint
ALTER TABLE `run` ADD `evaluate_by` text;