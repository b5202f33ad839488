import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** The state of a queue at recent checks, one row each. Written only while work waits for a message. */
export const queueLookTable = sqliteTable("queue_look", {
  name: text("name").primaryKey(),
  lookedAt: integer("looked_at", { mode: "timestamp_ms" }).notNull(),
  /** Consecutive checks that found the queue empty, including messages in flight. */
  emptyLooks: integer("empty_looks").notNull().default(0),
  /** When the first of these checks was. */
  emptySince: integer("empty_since", { mode: "timestamp_ms" }),
});
