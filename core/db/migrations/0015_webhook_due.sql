CREATE TABLE `webhook_due` (
	`run_uid` text PRIMARY KEY NOT NULL,
	`key_id` text NOT NULL,
	`host` text NOT NULL,
	`attempt` integer NOT NULL,
	`due_at` integer NOT NULL,
	`sent_until` integer,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `webhook_due_key` ON `webhook_due` (`key_id`,`due_at`);--> statement-breakpoint
CREATE INDEX `webhook_due_sent` ON `webhook_due` (`key_id`,`sent_until`) WHERE sent_until IS NOT NULL;--> statement-breakpoint
CREATE TABLE `webhook_host` (
	`host` text PRIMARY KEY NOT NULL,
	`failures` integer NOT NULL,
	`retry_at` integer NOT NULL
);
