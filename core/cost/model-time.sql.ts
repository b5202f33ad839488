import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

const ms = () => integer("ms").notNull().default(0);

/**
 * Model time by pod session: whose part of the session's dollars is how large (allocation.ts). Written in the batch that
 * counts the usage, only where a pod is managed.
 */
export const modelTimeTable = sqliteTable(
  "model_time",
  {
    sessionId: text("session_id").notNull(),
    /** Empty for keys that were removed. */
    keyId: text("key_id").notNull(),
    /** `2026-11-23`, in UTC. */
    day: text("day").notNull(),
    taskId: text("task_id").notNull(),
    ms: ms(),
  },
  (table) => [
    primaryKey({ columns: [table.sessionId, table.keyId, table.day, table.taskId] }),
    index("model_time_day").on(table.day),
    index("model_time_key").on(table.keyId, table.day),
  ],
);

/** The part of a run. It is in `model_time`, too: a sum over days must not read a row for each run. */
export const runModelTimeTable = sqliteTable(
  "run_model_time",
  { runUid: text("run_uid").notNull(), sessionId: text("session_id").notNull(), ms: ms() },
  (table) => [primaryKey({ columns: [table.runUid, table.sessionId] })],
);
