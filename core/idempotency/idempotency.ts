import { and, eq, lt, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import { idempotencyTable } from "./idempotency.sql.ts";

/** Rows that a sweep removes at once. */
const sweptAtOnce = 5_000;

/**
 * The id for an `Idempotency-Key`: `proposedId` at its first use, and the same id for `ttlMs`.
 * @throws AppError `conflict` if the key was used with another payload, `storage_unavailable`.
 */
export async function resolve(
  db: Database.Db,
  input: { keyId: string; idempotencyKey: string; proposedId: string; payloadHash: string; ttlMs: number },
): Promise<string> {
  const { keyId, idempotencyKey, proposedId, payloadHash, ttlMs } = input;
  const now = new Date();
  const mine = and(eq(idempotencyTable.keyId, keyId), eq(idempotencyTable.idempotencyKey, idempotencyKey));
  const expiresAt = new Date(now.getTime() + ttlMs);
  const { found } = await Database.batch(db, {
    expired: db.query.delete(idempotencyTable).where(and(mine, lt(idempotencyTable.expiresAt, now))),
    added: db.query
      .insert(idempotencyTable)
      .values({ keyId, idempotencyKey, resourceId: proposedId, payloadHash, expiresAt })
      .onConflictDoNothing(),
    found: db.query.select().from(idempotencyTable).where(mine),
  });
  const row = Database.rows(idempotencyTable, found)[0];
  if (row === undefined || row.payloadHash !== payloadHash)
    throw new AppError(
      "conflict",
      "this Idempotency-Key was used with another payload: a new call needs a new key; within 24 hours a repeated call uses the same key",
      { details: { reason: "idempotency_key_reused" } },
    );
  return row.resourceId;
}

/** Removes a bounded number of rows that have expired. @throws AppError `storage_unavailable`. */
export async function sweep(db: Database.Db): Promise<void> {
  await Database.batch(db, [
    Database.statement(sql`DELETE FROM ${idempotencyTable} WHERE rowid IN
      (SELECT rowid FROM ${idempotencyTable} WHERE expires_at < ${Date.now()} LIMIT ${sweptAtOnce})`),
  ]);
}
