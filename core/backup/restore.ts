import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import type { Db } from "#core/db/database";
import { AppError } from "#core/error";
import * as Restore from "#core/extraction/restore";
import * as Id from "#core/id";
import * as Key from "#core/key/key";
import type { Log } from "#core/log";
import * as Record from "#core/reading/record";
import type { Artifact } from "#core/reading/schema";
import * as Verify from "./verify.ts";

/** What became of the artifacts of a backup. */
export interface Restored {
  /** Written under their keys. */
  written: number;
  /** The same bytes lay there before. */
  already_there: number;
  /** Something else lies there, and stays. */
  conflicts: number;
  /** Of extracts that were deleted since. */
  deleted: number;
  /** Of keys that were revoked since. */
  revoked: number;
  /** Rows of extracts that were made. */
  rows: number;
  /** Artifacts of runs, their items and evaluations: they lie in the bucket, and no row leads to them. */
  without_row: number;
}

interface Stores {
  db: Db;
  bucket: Bucket.Bucket;
}

export interface Options {
  /** Also artifacts of keys that are revoked in this database. */
  revoked: boolean;
  log: Log;
  signal: AbortSignal;
  /** Called after each part with what was done so far. */
  onProgress?: (restored: Restored) => void;
  /** The keys of artifacts that were left as they are, for people. */
  onConflict?: (path: string) => void;
}

/** So many are looked up, written and given rows together, and at most so many bytes of them. */
const partArtifacts = 50;
const partBytes = 32 * 1024 * 1024;
const atOnce = 8;

/**
 * Puts the artifacts of a backup back, each under its own key and only where nothing lies, then makes the rows by which
 * extracts are found. It may be repeated, and taken up again after an interruption at any point: what is there is seen to
 * be there. The archive must have been verified before: an entry that does not agree ends it.
 * @throws AppError `storage_unavailable`; the signal's reason.
 */
export async function restore(
  stores: Stores,
  open: () => Readable,
  options: Options,
): Promise<{ restored: Restored; verified: Verify.Verified }> {
  const { settings } = stores.bucket;
  // Nothing is overwritten by this, whatever S3_ALLOW_OVERWRITE says.
  const bucket = { ...stores.bucket, settings: { ...settings, allowOverwrite: false } };
  const revoked = options.revoked ? new Set<string>() : await revokedKeys(stores.db);
  const restored: Restored = {
    ...{ written: 0, already_there: 0, conflicts: 0, deleted: 0, revoked: 0, rows: 0, without_row: 0 },
  };
  let part: Entry[] = [];
  let bytes = 0;
  const flush = async () => {
    options.signal.throwIfAborted();
    await putBack({ db: stores.db, bucket }, part, restored, options);
    part = [];
    bytes = 0;
    options.onProgress?.(restored);
  };
  const verified = await Verify.read(open, async (whole) => {
    const entry = { ...whole, ...placeOf(whole.path) };
    if (revoked.has(entry.keyId)) {
      restored.revoked += 1;
      return;
    }
    part.push(entry);
    bytes += whole.bytes.length;
    if (part.length >= partArtifacts || bytes >= partBytes) await flush();
  });
  if (part.length > 0) await flush();
  return { restored, verified };
}

interface Entry extends Verify.Whole {
  keyId: string;
  /** Of an extract that a caller asked for by itself; undefined: of a run, of an item, or the record of an attempt. */
  requestId: string | undefined;
}

function placeOf(path: string): Pick<Entry, "keyId" | "requestId"> {
  const [kind, , keyId = "", file = ""] = path.split("/");
  const id = file.replace(/\.json$/, "");
  const isExtract = kind === "extracts" && file.endsWith(".json") && Id.isRequestId(id);
  return { keyId, requestId: isExtract ? id : undefined };
}

async function revokedKeys(db: Db): Promise<Set<string>> {
  const keys = await Key.list(db);
  return new Set(keys.filter((key) => key.revoked_at !== null).map((key) => key.key_id));
}

async function putBack(
  { db, bucket }: Stores,
  part: readonly Entry[],
  restored: Restored,
  options: Options,
): Promise<void> {
  const named = part.flatMap(({ keyId, requestId }) =>
    requestId === undefined ? [] : [{ keyId, requestId }],
  );
  const known = await Restore.statuses(db, named);
  const statusOf = ({ keyId, requestId }: Entry) =>
    requestId === undefined ? undefined : known.get(`${keyId}/${requestId}`);
  const rows: Artifact[] = [];
  const queue = part.values();
  const worker = async () => {
    for (const entry of queue) {
      const status = statusOf(entry);
      // A deleted object is not brought back by a restore.
      if (status === "deleted" || status === "deleting") restored.deleted += 1;
      else if (!(await isThere(bucket, entry, restored, options))) continue;
      else if (entry.requestId === undefined) restored.without_row += 1;
      else if (status === undefined) rows.push(...artifactOf(entry));
    }
  };
  // After a failure nothing more is written: a second try must find the bucket as it is.
  const ended = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  const failed = ended.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  restored.rows += await Restore.insert(db, rows);
}

/** How often a place is looked at that was refused as taken while nothing lay there: another writer is at it. */
const looks = 5;
const lookPauseMs = 200;

/** True when these bytes lie there now. */
async function isThere(
  bucket: Bucket.Bucket,
  { path, bytes, sha256 }: Entry,
  restored: Restored,
  { log, onConflict }: Options,
): Promise<boolean> {
  const type = path.endsWith(".json") ? "application/json" : "application/octet-stream";
  for (let look = 1; ; look += 1) {
    if ((await Bucket.put(bucket, log, path, { body: bytes, contentType: type })) === "written") {
      restored.written += 1;
      return true;
    }
    const stored = await Bucket.get(bucket, log, path);
    if (stored === undefined && look === looks)
      throw new AppError("storage_unavailable", `the bucket refuses ${path}, where nothing lies`);
    if (stored === undefined) {
      await sleep(lookPauseMs);
      continue;
    }
    const isSame = createHash("sha256").update(stored).digest("hex") === sha256;
    restored[isSame ? "already_there" : "conflicts"] += 1;
    if (!isSame) onConflict?.(path);
    return isSame;
  }
}

/** The extract's artifact, where what it says of itself is where it lies; nothing for any other text. */
function artifactOf({ path, keyId, requestId, bytes }: Entry): Artifact[] {
  try {
    const artifact = Record.decode(new TextDecoder().decode(bytes));
    const own = Place.extractKey(keyId, artifact.request_id, new Date(artifact.created_at));
    const isOwn = own === path && artifact.request_id === requestId && artifact.principal.key_id === keyId;
    return isOwn && ["succeeded", "failed"].includes(artifact.status) ? [artifact] : [];
  } catch {
    return [];
  }
}
