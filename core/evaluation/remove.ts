import { and, eq, lt } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import { type Row, evaluationTable as table } from "./evaluation.sql.ts";
import * as Place from "./place.ts";

interface Stores {
  db: Database.Db;
  bucket: Bucket.Bucket;
}

/**
 * Removes an evaluation and all of its objects in the bucket. A worker that holds it is overtaken.
 * @throws AppError `storage_unavailable`: call again.
 */
export async function remove(stores: Stores, log: Log, row: Row): Promise<void> {
  // The row is updated first, so that a worker can write for one more step at most.
  await Database.batch(stores.db, [
    stores.db.query
      .update(table)
      .set({ state: "failed", token: row.token + 1 })
      .where(eq(table.evalId, row.evalId)),
  ]);
  for (let token: string | undefined; ; ) {
    const page = await Bucket.list(stores.bucket, log, { prefix: `${Place.prefix(row)}.`, token });
    await Promise.all(page.objects.map(({ rel }) => Bucket.remove(stores.bucket, log, rel)));
    token = page.next;
    if (token === undefined) break;
  }
  await Database.batch(stores.db, [stores.db.query.delete(table).where(eq(table.evalId, row.evalId))]);
}

/** Evaluations per pass. */
const atOnce = 100;

/** Removes every evaluation of a run. @returns their number. @throws AppError `storage_unavailable`. */
export async function removeOfRun(stores: Stores, log: Log, runUid: string): Promise<number> {
  let removed = 0;
  for (;;) {
    const rows = await Database.read(
      stores.db.query.select().from(table).where(eq(table.runUid, runUid)).limit(atOnce),
    );
    for (const row of rows) await remove(stores, log, row);
    removed += rows.length;
    if (rows.length < atOnce) return removed;
  }
}

/** A key's evaluations older than `before`, oldest first. @throws AppError `storage_unavailable`. */
export async function olderThan(db: Database.Db, keyId: string, before: Date, limit: number): Promise<Row[]> {
  const old = and(eq(table.keyId, keyId), lt(table.createdAt, before));
  return Database.read(
    db.query.select().from(table).where(old).orderBy(table.createdAt, table.evalId).limit(limit),
  );
}
