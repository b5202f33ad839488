import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** What was labelled, and where its records lie. Nothing of a row changes: other labels are another ground truth. */
export const groundTruthTable = sqliteTable(
  "ground_truth",
  {
    /** Random, so that it cannot be guessed. */
    gtId: text("gt_id").primaryKey(),
    keyId: text("key_id").notNull(),
    /** The caller's name; ground truths of one name are versions of it. */
    name: text("name").notNull(),
    /** Of the records as they are stored: the version that evaluations name. */
    sha256: text("sha256").notNull(),
    records: integer("records").notNull(),
    bytes: integer("bytes").notNull(),
    /** Which member of a record names its picture. */
    imageKey: text("image_key").notNull(),
    objectKey: text("object_key").notNull(),
    /** The run whose answers it was drafted from; null for labels that people gave. */
    fromRunId: text("from_run_id"),
    createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
  },
  (table) => [
    index("ground_truth_list").on(table.createdAt, table.gtId),
    index("ground_truth_list_key").on(table.keyId, table.createdAt, table.gtId),
    index("ground_truth_name").on(table.keyId, table.name, table.createdAt, table.gtId),
  ],
);

export type Row = typeof groundTruthTable.$inferSelect;
