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
 * Removes an evaluation with all that lies in the bucket of it. A worker that is at it is overtaken.
 * @throws AppError `storage_unavailable`: the same again.
 */
export async function remove(stores: Stores, log: Log, row: Row): Promise<void> {
  // Counted out first, so that no worker writes behind the removal for longer than one step.
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

/** Evaluations that one look finds. */
const atOnce = 100;

/** Removes every evaluation of a run. @returns how many. @throws AppError `storage_unavailable`. */
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

/** Those of a key that are older than this, oldest first. @throws AppError `storage_unavailable`. */
export async function olderThan(db: Database.Db, keyId: string, before: Date, limit: number): Promise<Row[]> {
  const old = and(eq(table.keyId, keyId), lt(table.createdAt, before));
  return Database.read(
    db.query.select().from(table).where(old).orderBy(table.createdAt, table.evalId).limit(limit),
  );
}
