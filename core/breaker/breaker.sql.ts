import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** One row a dependency; `openedAt` null means closed. Shared by every instance. */
export const breakerTable = sqliteTable("breaker", {
  name: text("name").primaryKey(),
  openedAt: integer("opened_at", { mode: "timestamp_ms" }),
  /** From when on a caller may probe whether it is back. */
  retryAt: integer("retry_at", { mode: "timestamp_ms" }),
  /** Until when the right to probe is taken. */
  probeUntil: integer("probe_until", { mode: "timestamp_ms" }),
  /** One probe message at a time in the `later` queue: until when the present one is believed to be alive. */
  messageUntil: integer("message_until", { mode: "timestamp_ms" }),
  /** Which chain of messages it belongs to: one that was given up and comes up after all does not go on. */
  messageChain: text("message_chain"),
});
