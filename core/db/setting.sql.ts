import { sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Facts about the installation itself, such as the check value of the pepper. */
export const settingTable = sqliteTable("setting", {
  name: text("name").primaryKey(),
  value: text("value").notNull(),
});
