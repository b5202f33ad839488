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

/** Which artifact is meant. */
interface Wanted {
  requestId: string;
  /** Another key's, with the scope `admin:all_keys` only. */
  keyId: string | undefined;
  /** Of which day and kind; without a day it is an extract, found through its row. */
  date: string | undefined;
  kind: Kind;
  /** The record of this attempt instead of what lies at the id's own key. */
  attempt: number | undefined;
}

const notFound = () => new AppError("not_found", "there is no artifact with this id");

/**
 * Where an artifact lies. With a day that follows from the id alone, and the object may be absent; without one the
 * extract's row knows, also of an attempt.
 * @throws AppError `not_found`, alike for unknown ids, another key's, and extracts that have stored nothing yet.
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

/** An item of a run, as far as its artifact is concerned. */
async function item(db: Db, keyId: string, requestId: string) {
  const found = await Run.itemBy(db, keyId, requestId);
  if (found === undefined) return undefined;
  return { keyId, requestId, createdAt: found.run.createdAt, artifactRel: found.item.artifactRel };
}
