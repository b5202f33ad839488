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
 * Said of a run whose pictures, or some of them, are no longer what they were.
 * @param about - of how many items that were looked at they are missing.
 */
export const inputsNotKept = (about: { missing?: number; checked?: number } = {}) =>
  new AppError(
    "conflict",
    "pictures of this run were not kept, or were removed or replaced since: runs made with persist_inputs can be run again",
    { details: { reason: "inputs_not_kept", ...about } },
  );

/** An item of the source run, as far as a rerun must know it. */
interface Chosen {
  index: number;
  /** Where its picture lies; undefined for an address, which is fetched anew. */
  object: { key: string; etag: string | null } | undefined;
}

/** The next chosen items behind `after`. @throws AppError `storage_unavailable`. */
export async function chunk(
  services: Pick<RunStores, "db">,
  source: Pick<RunRow, "runUid" | "keyId">,
  { only, after, most }: { only: "all" | "failed"; after: number; most: number },
): Promise<Chosen[]> {
  const [result] = await Database.batch(
    services.db,
    [
      Database.statement(
        sql`SELECT idx, object_key, etag, kept FROM ${item} WHERE ${Items.chosen(source.runUid, only)} AND ${item.index} > ${after} ORDER BY ${item.index} LIMIT ${most}`,
      ),
    ],
    "read",
  );
  return (result?.rows ?? []).map(({ idx, object_key, etag, kept }) => {
    const index = Number(idx);
    // Of a copy the version is not known: it was stored when the item was worked on.
    if (Number(kept) === 1) return { index, object: { key: keptKey(source, index), etag: null } };
    const known = etag === null ? null : String(etag);
    return { index, object: object_key === null ? undefined : { key: String(object_key), etag: known } };
  });
}

/**
 * Pictures must still be what they were, or a run would begin that can only fail.
 * @returns the items, each with the version that lies there now.
 * @throws AppError `conflict` with `details.reason` `inputs_not_kept` and of how many items they are `missing`;
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

/** True of an item whose picture is another run's copy, and that run is going or gone: one that it reran. */
export function isGoing(keyId: string): SQL {
  const root = keptRoot(keyId);
  // The run is named by the object's key: one look for each item, not all runs that were ever deleted.
  const owner = sql`substr(rtrim(${item.objectKey}, '0123456789'), ${root.length + 1}, length(rtrim(${item.objectKey}, '0123456789')) - ${root.length + 1})`;
  return sql`(substr(coalesce(${item.objectKey}, ''), 1, ${root.length}) = ${root} AND EXISTS (SELECT 1 FROM ${run} WHERE run_uid = ${owner} AND key_id = ${keyId} AND state IN ('deleting', 'deleted')))`;
}

/** What every `keptPrefix` of a key's runs begins with. */
const keptRoot = (keyId: string) => keptPrefix({ keyId, runUid: "" }).slice(0, -1);
