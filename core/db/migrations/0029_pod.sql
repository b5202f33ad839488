CREATE TABLE `pod_session` (
	`id` text PRIMARY KEY NOT NULL,
	`provider` text NOT NULL,
	`pod_id` text NOT NULL,
	`started_at` integer NOT NULL,
	`ready_at` integer,
	`ended_at` integer,
	`rate_per_hour` real,
	`busy_ms` integer DEFAULT 0 NOT NULL,
	`ended_by` text
);
--> statement-breakpoint
CREATE INDEX `pod_session_time` ON `pod_session` (`started_at`);--> statement-breakpoint
CREATE INDEX `pod_session_open` ON `pod_session` (`started_at`) WHERE ended_at IS NULL;--> statement-breakpoint
CREATE TABLE `pod` (
	`name` text PRIMARY KEY NOT NULL,
	`state` text DEFAULT 'stopped' NOT NULL,
	`since` integer NOT NULL,
	`pod_id` text,
	`chosen_id` text,
	`wanted` text DEFAULT 'auto' NOT NULL,
	`start_asked_at` integer,
	`address` text,
	`rate_per_hour` real,
	`session_id` text,
	`ordered_at` integer,
	`idle_since` integer,
	`calls_seen` integer DEFAULT 0 NOT NULL,
	`failures` integer DEFAULT 0 NOT NULL,
	`refusals` integer DEFAULT 0 NOT NULL,
	`retry_at` integer,
	`away_since` integer,
	`reason` text,
	`looked_at` integer,
	`holder` text,
	`stamp` text,
	`lease_until` integer
);
--> statement-breakpoint
ALTER TABLE `breaker` ADD `address` text;--> statement-breakpoint
ALTER TABLE `breaker` ADD `hold` text;