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
import type { Extract } from "#core/reading/schema";
import type { Warning } from "#core/reading/warning";
import type { MimeType } from "#spec/pictures";
import type { Why } from "./auto.ts";
import type { EvaluateBy } from "./evaluate-by.ts";
import type { Finishing } from "./finishing.ts";
import type { Planning } from "./planning.ts";
import type { Skipped } from "./skipped.ts";
import type { Tags } from "./tags.ts";
import type { WebhookAttempt } from "./webhook-attempt.ts";

/** From `canceling` on no new work is started; `deleted` keeps the id taken. */
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

/** True for runs that have not ended. The partial index `run_open` and every query that uses it contain these words. */
export const isOpen = "state IN ('planning', 'running', 'canceling', 'finishing', 'deleting')";
/** True for runs that are listed; used like `isOpen`. */
export const isShown = "state <> 'deleted'";

const time = (name: string) => integer(name, { mode: "timestamp_ms" });
const count = (name: string) => integer(name).notNull().default(0);

/** The indexes for lists of runs: of one key or all, one task or all, one state or any. */
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

/** A run: one task over many pictures. Its items hold the results; this row coordinates them. */
export const runTable = sqliteTable(
  "run",
  {
    /** New for every run, unlike the caller's id. Messages, groups and artifacts are checked by it. */
    runUid: text("run_uid").primaryKey(),
    keyId: text("key_id").notNull(),
    runId: text("run_id").notNull(),
    taskId: text("task_id").notNull(),
    /** sha256 of everything that determines the run: the same id with another payload is a conflict. */
    payloadHash: text("payload_hash").notNull(),
    principalRole: text("principal_role").notNull(),
    /**
     * True if the maker may read the folders of all keys below the data root; the planner checks a manifest's lines
     * by it.
     */
    allKeys: integer("all_keys", { mode: "boolean" }).notNull().default(false),
    state: text("state", { enum: states }).notNull(),
    /**
     * Starts at random and grows by one with every pause, resume and cancel. Messages of an older epoch have no
     * effect.
     */
    epoch: integer("epoch").notNull(),
    /** Part of the deduplication id of orders to the planner. Each planner raises it before it reads anything else. */
    planN: count("plan_n"),
    /** For a run on auto: the most slots that it may get. */
    concurrency: integer("concurrency").notNull(),
    /** The slots in force of a run on auto (#core/run/slots/adjust); null: as many as `concurrency`. */
    slots: integer("slots"),
    slotsWhy: text("slots_why", { mode: "json" }).$type<Why>(),
    /** When the planner of a run on auto last looked at its slots. */
    lookedAt: time("looked_at"),
    source: text("source", {
      enum: ["manifest", "manifest_ref", "images_dir", "upload", "rerun"],
    }).notNull(),
    sourceRunId: text("source_run_id"),
    /** Files in the folder of `images_dir` that are no items; null for other sources. */
    skipped: text("skipped", { mode: "json" }).$type<Skipped>(),
    /** Seconds from its end to its removal; null if only the key's retention applies. */
    expiresAfterS: integer("expires_after_s"),
    persistInputs: integer("persist_inputs", { mode: "boolean" }).notNull(),
    /** False: its pictures are sent without a look at them; null: as the stage is set. */
    look: integer("look", { mode: "boolean" }),
    /** Whether its files may be several documents; null: they are read as one each. */
    split: text("split", { enum: ["auto", "never"] }),
    /** Documents with more pages than this fail; null: the limit of an item. */
    maxPages: integer("max_pages"),
    /** The labels for the evaluation at its end; null without an evaluation. */
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
    /** Pages that were read, of all items. */
    pages: count("pages"),
    /** Documents that were read, of all items. */
    documents: count("documents"),
    /** How many files of each media type were read. */
    types: text("types", { mode: "json" }).$type<Partial<Record<MimeType, number>>>(),
    promptTokens: count("prompt_tokens"),
    completionTokens: count("completion_tokens"),
    /** How many times the model was asked, and how long that took in all. */
    modelCalls: count("model_calls"),
    modelMs: count("model_ms"),

    createdAt: time("created_at").notNull(),
    startedAt: time("started_at"),
    finishedAt: time("finished_at"),
    /** The last change by a worker or the planner. Reconcile handles runs that are silent for long. */
    touchedAt: time("touched_at").notNull(),

    /** How far the source was checked; null once the run is running. */
    planning: text("planning", { mode: "json" }).$type<Planning>(),
    /** How far the results were written; null until the last item has ended, and again after the run has ended. */
    finishing: text("finishing", { mode: "json" }).$type<Finishing>(),
    errorCode: text("error_code").$type<Code>(),
    errorMessage: text("error_message"),
    errorDetails: text("error_details", { mode: "json" }).$type<Details>(),
    artifactRel: text("artifact_rel"),
    /** When the bucket is searched again after the run's deletion, for objects that a late worker wrote. */
    lookAgainAt: time("look_again_at"),
  },
  (table) => [
    uniqueIndex("run_id").on(table.keyId, table.runId),
    // Partial indexes over few rows. Queries must contain the same words to use them: those of reconcile and the
    // probe.
    index("run_open").on(table.touchedAt).where(sql.raw(isOpen)),
    index("run_waiting").on(table.touchedAt).where(sql`state = 'running' AND waiting_for = 'model_server'`),
    // Without `touched_at`, which changes with every item.
    index("run_untold").on(table.finishedAt).where(sql`webhook_url IS NOT NULL AND webhook IS NULL`),
    index("run_expires")
      .on(sql`(finished_at + expires_after_s * 1000)`)
      .where(sql`expires_after_s IS NOT NULL AND finished_at IS NOT NULL`),
    index("run_look_again").on(table.lookAgainAt).where(sql`look_again_at IS NOT NULL`),
    // Which run is a rerun of which.
    index("run_source").on(table.keyId, table.sourceRunId).where(sql`source_run_id IS NOT NULL`),
    // One index for each filter of `Run.list`: newest first, and a page reads no more rows than it has. Deleted runs,
    // which keep their rows, are in none of them.
    ...lists(table),
  ],
);

