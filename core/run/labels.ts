import * as Bucket from "#core/bucket/bucket";
import * as GroundTruth from "#core/ground-truth/ground-truth";
import * as Read from "#core/ground-truth/read";
import type { GroundTruth as Labels } from "#core/ground-truth/record";
import * as Source from "#core/ground-truth/source";
import type { Log } from "#core/log";
import type { EvaluateBy } from "./evaluate-by.ts";

/** Labels that a run is evaluated by. */
interface Wanted {
  /** Undefined for a `gt_path`, which has no row. */
  groundTruth: GroundTruth.Row | undefined;
  /** Reads the records from the start each time it is called. Memory is bounded by one record. */
  records(): AsyncIterable<Labels>;
}

/**
 * Finds the labels that the row of an ending run names; undefined if it names none.
 * @throws AppError `not_found` with `details.reason` `gt_deleted` if they were deleted or replaced since;
 *   `storage_unavailable`. `records` throws the same, and the faults of a file that was not checked before.
 */
export async function labelsOf(
  stores: GroundTruth.Stores,
  log: Log,
  run: { keyId: string; evaluateBy: EvaluateBy | null },
): Promise<Wanted | undefined> {
  const { evaluateBy } = run;
  if (evaluateBy === null) return undefined;
  const imageKey = evaluateBy.image_key;
  if ("gt_id" in evaluateBy) {
    const groundTruth = await GroundTruth.byId(stores.db, evaluateBy.gt_id);
    if (groundTruth === undefined || groundTruth.keyId !== run.keyId) throw GroundTruth.deleted();
    const records = () => Source.kept(stores.bucket, log, groundTruth, { imageKey });
    return { groundTruth, records };
  }
  const { object_key, etag } = evaluateBy;
  async function* records(): AsyncGenerator<Labels> {
    const object = await Bucket.read(stores.bucket, log, object_key, etag);
    if (object === undefined) throw GroundTruth.deleted();
    for await (const { record } of Read.records(object.body, { imageKey })) yield record;
  }
  return { groundTruth: undefined, records };
}
