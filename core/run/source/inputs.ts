import { sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import * as Needed from "#core/input/needed";
import type { Log } from "#core/log";
import { itemTable as item, type RunRow } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import * as Upload from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
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

/** Until when (epoch milliseconds), and what is called with the keys that were removed. */
interface Below {
  deadline?: number;
  each?(rels: string[]): void;
}

/**
 * Removes whatever lies below a prefix, page by page, until nothing is left or the time is over.
 * @returns true when nothing is left.
 * @throws AppError `storage_unavailable`.
 */
export async function removeBelow(
  bucket: Bucket.Bucket,
  log: Log,
  prefix: string,
  { deadline = Number.POSITIVE_INFINITY, each = () => undefined }: Below = {},
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
 * that are not needed elsewhere. Another run needs an upload while it has not ended, and for as long as it keeps its inputs; a
 * single extract that was handed over to the queue needs it until it ends.
 * The upload's row goes first and in the transaction that finds it unneeded: from then on no call can name it.
 * @param most - how many items; only those count that have a picture of these kinds.
 * @returns the last index that was looked at, undefined when there was none left; and how many uploads were removed
 *   of which the run has no copy.
 * @throws AppError `storage_unavailable`: the same call again does what is missing.
 */
export async function removeNext(
  services: Stores,
  log: Log,
  run: RunRow,
  { after, most }: { after: number; most: number },
): Promise<{ last: number | undefined; uploads: number }> {
  const chunk = sql`SELECT idx, source_kind, object_key, kept FROM ${item}
    WHERE run_uid = ${run.runUid} AND idx > ${after} AND source_kind IN ('upload', 'run') ORDER BY idx LIMIT ${most}`;
  const object = sql`mine.object_key`;
  const isNeeded = sql`(${Needed.isKept(object, run.runUid)} OR ${Needed.isUnread({ objectKey: object, keyId: run.keyId }, run.runUid)})`;
  const { found } = await Database.batch(services.db, {
    // By the primary key.
    forgotten: Database.statement(sql`DELETE FROM ${uploadTable} WHERE +key_id = ${run.keyId} AND ref IN (
      SELECT ${Upload.refIn(object, run.keyId)}
      FROM (${chunk}) AS mine WHERE +mine.source_kind = 'upload' AND NOT ${isNeeded})`),
    found: Database.statement(sql`SELECT mine.idx, mine.object_key, mine.kept,
        CASE mine.source_kind WHEN 'upload' THEN ${isNeeded} ELSE 0 END AS needed
      FROM (${chunk}) AS mine ORDER BY mine.idx`),
  });
  const own = keptPrefix(run);
  const uploads = Upload.prefixOf(run.keyId);
  const rows = (found.rows ?? []).map((row) => ({
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
  const last = found.rows.at(-1)?.idx;
  return {
    last: last === undefined ? undefined : Number(last),
    uploads: [...unique].filter((rel) => rel.startsWith(uploads) && !copied.has(rel)).length,
  };
}
