import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

const time = (name: string) => integer(name, { mode: "timestamp_ms" });

/**
 * Ended runs whose webhook is still to be sent, one row each. The row is removed after the delivery or the last
 * attempt.
 */
export const webhookDueTable = sqliteTable(
  "webhook_due",
  {
    runUid: text("run_uid").primaryKey(),
    keyId: text("key_id").notNull(),
    /** The key and the host of the address, as in `webhook_host`, to find hosts that do not answer. */
    host: text("host").notNull(),
    /** The next attempt, from 1. */
    attempt: integer("attempt").notNull(),
    dueAt: time("due_at").notNull(),
    /** Until when a message for it counts as under way; null if there is none. */
    sentUntil: time("sent_until"),
    createdAt: time("created_at").notNull(),
  },
  (table) => [
    index("webhook_due_key").on(table.keyId, table.dueAt),
    // Few rows: those that are under way.
    index("webhook_due_sent").on(table.keyId, table.sentUntil).where(sql`sent_until IS NOT NULL`),
  ],
);

/** Hosts that did not answer a key's last calls. Without a row a host counts as answering. */
export const webhookHostTable = sqliteTable("webhook_host", {
  /** `<key id> <host>` (due.ts). */
  host: text("host").primaryKey(),
  /** Unanswered calls in a row. */
  failures: integer("failures").notNull(),
  /** The host is not called before this time. */
  retryAt: time("retry_at").notNull(),
});
