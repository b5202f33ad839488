import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Details } from "#core/error";
import type { StoredInput } from "#core/source/source";

/**
 * The index of extracts: who holds an id, who is working on it, and where its artifact lies. The artifact in the
 * bucket is the answer; the row is what makes it findable and exclusive.
 */
export const extractTable = sqliteTable(
  "extract",
  {
    keyId: text("key_id").notNull(),
    requestId: text("request_id").notNull(),
    taskId: text("task_id").notNull(),
    /** sha256 over everything that decides the answer: the same id with another payload is a conflict. */
    payloadHash: text("payload_hash").notNull(),
    /**
     * `queued` waits for the worker; `failed` is final; `retryable` means that the next repeat tries again; of a `deleted`
     * one only the id is left, which stays taken.
     */
    status: text("status", {
      enum: ["running", "queued", "succeeded", "failed", "retryable", "deleting", "deleted"],
    }).notNull(),
    createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
    endedAt: integer("ended_at", { mode: "timestamp_ms" }),
    /** Fencing token: raised by everyone who takes the work over; a commit with an older one moves nothing. */
    token: integer("token").notNull(),
    leaseUntil: integer("lease_until", { mode: "timestamp_ms" }).notNull(),
    artifactRel: text("artifact_rel"),
    schemaOk: integer("schema_ok", { mode: "boolean" }),
    errorCode: text("error_code"),
    errorMessage: text("error_message"),
    errorDetails: text("error_details", { mode: "json" }).$type<Details>(),
    /** An artifact that could not be put because the bucket was away; written by the next who comes by. */
    pendingArtifact: text("pending_artifact"),

    // From here on: only of extracts that were handed over to the queue.
    input: text("input", { mode: "json" }).$type<StoredInput>(),
    /** When a running call was cut off and handed over; not set for calls that asked for it. */
    handedOverAt: integer("handed_over_at", { mode: "timestamp_ms" }),
    /** When the message was sent; null: none is under way. */
    sentAt: integer("sent_at", { mode: "timestamp_ms" }),
    /**
     * Since when a queued extract is in line, or from when on it may be worked on again. Of a deleted one: when the bucket is
     * looked through once more, for what a late worker wrote.
     */
    notBefore: integer("not_before", { mode: "timestamp_ms" }),
    waitingFor: text("waiting_for", { enum: ["model_server"] }),
    /** Attempts that the extract has to pay for. */
    attempts: integer("attempts").notNull().default(0),
    /** Claims in a row that ended neither in an ending nor in an orderly requeue: the worker died. */
    claims: integer("claims").notNull().default(0),
    /** How often the model server's connection was lost after the picture had been sent. */
    suspects: integer("suspects").notNull().default(0),
  },
  (table) => [
    primaryKey({ columns: [table.keyId, table.requestId] }),
    // All of them partial, over rows that are few at any time: a search for work must not go through everything
    // that was ever extracted, and a row that has ended is in none of them. SQLite takes a partial index only for a
    // query that says the same in the same words, literals and not parameters.
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
    // The one over all there is: the list of a key's extracts, which goes through as much of it as a page shows.
    index("extract_by_time")
      .on(table.keyId, table.createdAt, table.requestId)
      .where(sql`status NOT IN ('deleting', 'deleted')`),
    index("extract_handed_over").on(table.keyId, table.handedOverAt).where(sql`handed_over_at IS NOT NULL`),
    // What a worker chooses its next from (turn.ts): who stands in line, since when, and who is being worked on.
    index("extract_in_line")
      .on(table.keyId, table.notBefore)
      .where(sql`status = 'queued' AND waiting_for IS NULL AND input IS NOT NULL`),
    index("extract_in_flight")
      .on(table.keyId, table.leaseUntil)
      .where(sql`status = 'running' AND input IS NOT NULL`),
  ],
);
