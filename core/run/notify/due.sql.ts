import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

const time = (name: string) => integer(name, { mode: "timestamp_ms" });

/** Ended runs whose receiver is still to be told: one row each, gone when it was, or when it is given up. */
export const webhookDueTable = sqliteTable(
  "webhook_due",
  {
    runUid: text("run_uid").primaryKey(),
    keyId: text("key_id").notNull(),
    /** The key and the host of the address, as in `webhook_host`: for what is known of receivers that do not answer. */
    host: text("host").notNull(),
    /** The next attempt, from 1. */
    attempt: integer("attempt").notNull(),
    dueAt: time("due_at").notNull(),
    /** Until when a message for it is believed to be under way; null: none is. */
    sentUntil: time("sent_until"),
    createdAt: time("created_at").notNull(),
  },
  (table) => [
    index("webhook_due_key").on(table.keyId, table.dueAt),
    // Few rows: what is under way.
    index("webhook_due_sent").on(table.keyId, table.sentUntil).where(sql`sent_until IS NOT NULL`),
  ],
);

/** Hosts that did not answer a key's last calls; no row: nothing is known against it. */
export const webhookHostTable = sqliteTable("webhook_host", {
  /** `<key id> <host>` (due.ts). */
  host: text("host").primaryKey(),
  /** Unanswered calls in a row. */
  failures: integer("failures").notNull(),
  /** It is not called before. */
  retryAt: time("retry_at").notNull(),
});
