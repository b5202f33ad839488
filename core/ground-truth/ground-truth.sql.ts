import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/**
 * A ground truth's row: who labeled what, and where the records are stored. A row never changes: other labels are
 * another ground truth.
 */
export const groundTruthTable = sqliteTable(
  "ground_truth",
  {
    /** Random, so that it cannot be guessed. */
    gtId: text("gt_id").primaryKey(),
    keyId: text("key_id").notNull(),
    /** The caller's name; ground truths of one name are versions of it. */
    name: text("name").notNull(),
    /** sha256 of the records as stored. It identifies the version in evaluations. */
    sha256: text("sha256").notNull(),
    records: integer("records").notNull(),
    bytes: integer("bytes").notNull(),
    /** The member of a record that names its picture. */
    imageKey: text("image_key").notNull(),
    objectKey: text("object_key").notNull(),
    /** The run from whose answers it was drafted; null for labels made by people. */
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
