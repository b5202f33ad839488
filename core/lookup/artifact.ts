import type { Kind } from "#core/artifact/listing";
import * as Place from "#core/artifact/place";
import type { Db } from "#core/db/database";
import { AppError } from "#core/error";
import * as Row from "#core/extraction/row";
import * as Id from "#core/id";
import type { Principal } from "#core/key/key";
import { visibleKey } from "#core/key/visible";
import type { Log } from "#core/log";
import * as Run from "#core/run/run";

/** The requested artifact. */
interface Wanted {
  requestId: string;
  /** Another key's artifact; only with the scope `admin:all_keys`. */
  keyId: string | undefined;
  /** Its day and kind. Without a day it is an extract, which is found through its row. */
  date: string | undefined;
  kind: Kind;
  /** The record of this attempt instead of the final artifact. */
  attempt: number | undefined;
}

const notFound = () => new AppError("not_found", "there is no artifact with this id");

/**
 * Finds the key of an artifact. With a day it follows from the id, and the object may be absent; without a day the
 * extract's row has it, also for an attempt.
 * @throws AppError `not_found`, the same for unknown ids, other keys' ids, and extracts without an artifact.
 */
export async function locate(db: Db, wanted: Wanted, principal: Principal, log: Log): Promise<string> {
  const { requestId, attempt } = wanted;
  const keyId = visibleKey(principal, wanted.keyId, {
    log,
    action: "read",
    what: "artifacts",
    id: requestId,
  });
  if (!Id.isReadableId(requestId)) throw notFound();
  if (wanted.date !== undefined) {
    const name = attempt === undefined ? requestId : `${requestId}~attempt-${attempt}`;
    return `${wanted.kind}/${wanted.date}/${keyId}/${name}.json`;
  }
  if (wanted.kind !== "extracts") throw notFound();
  const row = (await item(db, keyId, requestId)) ?? (await Row.find(db, keyId, requestId));
  if (row === undefined) throw notFound();
  if (attempt !== undefined) return Place.attemptKey(row.keyId, row.requestId, row.createdAt, attempt);
  if (row.artifactRel === null) throw notFound();
  return row.artifactRel;
}

/** The fields of a run's item that its artifact's key needs. */
async function item(db: Db, keyId: string, requestId: string) {
  const found = await Run.itemBy(db, keyId, requestId);
  if (found === undefined) return undefined;
  return { keyId, requestId, createdAt: found.run.createdAt, artifactRel: found.item.artifactRel };
}
