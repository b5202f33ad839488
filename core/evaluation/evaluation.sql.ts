import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Details } from "#core/error";
import type { StrMode } from "#core/evaluation/compare/equal";
import type { Figures } from "./schema.ts";

const states = ["running", "succeeded", "failed"] as const;

/** By which labels: of a ground truth, or of a file under the data root as it was (core/run/evaluate-by.ts). */
export type Labels =
  | { gt_id: string; image_key: string }
  | { object_key: string; etag: string; image_key: string };

/** How far the steps came. What they wrote lies in the bucket. */
interface Progress {
  /** The index of the first item that is not counted yet. */
  next: number;
  /** Items of the run. */
  total: number;
  /** Objects with a line per document, in order. */
  parts: string[];
  /** The object that holds the counters; null before the first part. */
  carry: string | null;
}

/** A run held to labels. Nothing of an evaluation that has ended changes. */
export const evaluationTable = sqliteTable(
  "evaluation",
  {
    evalId: text("eval_id").primaryKey(),
    keyId: text("key_id").notNull(),
    runUid: text("run_uid").notNull(),
    runId: text("run_id").notNull(),
    taskId: text("task_id").notNull(),
    labels: text("labels", { mode: "json" }).$type<Labels>().notNull(),
    /** Of the ground truth, as it was when the evaluation was ordered; null of a file under the data root. */
    gtName: text("gt_name"),
    gtSha256: text("gt_sha256"),
    strMode: text("str_mode").$type<StrMode>().notNull(),
    state: text("state", { enum: states }).notNull(),
    progress: text("progress", { mode: "json" }).$type<Progress>().notNull(),
    /** Fencing token: raised by every worker that takes the evaluation. */
    token: integer("token").notNull().default(0),
    /** Until when a worker may be at it; while none is, when its message counts as lost. */
    leaseUntil: integer("lease_until", { mode: "timestamp_ms" }).notNull(),
    /** The version of the code whose rules it was made by. */
    version: text("version"),
    /** As in the artifact, for lists and runs. */
    summary: text("summary", { mode: "json" }).$type<Figures["summary"]>(),
    artifactRel: text("artifact_rel"),
    errorCode: text("error_code"),
    errorMessage: text("error_message"),
    errorDetails: text("error_details", { mode: "json" }).$type<Details>(),
    createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
    finishedAt: integer("finished_at", { mode: "timestamp_ms" }),
  },
  (table) => [
    index("evaluation_list").on(table.createdAt, table.evalId),
    index("evaluation_list_key").on(table.keyId, table.createdAt, table.evalId),
    index("evaluation_run").on(table.runUid, table.createdAt, table.evalId),
    index("evaluation_running").on(table.leaseUntil).where(sql`state = 'running'`),
  ],
);

export type Row = typeof evaluationTable.$inferSelect;
