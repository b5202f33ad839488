import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

const count = (name: string) => integer(name).notNull().default(0);

/** What a key used on a day (UTC) with a task. Written in the same batches as the work itself. */
export const usageTable = sqliteTable(
  "usage",
  {
    keyId: text("key_id").notNull(),
    /** `2026-11-23` */
    day: text("day").notNull(),
    taskId: text("task_id").notNull(),
    /** Pictures accepted: a run's are counted when it is accepted, all at once. */
    items: count("items"),
    promptTokens: count("prompt_tokens"),
    completionTokens: count("completion_tokens"),
    modelCalls: count("model_calls"),
    modelMs: count("model_ms"),
    imageBytes: count("image_bytes"),
  },
  (table) => [
    primaryKey({ columns: [table.keyId, table.day, table.taskId] }),
    index("usage_day").on(table.day),
  ],
);

/**
 * What of a key lies in the bucket, as the last census found it (core/census/census.ts), and what was announced to be put
 * there since that one began. The key id `shared` stands for no key.
 */
export const storageTable = sqliteTable("storage", {
  keyId: text("key_id").primaryKey(),
  bytes: count("bytes"),
  objects: count("objects"),
  measuredAt: integer("measured_at", { mode: "timestamp_ms" }),
  recentBytes: count("recent_bytes"),
  recentObjects: count("recent_objects"),
  /** The same since the census in progress began, and what that has found so far. */
  nextBytes: count("next_bytes"),
  nextObjects: count("next_objects"),
  passBytes: count("pass_bytes"),
  passObjects: count("pass_objects"),
});

/** Calls of a key within a minute; only of keys that have a limit. */
export const requestCountTable = sqliteTable(
  "request_count",
  {
    keyId: text("key_id").notNull(),
    /** Minutes since 1970. */
    minute: integer("minute").notNull(),
    count: count("count"),
  },
  (table) => [
    primaryKey({ columns: [table.keyId, table.minute] }),
    index("request_count_minute").on(table.minute),
  ],
);
