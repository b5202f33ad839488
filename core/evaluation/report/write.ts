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

/** Whether to show pictures of the worst receipts, if the run kept its inputs. */
interface How {
  pictures: boolean;
  /** Epoch milliseconds at which the call has to answer. */
  deadline: number;
}

/** Time after the last picture, to write and sign the report. */
const reserveMs = 6_000;

/**
 * The report of an evaluation, made by the first call that requests it. It is made again by the next call only if the
 * time was over before all of its pictures were ready. Its thumbnails are only in the file.
 * @returns its key. It is removed with the evaluation, and so with the run.
 * @throws AppError `conflict` while there are no figures (`eval_not_ended`, `eval_failed`); `not_found` when it was deleted
 *   meanwhile; `storage_unavailable`.
 */
export async function write(stores: Stores, log: Log, row: Evaluation.Row, how: How): Promise<string> {
  const { db, bucket } = stores;
  const evaluation = await Read.measured(bucket, log, row);
  const whole = Place.report(row, how.pictures ? "whole" : "plain");
  if ((await Bucket.head(bucket, log, whole)) !== undefined) return whole;
  const { of } = await import("./report.ts");
  const kept = how.pictures ? await picturesOf(stores, log, row, how) : undefined;
  const given = kept ?? (how.pictures ? "not_kept" : "not_wanted");
  const body = await of(evaluation, Samples.of(bucket, log, evaluation.samples_ref), given);
  const rel = kept?.cut ? Place.report(row, "cut") : whole;
  const object = { body, contentType: "text/html; charset=utf-8" };
  // If another call was first, its report has the same content.
  await (kept?.cut ? Bucket.replace(bucket, log, rel, object) : Bucket.put(bucket, log, rel, object));
  if (await Evaluation.isThere(db, row.evalId)) return rel;
  // The evaluation was deleted while the report was made, so the report must not stay.
  await Bucket.remove(bucket, log, rel);
  throw new AppError("not_found", "the evaluation was deleted", { param: "eval_id" });
}

async function picturesOf(stores: Stores, log: Log, row: Evaluation.Row, { deadline }: How) {
  const { ofRun } = await import("./pictures.ts");
  return ofRun(stores, log, row, deadline - reserveMs);
}
