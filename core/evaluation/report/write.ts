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

/** With pictures: those of the worst receipts, if the run kept its inputs. */
interface How {
  pictures: boolean;
  /** Epoch milliseconds at which the call has to answer. */
  deadline: number;
}

/** Time after the last picture, to write and sign the report. */
const reserveMs = 6_000;

/**
 * The report of an evaluation, made by the first call that asks for it and never again, unless the time was over before
 * all of its pictures were there: that one is made anew by the next call. Its thumbnails are in the file and nowhere else.
 * @returns where it lies. It goes with the evaluation, and so with the run.
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
  // Where another call was first, its report says the same.
  await (kept?.cut ? Bucket.replace(bucket, log, rel, object) : Bucket.put(bucket, log, rel, object));
  if (await Evaluation.isThere(db, row.evalId)) return rel;
  // Deleted while it was made: nothing of it may stay.
  await Bucket.remove(bucket, log, rel);
  throw new AppError("not_found", "the evaluation was deleted", { param: "eval_id" });
}

async function picturesOf(stores: Stores, log: Log, row: Evaluation.Row, { deadline }: How) {
  const { ofRun } = await import("./pictures.ts");
  return ofRun(stores, log, row, deadline - reserveMs);
}
