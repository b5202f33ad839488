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

/** Counts of a restore's outcomes, in artifacts. */
export interface Restored {
  /** Written under their keys. */
  written: number;
  /** The same bytes were already there. */
  already_there: number;
  /** Another object is there, and is kept. */
  conflicts: number;
  /** Not restored: their extracts were deleted since the backup. */
  deleted: number;
  /** Not restored: their keys were revoked since the backup. */
  revoked: number;
  /** Rows of extracts that were inserted. */
  rows: number;
  /** Artifacts of runs, items and evaluations: they are in the bucket, but have no row. */
  without_row: number;
}

interface Stores {
  db: Db;
  bucket: Bucket.Bucket;
}

interface Options {
  /** Also artifacts of keys that are revoked in this database. */
  revoked: boolean;
  log: Log;
  signal: AbortSignal;
  /** Called after each batch with the counts so far. */
  onProgress?: (restored: Restored) => void;
  /** Called with the key of each artifact that was skipped because another object is there. */
  onConflict?: (path: string) => void;
}

/** Limits of a batch that is looked up, written and inserted together: artifacts, and bytes. */
const partArtifacts = 50;
const partBytes = 32 * 1024 * 1024;
const atOnce = 8;

/**
 * Restores the artifacts of a backup, each under its own key and only if no object is there, then inserts the rows of
 * extracts. May be repeated and resumed after an interruption at any point. The archive must have been verified before:
 * an entry that does not match the manifest ends the restore.
 * @throws AppError `storage_unavailable`; the signal's reason.
 */
export async function restore(
  stores: Stores,
  open: () => Readable,
  options: Options,
): Promise<{ restored: Restored; verified: Verify.Verified }> {
  const { settings } = stores.bucket;
  // Never overwrites, whatever S3_ALLOW_OVERWRITE is.
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
  /** Set for a single extract; undefined for a run, an item, or the record of an attempt. */
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
  // After a failure no further artifact is written.
  const ended = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  const failed = ended.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  restored.rows += await Restore.insert(db, rows);
}

/** How often a key is read when it was refused as taken although no object is there: another write is in progress. */
const looks = 5;
const lookPauseMs = 200;

/** True if these bytes are stored there now. */
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

/** The extract's artifact if its content matches its key; empty for any other text. */
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
