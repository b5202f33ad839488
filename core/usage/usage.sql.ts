import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

const count = (name: string) => integer(name).notNull().default(0);

/** A key's usage on a UTC day with a task. Written in the same batches as the work itself. */
export const usageTable = sqliteTable(
  "usage",
  {
    keyId: text("key_id").notNull(),
    /** `2026-11-23` */
    day: text("day").notNull(),
    taskId: text("task_id").notNull(),
    /** Accepted pictures; those of a run are counted together when it is accepted. */
    items: count("items"),
    /** Pages that the model read; a picture has one. */
    pages: count("pages"),
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
 * What a key stores in the bucket: the result of the last census (core/census/census.ts), and the announcements since
 * it began. The key id `shared` stands for objects without a key.
 */
export const storageTable = sqliteTable("storage", {
  keyId: text("key_id").primaryKey(),
  bytes: count("bytes"),
  objects: count("objects"),
  measuredAt: integer("measured_at", { mode: "timestamp_ms" }),
  recentBytes: count("recent_bytes"),
  recentObjects: count("recent_objects"),
  /** Announcements since the current census began, and its counts so far. */
  nextBytes: count("next_bytes"),
  nextObjects: count("next_objects"),
  passBytes: count("pass_bytes"),
  passObjects: count("pass_objects"),
});

/** Calls of a key per minute; only for keys with a limit. */
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
