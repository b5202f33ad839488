import * as Bucket from "#core/bucket/bucket";
import type * as Database from "#core/db/database";
import { AppError, invalidRequest } from "#core/error";
import * as GroundTruth from "#core/ground-truth/ground-truth";
import { defaultImageKey } from "#core/ground-truth/schema";
import * as Wrong from "#core/ground-truth/wrong";
import type { Principal } from "#core/key/key";
import { reachesAll } from "#core/key/visible";
import type { Log } from "#core/log";
import type { EvaluateBy, Wish } from "#core/run/evaluate-by";
import * as DataRoot from "#core/upload/data-root";
import { groundTruths } from "#spec/limits";

/**
 * Looks up the labels that a call names; null if it names none.
 * @throws AppError `invalid_request` for both kinds at once, for `gt_image_key` alone, and at `gt_id` or `gt_path` if
 *   there are none; `forbidden` without the scope, and for `gt_path` without debug mode; `payload_too_large`;
 *   `storage_unavailable`.
 */
export async function check(
  services: { db: Database.Db; bucket: Bucket.Bucket; debugMode: boolean },
  log: Log,
  wish: Wish,
  principal: Principal,
): Promise<EvaluateBy | null> {
  const { gt_id, gt_path, gt_image_key } = wish;
  const wrong = (path: string, message: string) => invalidRequest([{ path, message }]);
  if (gt_id !== undefined && gt_path !== undefined)
    throw wrong("gt_path", "only one of gt_id, gt_path can be given");
  if (gt_id === undefined && gt_path === undefined) {
    if (gt_image_key !== undefined) throw wrong("gt_image_key", "is for gt_id and gt_path");
    return null;
  }
  if (!principal.scopes.includes("debug:run"))
    throw new AppError("forbidden", "measuring a run needs the scope debug:run", {
      details: { required_scopes: ["debug:run"] },
      param: gt_id === undefined ? "gt_path" : "gt_id",
    });
  if (gt_id !== undefined) {
    const row = await ofGroundTruth(services.db, { gtId: gt_id, principal, log });
    return { gt_id, image_key: gt_image_key ?? row.imageKey };
  }
  if (!services.debugMode)
    throw new AppError("forbidden", "gt_path needs DEBUG_MODE=1", {
      details: { field: "gt_path", reason: "debug_mode_off" },
      param: "gt_path",
    });
  const key = gt_path ?? "";
  const problem = DataRoot.problem(key, { keyId: principal.keyId, allKeys: reachesAll(principal) });
  if (problem !== undefined) throw wrong("gt_path", problem);
  const object_key = `${DataRoot.dataRoot}${key}`;
  const seen = await Bucket.head(services.bucket, log, object_key);
  if (seen === undefined) throw wrong("gt_path", "there is nothing with this key");
  if (seen.bytes > groundTruths.bytes) throw Wrong.tooLarge(groundTruths.bytes);
  return { object_key, etag: seen.etag, image_key: gt_image_key ?? defaultImageKey };
}

/** A ground truth that a body names; a missing one is a mistake in the body. */
async function ofGroundTruth(db: Database.Db, wanted: GroundTruth.Wanted): Promise<GroundTruth.Row> {
  try {
    return await GroundTruth.find(db, wanted);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "not_found") throw thrown;
    throw invalidRequest([{ path: "gt_id", message: "there is no ground truth with this gt_id" }]);
  }
}
