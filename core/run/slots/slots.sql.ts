import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { State } from "./controller.ts";

/** What was learned about the model server's knee: one row for all runs on auto. */
export const slotsTable = sqliteTable("slots", {
  name: text("name").primaryKey(),
  /** Grows with every change; a planner that has read an older one changes nothing. */
  version: integer("version").notNull(),
  state: text("state", { mode: "json" }).$type<State>().notNull(),
});
