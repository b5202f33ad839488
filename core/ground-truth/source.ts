import * as Bucket from "#core/bucket/bucket";
import { AppError, invalidRequest } from "#core/error";
import type { Log } from "#core/log";
import * as Upload from "#core/upload/upload";
import * as GroundTruth from "./ground-truth.ts";
import * as Read from "./read.ts";

/*
 * uploaded(…)   the records of an upload, to be stored
 * kept(…)       the records of a ground truth
 */

/**
 * The records of an upload of `kind: ground_truth`, the same ones at every read.
 * @throws AppError `invalid_request` at `data_ref` if this key has no such upload or it has another kind, with
 *   `upload_missing` in `details.reason` if nothing was uploaded yet; `conflict` with `upload_replaced`; and what
 *   `Read.records` throws.
 */
export async function* uploaded(
  stores: Upload.Stores,
  log: Log,
  from: { ref: string; keyId: string; imageKey: string },
): AsyncGenerator<Read.Raw> {
  const wrong = (message: string, reason?: string) =>
    invalidRequest([{ path: "data_ref", message }], reason === undefined ? {} : { details: { reason } });
  const row = (await Upload.announced(stores.db, from.keyId, [from.ref])).get(from.ref);
  if (row === undefined) throw wrong("there is no upload with this data_ref");
  if (row.kind !== "ground_truth")
    throw wrong("this upload is not a ground truth: announce it with kind ground_truth");
  const object = await Bucket.read(stores.bucket, log, row.objectKey, row.etag ?? undefined);
  if (object === undefined && row.etag === null)
    throw wrong("nothing has been uploaded there yet", "upload_missing");
  const seen = [{ ref: row.ref, etag: object?.etag ?? "" }];
  const etag = row.etag ?? (await Upload.pin(stores.db, seen)).get(row.ref);
  if (object === undefined || etag !== object.etag)
    throw new AppError("conflict", "the uploaded file was removed or replaced since it was first read", {
      details: { reason: "upload_replaced" },
    });
  yield* Read.records(object.body, { imageKey: from.imageKey });
}

/**
 * The records of a ground truth, in order. Memory holds one at a time.
 * @param options.imageKey - the member that names the picture; by default the ground truth's own.
 * @throws AppError `not_found` with `details.reason` `gt_deleted` if its records are gone; `storage_unavailable`, also
 *   while iterating.
 */
export async function* kept(
  bucket: Bucket.Bucket,
  log: Log,
  row: Pick<GroundTruth.Row, "objectKey" | "imageKey">,
  options: { imageKey?: string | undefined } = {},
): AsyncGenerator<Read.Raw["record"]> {
  const object = await Bucket.read(bucket, log, row.objectKey);
  if (object === undefined) throw GroundTruth.deleted();
  const imageKey = options.imageKey ?? row.imageKey;
  for await (const { record } of Read.records(object.body, { imageKey })) yield record;
}
