import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

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
    /** `failed` is final; `retryable` means that the next repeat tries again. */
    status: text("status", { enum: ["running", "succeeded", "failed", "retryable"] }).notNull(),
    createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
    endedAt: integer("ended_at", { mode: "timestamp_ms" }),
    /** Fencing token: raised by everyone who takes the work over; a commit with an older one moves nothing. */
    token: integer("token").notNull(),
    leaseUntil: integer("lease_until", { mode: "timestamp_ms" }).notNull(),
    artifactRel: text("artifact_rel"),
    schemaOk: integer("schema_ok", { mode: "boolean" }),
    errorCode: text("error_code"),
    errorMessage: text("error_message"),
    /** An artifact that could not be put because the bucket was away; written by the next who comes by. */
    pendingArtifact: text("pending_artifact"),
  },
  (table) => [
    primaryKey({ columns: [table.keyId, table.requestId] }),
    index("extract_running").on(table.status, table.leaseUntil),
  ],
);

/** `Idempotency-Key` → the id it made, for 24 hours. */
export const idempotencyTable = sqliteTable(
  "idempotency",
  {
    keyId: text("key_id").notNull(),
    idempotencyKey: text("idempotency_key").notNull(),
    resourceId: text("resource_id").notNull(),
    payloadHash: text("payload_hash").notNull(),
    expiresAt: integer("expires_at", { mode: "timestamp_ms" }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.keyId, table.idempotencyKey] }),
    index("idempotency_expires_at").on(table.expiresAt),
  ],
);
