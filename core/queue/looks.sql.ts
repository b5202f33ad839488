import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** What was seen of a queue, one row each, only written while something waits for a message. */
export const queueLookTable = sqliteTable("queue_look", {
  name: text("name").primaryKey(),
  lookedAt: integer("looked_at", { mode: "timestamp_ms" }).notNull(),
  /** Looks in a row that found nothing in it, whatever its messages' state. */
  emptyLooks: integer("empty_looks").notNull().default(0),
  /** When the first of them was. */
  emptySince: integer("empty_since", { mode: "timestamp_ms" }),
});
