import { and, eq, inArray } from "drizzle-orm";
import type * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import { itemTable, type RunRow, runTable } from "#core/run/run.sql";
import { keptKey } from "#core/run/source/kept";
import * as Source from "#core/source/source";
import type { Row } from "../evaluation.sql.ts";
import * as Thumbnail from "./thumbnail.ts";

interface Stores {
  db: Database.Db;
  bucket: Bucket.Bucket;
}

/** Returns the thumbnails of items by their indexes, in the same order. */
export interface Pictures {
  of(indexes: readonly number[]): Promise<Thumbnail.Thumbnail[]>;
  /** True if some pictures are missing only because the time was over. */
  readonly cut: boolean;
}

const outOfTime = { missing: "there was no time left for it" };

/**
 * The pictures of a run that kept its inputs (`persist_inputs`); undefined for any other. They are those that the run itself
 * keeps, and those under the data root: a picture that another run keeps may go before this run does.
 * @param until - epoch milliseconds after which no picture is begun.
 * @throws AppError `storage_unavailable`; `of` throws the same.
 */
export async function ofRun(
  { db, bucket }: Stores,
  log: Log,
  { runUid }: Pick<Row, "runUid">,
  until: number,
): Promise<Pictures | undefined> {
  const runs = await Database.read(db.query.select().from(runTable).where(eq(runTable.runUid, runUid)));
  const run = runs[0];
  if (run === undefined || !run.persistInputs) return undefined;

  let cut = false;
  return {
    get cut() {
      return cut;
    },
    async of(indexes) {
      const places = await placesOf(db, run, indexes);
      const found: Thumbnail.Thumbnail[] = [];
      // While one is decoded, the next is read.
      const load = (index: number) => loaded(bucket, log, places.get(index), until);
      let next = load(indexes[0] ?? -1);
      for (const [i] of indexes.entries()) {
        const bytes = await next;
        const following = indexes[i + 1];
        if (following !== undefined) {
          next = load(following);
          // The error is thrown where the promise is awaited.
          next.catch(() => undefined);
        }
        const late = Date.now() >= until;
        const one = "missing" in bytes ? bytes : late ? outOfTime : await Thumbnail.of(bytes, { until });
        cut ||= "missing" in one && Date.now() >= until;
        found.push(one);
      }
      return found;
    },
  };
}

interface Place {
  objectKey: string;
  etag: string | null;
}

/** The places of pictures, by the indexes of their items; pictures that may be removed before the run have none. */
async function placesOf(
  db: Database.Db,
  run: RunRow,
  indexes: readonly number[],
): Promise<Map<number, Place>> {
  const { index, kept, sourceKind, objectKey, etag } = itemTable;
  const chosen = and(eq(itemTable.runUid, run.runUid), inArray(index, [...new Set(indexes)]));
  const rows = await Database.read(
    db.query.select({ index, kept, sourceKind, objectKey, etag }).from(itemTable).where(chosen),
  );
  return new Map(
    rows.flatMap((row): [number, Place][] => {
      if (row.kept) return [[row.index, { objectKey: keptKey(run, row.index), etag: null }]];
      const stays = row.sourceKind === "run" || row.sourceKind === "data";
      return stays && row.objectKey !== null
        ? [[row.index, { objectKey: row.objectKey, etag: row.etag }]]
        : [];
    }),
  );
}

/** The bytes of a picture, or the reason why there are none. @throws AppError `storage_unavailable`. */
async function loaded(
  bucket: Bucket.Bucket,
  log: Log,
  place: Place | undefined,
  until: number,
): Promise<Uint8Array | { missing: string }> {
  if (place === undefined) return { missing: "it was not kept" };
  if (Date.now() >= until) return outOfTime;
  try {
    const bytes = await Source.reload(bucket, log, place);
    return bytes ?? { missing: "it was removed or replaced after it was read" };
  } catch (thrown) {
    if (thrown instanceof AppError && !thrown.retry) return { missing: thrown.message };
    throw thrown;
  }
}
