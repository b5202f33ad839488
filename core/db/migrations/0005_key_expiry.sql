ALTER TABLE `key` ADD `lifetime_ms` integer;--> statement-breakpoint
ALTER TABLE `key` ADD `ends_at` integer;--> statement-breakpoint
UPDATE `key` SET `ends_at` = (SELECT `expires_at` FROM `key_secret` WHERE `key_secret`.`key_id` = `key`.`key_id` ORDER BY `created_at` DESC, rowid DESC LIMIT 1);
