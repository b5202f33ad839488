import { sql } from "drizzle-orm";
import {
  type AnySQLiteColumn,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import type { Code, Details } from "#core/error";
import type { Warning } from "#core/reading/warning";
import type { EvaluateBy } from "./evaluate-by.ts";
import type { Finishing } from "./finishing.ts";
import type { Planning } from "./planning.ts";
import type { WebhookAttempt } from "./schema.ts";
import type { Skipped } from "./skipped.ts";
import type { Tags } from "./tags.ts";

/** From `canceling` on nothing new is started; `deleted` keeps the id taken. */
export const states = [
  "planning",
  "running",
  "canceling",
  "finishing",
  "succeeded",
  "failed",
  "canceled",
  "deleting",
  "deleted",
] as const;
export type State = (typeof states)[number];

/** Of runs that have not ended; literally in the partial index `run_open` and in every query that is to use it. */
export const isOpen = "state IN ('planning', 'running', 'canceling', 'finishing', 'deleting')";
/** Of runs that are shown; as `isOpen`. */
export const isShown = "state <> 'deleted'";

const time = (name: string) => integer(name, { mode: "timestamp_ms" });
const count = (name: string) => integer(name).notNull().default(0);

/** The indexes of the lists of runs: of one key or of all, of one task or of all, in one state or in any. */
function lists(table: Record<"keyId" | "taskId" | "state" | "createdAt" | "runUid", AnySQLiteColumn>) {
  const { keyId, taskId, state, createdAt, runUid } = table;
  const shown = sql.raw(isShown);
  return [
    index("run_list").on(createdAt, runUid).where(shown),
    index("run_list_task").on(taskId, createdAt, runUid).where(shown),
    index("run_list_state").on(state, createdAt, runUid),
    index("run_list_task_state").on(taskId, state, createdAt, runUid),
    index("run_list_key").on(keyId, createdAt, runUid).where(shown),
    index("run_list_key_task").on(keyId, taskId, createdAt, runUid).where(shown),
    index("run_list_key_state").on(keyId, state, createdAt, runUid),
    index("run_list_key_task_state").on(keyId, taskId, state, createdAt, runUid),
  ];
}

/** A run: one task over many pictures. What it did is in its items; the row is what coordinates them. */
export const runTable = sqliteTable(
  "run",
  {
    /** Made new for every run, unlike the caller's id: what messages, groups and artifacts are checked by. */
    runUid: text("run_uid").primaryKey(),
    keyId: text("key_id").notNull(),
    runId: text("run_id").notNull(),
    taskId: text("task_id").notNull(),
    /** sha256 over everything that decides the run: the same id with another payload is a conflict. */
    payloadHash: text("payload_hash").notNull(),
    principalRole: text("principal_role").notNull(),
    /** Its maker may read every key's folder below the data root: the planner checks a manifest's lines by it. */
    allKeys: integer("all_keys", { mode: "boolean" }).notNull().default(false),
    state: text("state", { enum: states }).notNull(),
    /** Random at first, + 1 at every pause, resume and cancel: a message of an older one has no effect. */
    epoch: integer("epoch").notNull(),
    /** In the deduplication id of orders to the planner; raised by every planner before it reads anything else. */
    planN: count("plan_n"),
    concurrency: integer("concurrency").notNull(),
    source: text("source", {
      enum: ["manifest", "manifest_ref", "images_dir", "upload", "rerun"],
    }).notNull(),
    sourceRunId: text("source_run_id"),
    /** What lies in the folder of `images_dir` and is no item; null for other sources. */
    skipped: text("skipped", { mode: "json" }).$type<Skipped>(),
    /** Seconds after its end after which it is removed; null: as its key's retention says. */
    expiresAfterS: integer("expires_after_s"),
    persistInputs: integer("persist_inputs", { mode: "boolean" }).notNull(),
    /** The labels that it is measured by when it has ended; null: none. */
    evaluateBy: text("evaluate_by", { mode: "json" }).$type<EvaluateBy>(),
    webhookUrl: text("webhook_url"),
    webhook: text("webhook", { mode: "json" }).$type<WebhookAttempt[]>(),
    waitingFor: text("waiting_for", { enum: ["model_server"] }),

    /** Grows while the run is planned. */
    total: count("total"),
    succeeded: count("succeeded"),
    failed: count("failed"),
    canceled: count("canceled"),
    schemaOk: count("schema_ok"),
    schemaFailed: count("schema_failed"),
    /** Items with a warning. */
    warned: count("warned"),
    promptTokens: count("prompt_tokens"),
    completionTokens: count("completion_tokens"),
    /** How many times the model was asked, and for how long together. */
    modelCalls: count("model_calls"),
    modelMs: count("model_ms"),

    createdAt: time("created_at").notNull(),
    startedAt: time("started_at"),
    finishedAt: time("finished_at"),
    /** The last sign of life: a claim's ending, a step of the planner. Reconcile looks at what is long silent. */
    touchedAt: time("touched_at").notNull(),

    /** How far the source was checked; null once the run is running. */
    planning: text("planning", { mode: "json" }).$type<Planning>(),
    /** How far the results were written; null until the last item has ended, and once the run has. */
    finishing: text("finishing", { mode: "json" }).$type<Finishing>(),
    errorCode: text("error_code").$type<Code>(),
    errorMessage: text("error_message"),
    errorDetails: text("error_details", { mode: "json" }).$type<Details>(),
    artifactRel: text("artifact_rel"),
    /** Of a deleted run: when the bucket is looked through once more, for what a late worker wrote. */
    lookAgainAt: time("look_again_at"),
  },
  (table) => [
    uniqueIndex("run_id").on(table.keyId, table.runId),
    // Partial, over rows that are few at any time, and for queries that say the same in the same words: what reconcile
    // and the probe look for.
    index("run_open").on(table.touchedAt).where(sql.raw(isOpen)),
    index("run_waiting").on(table.touchedAt).where(sql`state = 'running' AND waiting_for = 'model_server'`),
    // Not by `touched_at`, which every item's ending moves.
    index("run_untold").on(table.finishedAt).where(sql`webhook_url IS NOT NULL AND webhook IS NULL`),
    index("run_expires")
      .on(sql`(finished_at + expires_after_s * 1000)`)
      .where(sql`expires_after_s IS NOT NULL AND finished_at IS NOT NULL`),
    index("run_look_again").on(table.lookAgainAt).where(sql`look_again_at IS NOT NULL`),
    // Who reran whom.
    index("run_source").on(table.keyId, table.sourceRunId).where(sql`source_run_id IS NOT NULL`),
    // A page of `Run.list` for each of its filters: newest first, and no more rows than the page has. Deleted runs, which
    // stay, are in none that would show them.
    ...lists(table),
  ],
);

/**
 * The runs, by one of the partial indexes whose words the query repeats. Named, because SQLite would rather go through all
 * runs in those states; a query that it does not serve is refused.
 */
export const runsBy = (name: "run_open" | "run_waiting" | "run_untold" | "run_expires" | "run_look_again") =>
  sql`${runTable} INDEXED BY ${sql.identifier(name)}`;

export const itemTable = sqliteTable(
  "item",
  {
    runUid: text("run_uid").notNull(),
    index: integer("idx").notNull(),
    customId: text("custom_id"),
    file: text("file"),
    /** Of the manifest's line; null without. */
    tags: text("tags", { mode: "json" }).$type<Tags>(),

    /** `upload`: an image_ref; `data`: a key under the data root; `url`: fetched by the worker; `run`: came with the run. */
    sourceKind: text("source_kind", { enum: ["upload", "data", "url", "run"] }).notNull(),
    objectKey: text("object_key"),
    /** Of when the line was checked; every later read demands it. */
    etag: text("etag"),
    url: text("url"),
    declaredMimeType: text("declared_mime_type"),
    /** The run's own copy of the picture was stored (`persist_inputs`). */
    kept: integer("kept", { mode: "boolean" }).notNull().default(false),

    status: text("status", { enum: ["queued", "running", "succeeded", "failed", "canceled"] }).notNull(),
    /** The epoch under which a message was sent for it; less than the run's: there is none under way. */
    sentEpoch: count("sent_epoch"),
    /** Raised with every requeue, so that only the newest message counts. */
    sendSeq: count("send_seq"),
    /** The message group that it goes to; one of the run's `concurrency`. */
    slot: integer("slot"),
    /** Fencing token: raised by everyone who takes the work over; a commit with an older one moves nothing. */
    token: count("token"),
    leaseUntil: time("lease_until"),
    notBefore: time("not_before"),
    attempts: count("attempts"),
    /** Claims that ended neither in an ending nor in an orderly requeue: the worker died. */
    claims: count("claims"),
    /** How often the model server's connection was lost after the picture had been sent. */
    suspects: count("suspects"),
    /** How often its message came back out of the dead-letter queue. */
    buried: count("buried"),

    /** An artifact that could not be put because the bucket was away; written by the next who comes by. */
    pendingArtifact: text("pending_artifact"),
    artifactRel: text("artifact_rel"),
    /** As JSON text up to 16 KiB, so that lists need no artifact; null for larger ones and where there is none. */
    result: text("result"),
    schemaOk: integer("schema_ok", { mode: "boolean" }),
    /** Of the artifact; null where there are none. */
    warnings: text("warnings", { mode: "json" }).$type<Warning[]>(),
    errorCode: text("error_code").$type<Code>(),
    errorMessage: text("error_message"),
    errorDetails: text("error_details", { mode: "json" }).$type<Details>(),
    promptTokens: count("prompt_tokens"),
    completionTokens: count("completion_tokens"),
    modelCalls: count("model_calls"),
    totalMs: count("total_ms"),
    imageMs: count("image_ms"),
    inferenceMs: count("inference_ms"),
    validateMs: count("validate_ms"),
    endedAt: time("ended_at"),
  },
  (table) => [
    primaryKey({ columns: [table.runUid, table.index] }),
    uniqueIndex("item_custom_id").on(table.runUid, table.customId),
    uniqueIndex("item_file").on(table.runUid, table.file),
    index("item_window").on(table.runUid, table.status, table.sentEpoch, table.index),
    index("item_lease").on(table.leaseUntil).where(sql`status = 'running'`),
    index("item_lone").on(table.runUid).where(sql`suspects >= 2`),
    index("item_object_key").on(table.objectKey).where(sql`source_kind = 'upload'`),
    // Who has yet to read a picture below the data root, or one of a folder of them.
    index("item_data_open")
      .on(table.objectKey)
      .where(sql`source_kind = 'data' AND status IN ('queued', 'running')`),
  ],
);

export type RunRow = typeof runTable.$inferSelect;
export type ItemRow = typeof itemTable.$inferSelect;
