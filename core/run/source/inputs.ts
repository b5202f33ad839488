import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import type { RunRow } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import { keptPrefix } from "./kept.ts";

/*
 * The pictures that belong to a run: those that came with it, under a prefix of its own, and uploads, which other
 * runs may need too. What lies under the data root or behind a URL is never touched.
 */

type Stores = Pick<RunStores, "db" | "bucket">;

/** Objects that are removed at once. */
const removals = 16;

/** Removes these objects; those that are not there are fine. @throws AppError `storage_unavailable`. */
export async function removeAll(bucket: Bucket.Bucket, log: Log, rels: readonly string[]): Promise<void> {
  for (let i = 0; i < rels.length; i += removals)
    await Promise.all(rels.slice(i, i + removals).map((rel) => Bucket.remove(bucket, log, rel)));
}

/**
 * Removes whatever lies below a prefix, page by page, until nothing is left or the time is over.
 * @param each - is told of the keys that were removed.
 * @returns true when nothing is left.
 * @throws AppError `storage_unavailable`.
 */
export async function removeBelow(
  bucket: Bucket.Bucket,
  log: Log,
  prefix: string,
  deadline: number,
  each: (rels: string[]) => void = () => undefined,
): Promise<boolean> {
  for (;;) {
    const { objects, next } = await Bucket.list(bucket, log, { prefix });
    for (let i = 0; i < objects.length; i += removals) {
      const rels = objects.slice(i, i + removals).map(({ rel }) => rel);
      await removeAll(bucket, log, rels);
      each(rels);
      if (Date.now() >= deadline && i + removals < objects.length) return false;
    }
    if (next === undefined) return true;
    if (Date.now() >= deadline) return false;
  }
}

/**
 * Removes the pictures of the next items behind `after`, in the order of their indexes: the run's own, and uploads
 * that nobody else needs. Another run needs an upload while it has not ended, and for as long as it keeps its inputs; a
 * single extract that was handed over to the queue needs it until it ends.
 * The upload's row goes first and in the transaction that finds nobody who needs it: from then on no call can name it.
 * @param most - how many items; only those count that have a picture of these kinds.
 * @returns the last index that was looked at, undefined when there was none left; and how many uploads were removed
 *   of which the run has no copy.
 * @throws AppError `storage_unavailable`: the same call again does what is missing.
 */
export async function removeNext(
  services: Stores,
  log: Log,
  run: RunRow,
  after: number,
  most: number,
): Promise<{ last: number | undefined; uploads: number }> {
  const chunk = `SELECT idx, source_kind, object_key, kept FROM item
    WHERE run_uid = ?1 AND idx > ?2 AND source_kind IN ('upload', 'run') ORDER BY idx LIMIT ?3`;
  // The words of the partial indexes `item_object_key` and `extract_input_object`, so that they are used. The pluses: without a
  // column's affinity on the other side the index on the expression is searched, and not all extracts of the key are.
  const needed = `(EXISTS (SELECT 1 FROM item AS other JOIN run ON run.run_uid = other.run_uid
    WHERE other.source_kind = 'upload' AND other.object_key = mine.object_key AND other.run_uid <> ?1
      AND (run.state IN ('planning', 'running', 'canceling')
        OR (run.persist_inputs = 1 AND run.state IN ('finishing', 'succeeded', 'canceled'))))
    OR EXISTS (SELECT 1 FROM extract WHERE (input ->> '$.objectKey') = +mine.object_key
      AND input IS NOT NULL AND status IN ('queued', 'running') AND +key_id = ?4))`;
  // By the primary key: an upload's name is its ref (core/upload).
  const forget = `DELETE FROM upload WHERE +key_id = ?4 AND ref IN (
    SELECT 'upload_' || substr(mine.object_key, length('inputs/uploads/' || ?4 || '/') + 1)
    FROM (${chunk}) AS mine WHERE +mine.source_kind = 'upload' AND NOT ${needed})`;
  const look = `SELECT mine.idx, mine.object_key, mine.kept,
      CASE mine.source_kind WHEN 'upload' THEN ${needed} ELSE 0 END AS needed
    FROM (${chunk}) AS mine ORDER BY mine.idx`;
  const params = [run.runUid, after, most, run.keyId];
  const [, found] = await Database.batch(services.db, [
    { toSQL: () => ({ sql: forget, params }) },
    { toSQL: () => ({ sql: look, params }) },
  ]);
  const own = keptPrefix(run);
  const uploads = `inputs/uploads/${run.keyId}/`;
  const rows = (found?.rows ?? []).map((row) => ({
    rel: String(row.object_key),
    needed: Number(row.needed) === 1,
    kept: Number(row.kept) === 1,
  }));
  const going = rows
    .filter(({ needed }) => !needed)
    .map(({ rel }) => rel)
    // A run that took over the items of another names the other's pictures, too.
    .filter((rel) => rel.startsWith(own) || rel.startsWith(uploads));
  const unique = new Set(going);
  await removeAll(services.bucket, log, [...unique]);
  const copied = new Set(rows.filter(({ kept }) => kept).map(({ rel }) => rel));
  const last = found?.rows.at(-1)?.idx;
  return {
    last: last === undefined ? undefined : Number(last),
    uploads: [...unique].filter((rel) => rel.startsWith(uploads) && !copied.has(rel)).length,
  };
}
