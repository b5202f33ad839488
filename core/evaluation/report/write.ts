import * as Bucket from "#core/bucket/bucket";
import type * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Evaluation from "../evaluation.ts";
import * as Place from "../place.ts";
import * as Read from "../read.ts";
import * as Samples from "../samples.ts";

interface Stores {
  db: Database.Db;
  bucket: Bucket.Bucket;
}

/**
 * Makes the report of an evaluation with the first call; later calls return the same one.
 * @returns its key. The report is removed with the evaluation.
 * @throws AppError `conflict` while there are no figures (`eval_not_ended`, `eval_failed`); `not_found` if it was
 *   deleted in the meantime; `storage_unavailable`.
 */
export async function write({ db, bucket }: Stores, log: Log, row: Evaluation.Row): Promise<string> {
  const evaluation = await Read.measured(bucket, log, row);
  const rel = Place.report(row);
  if ((await Bucket.head(bucket, log, rel)) !== undefined) return rel;
  const { of } = await import("./report.ts");
  const body = await of(evaluation, Samples.of(bucket, log, evaluation.samples_ref));
  // If another call was first, its report has the same content.
  await Bucket.put(bucket, log, rel, { body, contentType: "text/html; charset=utf-8" });
  if (await Evaluation.isThere(db, row.evalId)) return rel;
  // Deleted while it was made: nothing of it may stay.
  await Bucket.remove(bucket, log, rel);
  throw new AppError("not_found", "the evaluation was deleted", { param: "eval_id" });
}
