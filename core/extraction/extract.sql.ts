import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Details } from "#core/error";
import type { StoredInput } from "#core/source/source";

/**
 * The index of extracts: who owns an id, who is working on it, and where its artifact is. The artifact in the bucket
 * is the answer; the row makes it findable and its id unique.
 */
export const extractTable = sqliteTable(
  "extract",
  {
    keyId: text("key_id").notNull(),
    requestId: text("request_id").notNull(),
    taskId: text("task_id").notNull(),
    /** sha256 of everything that determines the answer: the same id with another payload is a conflict. */
    payloadHash: text("payload_hash").notNull(),
    /**
     * `queued` waits for the worker; `failed` is final; `retryable` is tried again by the next repeat; `deleted`
     * keeps only the id, which stays taken.
     */
    status: text("status", {
      enum: ["running", "queued", "succeeded", "failed", "retryable", "deleting", "deleted"],
    }).notNull(),
    createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
    endedAt: integer("ended_at", { mode: "timestamp_ms" }),
    /**
     * The fencing token: every worker that takes the work over raises it, and a commit with an older token changes
     * nothing.
     */
    token: integer("token").notNull(),
    leaseUntil: integer("lease_until", { mode: "timestamp_ms" }).notNull(),
    artifactRel: text("artifact_rel"),
    schemaOk: integer("schema_ok", { mode: "boolean" }),
    errorCode: text("error_code"),
    errorMessage: text("error_message"),
    errorDetails: text("error_details", { mode: "json" }).$type<Details>(),
    /** An artifact that could not be put during an outage of the bucket. The next worker or call writes it. */
    pendingArtifact: text("pending_artifact"),

    // The columns from here on are only for extracts that were handed over to the queue.
    input: text("input", { mode: "json" }).$type<StoredInput>(),
    /** When a running call was cut off and handed over; null for calls that asked for the queue. */
    handedOverAt: integer("handed_over_at", { mode: "timestamp_ms" }),
    /** When the message was sent; null if none is under way. */
    sentAt: integer("sent_at", { mode: "timestamp_ms" }),
    /**
     * Since when a queued extract is in line, or when it may be tried again. For a deleted one: when the bucket is
     * searched again for what a late worker wrote.
     */
    notBefore: integer("not_before", { mode: "timestamp_ms" }),
    waitingFor: text("waiting_for", { enum: ["model_server"] }),
    /** Attempts that count against the extract. */
    attempts: integer("attempts").notNull().default(0),
    /** Consecutive claims without an ending or a requeue: the worker died. */
    claims: integer("claims").notNull().default(0),
    /** How often the connection to the model server was lost after the picture was sent. */
    suspects: integer("suspects").notNull().default(0),
    /** Of the calls that are stored before the work ends, how many are counted as usage. */
    callsCounted: integer("calls_counted").notNull().default(0),
  },
  (table) => [
    primaryKey({ columns: [table.keyId, table.requestId] }),
    // Partial indexes over few rows: a search for work must not read all extracts ever made, and an ended row is in
    // none of them. SQLite uses a partial index only for a query with the same words, literals included.
    index("extract_running").on(table.leaseUntil).where(sql`status = 'running'`),
    index("extract_queued")
      .on(table.waitingFor, table.sentAt, table.leaseUntil)
      .where(sql`status = 'queued'`),
    index("extract_suspect").on(table.suspects).where(sql`status = 'queued' AND suspects > 0`),
    index("extract_without_input").on(table.leaseUntil).where(sql`status = 'queued' AND input IS NULL`),
    index("extract_deleted").on(table.keyId, table.createdAt).where(sql`status = 'deleted'`),
    index("extract_look_again").on(table.notBefore).where(sql`status = 'deleted' AND not_before IS NOT NULL`),
    index("extract_deleting").on(table.endedAt).where(sql`status = 'deleting'`),
    index("extract_pending").on(table.status).where(sql`pending_artifact IS NOT NULL`),
    index("extract_input").on(table.endedAt).where(sql`input IS NOT NULL`),
    index("extract_input_object").on(sql`(input ->> '$.objectKey')`).where(sql`input IS NOT NULL`),
    // The only index over all rows: for the list of a key's extracts, which reads one page of it.
    index("extract_by_time")
      .on(table.keyId, table.createdAt, table.requestId)
      .where(sql`status NOT IN ('deleting', 'deleted')`),
    index("extract_handed_over").on(table.keyId, table.handedOverAt).where(sql`handed_over_at IS NOT NULL`),
    // For the choice of a worker's next extract (turn.ts): which are in line, since when, and which are in flight.
    index("extract_in_line")
      .on(table.keyId, table.notBefore)
      .where(sql`status = 'queued' AND waiting_for IS NULL AND input IS NOT NULL`),
    index("extract_in_flight")
      .on(table.keyId, table.leaseUntil)
      .where(sql`status = 'running' AND input IS NOT NULL`),
  ],
);
