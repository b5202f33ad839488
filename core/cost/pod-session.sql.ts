import { sql } from "drizzle-orm";
import { index, integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";

const time = (name: string) => integer(name, { mode: "timestamp_ms" });

/**
 * A span of time that the provider is paid for, from the order to start until the pod was seen down. What a receipt cost
 * is computed from it.
 */
export const podSessionTable = sqliteTable(
  "pod_session",
  {
    id: text("id").primaryKey(),
    provider: text("provider").notNull(),
    podId: text("pod_id").notNull(),
    startedAt: time("started_at").notNull(),
    /** When its model server first answered; null: it never did. */
    readyAt: time("ready_at"),
    /** Null while it is up. */
    endedAt: time("ended_at"),
    /** USD an hour; null: the provider did not say. */
    ratePerHour: real("rate_per_hour"),
    /** How long work was seen under way in it, in milliseconds. */
    busyMs: integer("busy_ms").notNull().default(0),
    /** Why it ended, in snake_case. */
    endedBy: text("ended_by"),
  },
  (table) => [
    index("pod_session_time").on(table.startedAt),
    index("pod_session_ended").on(table.endedAt),
    index("pod_session_open").on(table.startedAt).where(sql`ended_at IS NULL`),
  ],
);

export type PodSessionRow = typeof podSessionTable.$inferSelect;
