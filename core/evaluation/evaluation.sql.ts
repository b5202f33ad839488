import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Details } from "#core/error";
import type { StrMode } from "#core/evaluation/compare/equal";
import type { Figures } from "./schema.ts";

const states = ["running", "succeeded", "failed"] as const;

/**
 * The labels: a ground truth, or a version of a file under the data root (core/run/evaluate-by.ts). A draft that nobody has
 * corrected names the run that it was made from.
 */
export type Labels =
  | { gt_id: string; image_key: string; from_run_id?: string }
  | { object_key: string; etag: string; image_key: string };

/** Progress of the steps. Their output is in the bucket. */
interface Progress {
  /** The index of the first item that has not been counted. */
  next: number;
  /** Items of the part in work that are compared, up to this index; updated every few seconds for callers who poll. */
  seen?: number;
  /** Items of the run. */
  total: number;
  /** Keys of objects with one line per document, in order. */
  parts: string[];
  /** Key of the object with the counters; null before the first part. */
  carry: string | null;
}

/** The measurement of a run against labels. Once an evaluation has ended, its row never changes. */
export const evaluationTable = sqliteTable(
  "evaluation",
  {
    evalId: text("eval_id").primaryKey(),
    keyId: text("key_id").notNull(),
    runUid: text("run_uid").notNull(),
    runId: text("run_id").notNull(),
    taskId: text("task_id").notNull(),
    labels: text("labels", { mode: "json" }).$type<Labels>().notNull(),
    /** Name and hash of the ground truth when the evaluation was ordered; null for a file under the data root. */
    gtName: text("gt_name"),
    gtSha256: text("gt_sha256"),
    strMode: text("str_mode").$type<StrMode>().notNull(),
    state: text("state", { enum: states }).notNull(),
    progress: text("progress", { mode: "json" }).$type<Progress>().notNull(),
    /** Fencing token: raised by every claim. */
    token: integer("token").notNull().default(0),
    /** End of the worker's lease; if no worker holds the evaluation, the time from which its message counts as lost. */
    leaseUntil: integer("lease_until", { mode: "timestamp_ms" }).notNull(),
    /** The version of the code that computed it. */
    version: text("version"),
    /** The version of the rules that it was computed by; null for evaluations of before it was stored. */
    rulesVersion: text("rules_version"),
    /** The summary of the artifact, for lists and runs. */
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
