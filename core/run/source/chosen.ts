import { type SQL, sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import { itemTable as item, type RunRow, runTable as run } from "../run.sql.ts";
import type { RunStores } from "../services.ts";
import * as Items from "./items.ts";
import { keptKey, keptPrefix } from "./kept.ts";
import * as Pool from "./pool.ts";

/**
 * The error for a run whose pictures, or some of them, are no longer the same.
 * @param about - how many of the checked items lack their picture.
 */
export const inputsNotKept = (about: { missing?: number; checked?: number } = {}) =>
  new AppError(
    "conflict",
    "pictures of this run were not kept, or were removed or replaced since: runs made with persist_inputs can be run again",
    { details: { reason: "inputs_not_kept", ...about } },
  );

/** The fields of a source run's item that a rerun needs. */
interface Chosen {
  index: number;
  /** The key of its picture; undefined for a URL, which is fetched again. */
  object: { key: string; etag: string | null } | undefined;
}

/** The next chosen items after `after`. @throws AppError `storage_unavailable`. */
export async function chunk(
  services: Pick<RunStores, "db">,
  source: Pick<RunRow, "runUid" | "keyId">,
  { after, most, ...wish }: Items.Wish & { after: number; most: number },
): Promise<Chosen[]> {
  const [result] = await Database.batch(
    services.db,
    [
      Database.statement(
        sql`SELECT idx, object_key, etag, kept FROM ${item} WHERE ${Items.chosen(source.runUid, wish)} AND ${item.index} > ${after} ORDER BY ${item.index} LIMIT ${most}`,
      ),
    ],
    "read",
  );
  return (result?.rows ?? []).map(({ idx, object_key, etag, kept }) => {
    const index = Number(idx);
    // The version of a copy is unknown, because it was stored while the item was processed.
    if (Number(kept) === 1) return { index, object: { key: keptKey(source, index), etag: null } };
    const known = etag === null ? null : String(etag);
    return { index, object: object_key === null ? undefined : { key: String(object_key), etag: known } };
  });
}

/**
 * Checks that the pictures are still the same; otherwise the run could only fail.
 * @returns the items, each with the current version.
 * @throws AppError `conflict` with `details.reason` `inputs_not_kept` and the number of `missing` ones;
 *   `storage_unavailable`.
 */
export async function check(
  services: Pick<RunStores, "bucket">,
  log: Log,
  chosen: readonly Chosen[],
  deadline: number,
): Promise<Items.Taken[]> {
  const keys = [...new Set(chosen.flatMap(({ object }) => object?.key ?? []))];
  const versions = new Map<string, string>();
  await Pool.each(keys, deadline, async (key) => {
    const seen = await Bucket.head(services.bucket, log, key);
    if (seen !== undefined) versions.set(key, seen.etag);
  });
  const isMissing = ({ object }: Chosen) => {
    if (object === undefined) return false;
    const now = versions.get(object.key);
    return now === undefined || (object.etag !== null && object.etag !== now);
  };
  const missing = chosen.filter(isMissing).length;
  if (missing > 0) throw inputsNotKept({ missing, checked: chosen.length });
  return chosen.map(({ index, object }) => ({
    index,
    etag: object === undefined ? null : (versions.get(object.key) ?? null),
  }));
}

/** True for an item whose picture is the copy of another run that was deleted or is being deleted. */
export function isGoing(keyId: string): SQL {
  const root = keptRoot(keyId);
  // The object's key names the run, so one look-up per item is enough.
  const owner = sql`substr(rtrim(${item.objectKey}, '0123456789'), ${root.length + 1}, length(rtrim(${item.objectKey}, '0123456789')) - ${root.length + 1})`;
  return sql`(substr(coalesce(${item.objectKey}, ''), 1, ${root.length}) = ${root} AND EXISTS (SELECT 1 FROM ${run} WHERE run_uid = ${owner} AND key_id = ${keyId} AND state IN ('deleting', 'deleted')))`;
}

/** The common beginning of every `keptPrefix` of a key's runs. */
const keptRoot = (keyId: string) => keptPrefix({ keyId, runUid: "" }).slice(0, -1);
