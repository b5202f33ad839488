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
