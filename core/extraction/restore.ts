/** Rows of extracts from their artifacts, to restore a backup (core/backup/restore.ts). */
import { sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { Artifact } from "#core/reading/schema";
import { extractTable } from "./extract.sql.ts";

/** An extract by its key and its id. */
interface Named {
  keyId: string;
  requestId: string;
}

/**
 * The status of each of these ids in the database, as `<key_id>/<request_id>` → status; unknown ids are missing.
 * @throws AppError `storage_unavailable`.
 */
export async function statuses(db: Database.Db, named: readonly Named[]): Promise<Map<string, string>> {
  if (named.length === 0) return new Map();
  const results = await Database.batch(
    db,
    named.map(({ keyId, requestId }) =>
      Database.statement(
        sql`SELECT status FROM extract WHERE key_id = ${keyId} AND request_id = ${requestId}`,
      ),
    ),
    "read",
  );
  return new Map(
    named.flatMap(({ keyId, requestId }, i) => {
      const status = results[i]?.rows[0]?.status;
      return typeof status === "string" ? [[`${keyId}/${requestId}`, status] as const] : [];
    }),
  );
}

/**
 * Inserts rows for these artifacts, as their endings would have written them; existing rows stay.
 * @returns how many were inserted. @throws AppError `storage_unavailable`.
 */
export async function insert(db: Database.Db, artifacts: readonly Artifact[]): Promise<number> {
  if (artifacts.length === 0) return 0;
  const results = await Database.batch(
    db,
    artifacts.map((artifact) => db.query.insert(extractTable).values(rowOf(artifact)).onConflictDoNothing()),
    "write",
  );
  return results.reduce((sum, { rowsAffected }) => sum + rowsAffected, 0);
}

function rowOf(artifact: Artifact): typeof extractTable.$inferInsert {
  const { error, timings_ms: timings, usage } = artifact;
  const createdAt = new Date(artifact.created_at);
  return {
    keyId: artifact.principal.key_id,
    requestId: artifact.request_id,
    taskId: artifact.task_id,
    payloadHash: artifact.payload_hash,
    status: artifact.status,
    createdAt,
    endedAt: new Date(createdAt.getTime() + (timings?.total ?? 0)),
    token: 1,
    leaseUntil: createdAt,
    artifactRel: artifact.artifact_rel,
    attempts: usage?.attempts ?? 0,
    claims: 0,
    ...(error === undefined
      ? { schemaOk: artifact.schema_ok === true }
      : { errorCode: error.code, errorMessage: error.message, errorDetails: error.details ?? null }),
  };
}
