import { and, eq, lt } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import * as Storage from "#core/usage/storage";
import { groundTruthTable as table } from "./ground-truth.sql.ts";
import type { Row, Stores } from "./ground-truth.ts";

/**
 * Removes a ground truth and its records. Evaluations made with it are kept. @throws AppError `storage_unavailable`.
 */
export async function remove(stores: Stores, log: Log, row: Row): Promise<void> {
  // The row first, so that no new read begins.
  await Database.batch(stores.db, [stores.db.query.delete(table).where(eq(table.gtId, row.gtId))]);
  await Bucket.remove(stores.bucket, log, row.objectKey);
  await Storage.released(stores.db, row.keyId, { bytes: row.bytes, objects: 1 });
}

/** A key's ground truths older than `before`, oldest first. @throws AppError `storage_unavailable`. */
export async function olderThan(db: Database.Db, keyId: string, before: Date, limit: number): Promise<Row[]> {
  const old = and(eq(table.keyId, keyId), lt(table.createdAt, before));
  return Database.read(
    db.query.select().from(table).where(old).orderBy(table.createdAt, table.gtId).limit(limit),
  );
}
