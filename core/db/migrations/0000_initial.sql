CREATE TABLE `breaker` (
	`name` text PRIMARY KEY NOT NULL,
	`opened_at` integer,
	`retry_at` integer,
	`probe_until` integer,
	`message_until` integer
);
--> statement-breakpoint
CREATE TABLE `setting` (
	`name` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `extract` (
	`key_id` text NOT NULL,
	`request_id` text NOT NULL,
	`task_id` text NOT NULL,
	`payload_hash` text NOT NULL,
	`status` text NOT NULL,
	`created_at` integer NOT NULL,
	`ended_at` integer,
	`token` integer NOT NULL,
	`lease_until` integer NOT NULL,
	`artifact_rel` text,
	`schema_ok` integer,
	`error_code` text,
	`error_message` text,
	`pending_artifact` text,
	`input` text,
	`handed_over_at` integer,
	`sent_at` integer,
	`not_before` integer,
	`waiting_for` text,
	`attempts` integer DEFAULT 0 NOT NULL,
	`claims` integer DEFAULT 0 NOT NULL,
	`suspects` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`key_id`, `request_id`)
);
--> statement-breakpoint
CREATE INDEX `extract_status` ON `extract` (`status`,`lease_until`);--> statement-breakpoint
CREATE INDEX `extract_handed_over` ON `extract` (`handed_over_at`);--> statement-breakpoint
CREATE TABLE `idempotency` (
	`key_id` text NOT NULL,
	`idempotency_key` text NOT NULL,
	`resource_id` text NOT NULL,
	`payload_hash` text NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`key_id`, `idempotency_key`)
);
--> statement-breakpoint
CREATE INDEX `idempotency_expires_at` ON `idempotency` (`expires_at`);--> statement-breakpoint
CREATE TABLE `key_secret` (
	`hash` text PRIMARY KEY NOT NULL,
	`key_id` text NOT NULL,
	`start` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	FOREIGN KEY (`key_id`) REFERENCES `key`(`key_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `key_secret_key_id` ON `key_secret` (`key_id`);--> statement-breakpoint
CREATE TABLE `key` (
	`key_id` text PRIMARY KEY NOT NULL,
	`role` text NOT NULL,
	`scopes` text NOT NULL,
	`created_at` integer NOT NULL,
	`revoked_at` integer,
	`last_used_at` integer
);
