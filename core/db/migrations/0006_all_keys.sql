ALTER TABLE `run` ADD `all_keys` integer DEFAULT false NOT NULL;--> statement-breakpoint
UPDATE `run` SET `all_keys` = 1 WHERE `principal_role` = 'admin' AND `state` = 'planning';--> statement-breakpoint
UPDATE `key` SET `scopes` = json_insert(`scopes`, '$[#]', 'admin:all_keys') WHERE `role` = 'admin' AND (SELECT count(DISTINCT value) FROM json_each(`scopes`) WHERE value IN ('extract:run', 'debug:run', 'debug:read_raw', 'runs:delete', 'admin:pod')) = 5;
