import { and, eq, sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { AppError, invalidRequest } from "#core/error";
import type { Principal } from "#core/key/key";
import { reachesAll, visibleKey } from "#core/key/visible";
import type { Log } from "#core/log";
import { itemTable } from "#core/run/run.sql";
import * as DataRoot from "#core/upload/data-root";
import type { Stores } from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
import * as Storage from "#core/usage/storage";
import * as Needed from "./needed.ts";

/*
 * remove(…)      an upload, before it expires
 * removeData(…)  a picture, or a folder of them, below the data root
 */

/**
 * Removes an upload and its object. The row is removed first, so that no new work can need it.
 * @throws AppError `not_found`, the same for unknown refs and other keys' refs; `conflict` (`details.reason`
 *   `upload_in_use`) while an item, a queued extract or the check of a manifest must still read it;
 *   `storage_unavailable`.
 */
export async function remove(
  stores: Stores,
  log: Log,
  from: { ref: string; keyId: string | undefined; principal: Principal },
): Promise<{ inputs: number }> {
  const { ref, principal } = from;
  const keyId = visibleKey(principal, from.keyId, { log, action: "delete", what: "upload", id: ref });
  const mine = and(eq(uploadTable.ref, ref), eq(uploadTable.keyId, keyId));
  const { db } = stores;
  const [found, removed] = await Database.batch(db, [
    db.query.select().from(uploadTable).where(mine),
    db.query.delete(uploadTable).where(and(mine, sql`NOT ${Needed.isUnread(uploadTable)}`)),
  ]);
  const row = Database.rows(uploadTable, found)[0];
  if (row === undefined) throw new AppError("not_found", "there is no upload with this ref");
  if (removed?.rowsAffected !== 1)
    throw new AppError("conflict", "a run or an extract has yet to read this upload", {
      details: { reason: "upload_in_use" },
    });
  await Bucket.remove(stores.bucket, log, row.objectKey);
  await Storage.released(db, keyId, { bytes: row.bytes, objects: 1 });
  return { inputs: 1 };
}

/** Objects that are removed in parallel. */
const removals = 16;

/**
 * Removes a picture, or with a final `/` a folder, below the caller's own folder of the data root, or below `shared/`
 * with the scope `admin:all_keys`. Nothing is removed while a run must still read some of it.
 * @param deadline - epoch milliseconds after which no further removal begins.
 * @returns the number of removed files, and whether that was all: the same call continues.
 * @throws AppError `invalid_request` for an invalid path, `forbidden` for `shared/` and for files that the local loop
 *   serves read-only; `conflict` (`details.reason` `data_in_use`); `not_found` if there is nothing,
 *   `storage_unavailable`.
 */
export async function removeData(
  { db, bucket }: Stores,
  log: Log,
  from: { path: string; keyId: string | undefined; principal: Principal },
  deadline: number,
): Promise<{ inputs: number; complete: boolean }> {
  const { path, principal } = from;
  const isFolder = path.endsWith("/");
  const isShared = path.startsWith("shared/");
  const keyId = visibleKey(principal, from.keyId, { log, action: "delete", what: "data" });
  if (isShared && !reachesAll(principal))
    throw new AppError("forbidden", "only a key with admin:all_keys may remove from shared/", {
      details: { reason: "shared_is_for_admins" },
    });
  const key = isShared ? path : `${keyId}/${path}`;
  const problem = DataRoot.shapeProblem(isFolder ? key.slice(0, -1) : key);
  if (problem !== undefined) throw invalidRequest([{ path: "path", message: problem }]);
  const rel = `${DataRoot.dataRoot}${key}`;
  if (await isRead(db, rel))
    throw new AppError("conflict", "a run has yet to read pictures there", {
      details: { reason: "data_in_use" },
    });
  let inputs = 0;
  let bytes = 0;
  const given = async (complete: boolean) => {
    if (!isShared) await Storage.released(db, keyId, { bytes, objects: inputs });
    return { inputs, complete };
  };
  for (;;) {
    const page = await Bucket.list(bucket, log, { prefix: rel });
    // `a.png` is also the beginning of `a.png.old`.
    const found = page.objects.filter((each) => isFolder || each.rel === rel);
    for (let i = 0; i < found.length; i += removals) {
      const some = found.slice(i, i + removals);
      await Promise.all(some.map((each) => removed(bucket, log, each.rel)));
      inputs += some.length;
      bytes += some.reduce((sum, each) => sum + each.bytes, 0);
      if (Date.now() >= deadline) return given(false);
    }
    if (page.next === undefined || !isFolder) break;
  }
  if (inputs === 0) throw new AppError("not_found", "nothing lies there", { param: "path" });
  log.info("data_deleted", { key_id: isShared ? "shared" : keyId, inputs });
  return given(true);
}

/** True if an item that has not ended names this picture, or a picture of this folder (`rel` ends in `/`). */
async function isRead(db: Database.Db, rel: string): Promise<boolean> {
  // `0` follows `/` in ASCII: everything that begins with the folder's name.
  const there = rel.endsWith("/")
    ? sql`object_key >= ${rel} AND object_key < ${`${rel.slice(0, -1)}0`}`
    : sql`object_key = ${rel}`;
  const query = sql`SELECT 1 FROM ${itemTable} INDEXED BY item_data_open WHERE source_kind = 'data'
    AND status IN ('queued', 'running') AND ${there} LIMIT 1`;
  const [found] = await Database.batch(db, [Database.statement(query)], "read");
  return (found?.rows.length ?? 0) > 0;
}

async function removed(bucket: Bucket.Bucket, log: Log, rel: string): Promise<void> {
  try {
    await Bucket.remove(bucket, log, rel);
  } catch (thrown) {
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : undefined;
    // A file of the folder that the local loop serves (local/s3/overlay.ts). A missing permission has the same error
    // name.
    if (cause?.name !== "AccessDenied" || !/read-only/.test(cause.message)) throw thrown;
    throw new AppError("forbidden", "this is a file of a folder that is served read-only", {
      details: { reason: "read_only" },
    });
  }
}
