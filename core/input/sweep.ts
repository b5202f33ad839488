import { and, eq, lt, sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import type { Stores } from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
import * as Needed from "./needed.ts";

/**
 * Removes expired uploads, except those that a run, a queued extract or the check of a manifest must still read. The
 * rows are removed first, so that no new work can need them; if only the row is removed, the object is found by its
 * key (core/census/orphans.ts). A bounded step.
 * @returns how many; `limit` if there may be more.
 * @throws AppError `storage_unavailable`.
 */
export async function sweep(stores: Stores, log: Log, limit = 200): Promise<number> {
  const old = and(lt(uploadTable.keepUntil, new Date()), sql`NOT ${Needed.isUnread(uploadTable)}`);
  const rows = await Database.read(stores.db.query.select().from(uploadTable).where(old).limit(limit));
  if (rows.length === 0) return 0;
  const results = await Database.batch(
    stores.db,
    rows.map(({ ref }) => stores.db.query.delete(uploadTable).where(and(eq(uploadTable.ref, ref), old))),
  );
  const gone = rows.filter((_, i) => results[i]?.rowsAffected === 1);
  for (const row of gone) await Bucket.remove(stores.bucket, log, row.objectKey);
  return gone.length;
}
