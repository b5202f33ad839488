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
 * The pictures of a run: those that came with it, under its own prefix, and uploads, which other runs may need, too.
 * Files under the data root and behind URLs are never removed.
 */

type Stores = Pick<RunStores, "db" | "bucket">;

/** Objects that are removed in parallel. */
const removals = 16;

/** Removes these objects; missing ones are no error. @throws AppError `storage_unavailable`. */
export async function removeAll(bucket: Bucket.Bucket, log: Log, rels: readonly string[]): Promise<void> {
  for (let i = 0; i < rels.length; i += removals)
    await Promise.all(rels.slice(i, i + removals).map((rel) => Bucket.remove(bucket, log, rel)));
}

/** The deadline (epoch milliseconds), and a function that is called with the removed keys. */
interface Below {
  deadline?: number;
  each?(rels: string[]): void;
}

/**
 * Removes all objects below a prefix, page by page, until none is left or the time is over.
 * @returns true if none is left.
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
 * Removes the pictures of the next items after `after`, in order: the run's own, and uploads that no other work
 * needs. Another run needs an upload until it has ended, or longer if it keeps its inputs; a queued extract needs it
 * until it ends. The upload's row is removed first, in the transaction that finds it unneeded, so that no later call
 * can name it.
 * @param most - how many items; only those with such pictures count.
 * @returns the last index, undefined at the end; and how many uploads were removed of which the run has no copy.
 * @throws AppError `storage_unavailable`: the same call does what is left.
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
    // A run that took over items of another run also names that run's pictures.
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