/**
 * The runs, by the partial index whose words the query contains. The index is named because SQLite would rather read
 * all runs in those states; a query that does not fit it is refused.
 */
export const runsBy = (name: "run_open" | "run_waiting" | "run_untold" | "run_expires" | "run_look_again") =>
  sql`${runTable} INDEXED BY ${sql.identifier(name)}`;

/**
 * The answer's statements about its quality: whether all rows are there, and whether the picture could be read well.
 */
export type Assessment = Partial<Pick<Extract, "complete" | "rows" | "quality">>;

export const itemTable = sqliteTable(
  "item",
  {
    runUid: text("run_uid").notNull(),
    index: integer("idx").notNull(),
    customId: text("custom_id"),
    file: text("file"),
    /** The tags of the manifest's line; null without any. */
    tags: text("tags", { mode: "json" }).$type<Tags>(),
    /** The pages to read, of the manifest's line; null: all. */
    pages: text("pages", { mode: "json" }).$type<number[]>(),
    /** Whether it may be several documents, of the manifest's line; null: as the run says. */
    split: text("split", { enum: ["auto", "never"] }),

    /**
     * `upload`: an image_ref; `data`: a key under the data root; `url`: fetched by the worker; `run`: sent with the
     * call.
     */
    sourceKind: text("source_kind", { enum: ["upload", "data", "url", "run"] }).notNull(),
    objectKey: text("object_key"),
    /** The version when the line was checked; later reads demand it. */
    etag: text("etag"),
    url: text("url"),
    declaredMimeType: text("declared_mime_type"),
    /** True if the run's own copy of the picture was stored (`persist_inputs`). */
    kept: integer("kept", { mode: "boolean" }).notNull().default(false),

    status: text("status", { enum: ["queued", "running", "succeeded", "failed", "canceled"] }).notNull(),
    /** The epoch of the last message for the item. If it is less than the run's, no message is under way. */
    sentEpoch: count("sent_epoch"),
    /** Grows with every requeue, so that only the newest message counts. */
    sendSeq: count("send_seq"),
    /** The message group of its messages; one of the run's slots. */
    slot: integer("slot"),
    /**
     * The fencing token: every worker that takes the work over raises it, and a commit with an older token changes
     * nothing.
     */
    token: count("token"),
    leaseUntil: time("lease_until"),
    notBefore: time("not_before"),
    attempts: count("attempts"),
    /** Claims without an ending or a requeue: the worker died. */
    claims: count("claims"),
    /** Of the calls that are stored before the work ends, how many are counted as usage. */
    callsCounted: count("calls_counted"),
    /** How often the connection to the model server was lost after the picture was sent. */
    suspects: count("suspects"),
    /** How often its message came from the dead-letter queue. */
    buried: count("buried"),

    /** An artifact that could not be put during an outage of the bucket. The next worker writes it. */
    pendingArtifact: text("pending_artifact"),
    artifactRel: text("artifact_rel"),
    /** Pages that the model read; null where it was not asked, and of items from before it was stored. */
    pagesRead: integer("pages_read"),
    /** As JSON text up to 16 KiB, so that lists need no artifact; null if it is larger, or if there is none. */
    result: text("result"),
    schemaOk: integer("schema_ok", { mode: "boolean" }),
    /** Copied from the artifact; null if it has none. */
    warnings: text("warnings", { mode: "json" }).$type<Warning[]>(),
    /** Copied from the artifact, as far as it has them; null where it has none, and of items from before it was stored. */
    assessment: text("assessment", { mode: "json" }).$type<Assessment>(),
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
    // Finds the work that still has to read a picture below the data root, or a picture of a folder there.
    index("item_data_open")
      .on(table.objectKey)
      .where(sql`source_kind = 'data' AND status IN ('queued', 'running')`),
  ],
);

export type RunRow = typeof runTable.$inferSelect;
export type ItemRow = typeof itemTable.$inferSelect;
