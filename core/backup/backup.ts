import { createHash } from "node:crypto";
import * as Listing from "#core/artifact/listing";
import * as Bucket from "#core/bucket/bucket";
import * as Id from "#core/id";
import type { Log } from "#core/log";
import * as Archive from "./archive.ts";
import * as Job from "./job.ts";
import type { Limits } from "./limits.ts";

/** A backup: its bytes, its place in the bucket, or that it is in progress. */
type Outcome =
  | { kind: "bytes"; bytes: Uint8Array }
  | { kind: "stored"; rel: string }
  | { kind: "building"; entries: number; retryAfterS: number };

/**
 * A tar.gz of every artifact in the range, with a manifest of sha256s. A small one is made at once. A large one is
 * ordered through the `later` queue; repeating the call with the same key returns the progress and orders nothing new
 * while the job runs, and for `limits.reuseMs` after it ended.
 * @param caller - the key that asks and owns the archive. The caller of this function checks whether that key may read
 *   the range.
 * @throws AppError `storage_unavailable`.
 */
export async function request(
  services: Job.Services,
  range: Listing.Range,
  caller: { keyId: string; log: Log; limits: Limits },
): Promise<Outcome> {
  const { bucket } = services;
  const { log, limits } = caller;
  const rel = stateRel(caller.keyId, range);
  const held = await Job.load(bucket, log, rel);
  if (held !== undefined && isCurrent(held.state, limits)) return progress(services, rel, held.state, limits);

  const createdAt = new Date();
  const few = await countUpTo(bucket, log, range, limits);
  if (few !== undefined) {
    const bytes = await build({ bucket, log }, range, few, { createdAt, limits });
    if (bytes.length <= limits.answerBytes) return { kind: "bytes", bytes };
    const stored = Job.archiveRel(rel, Id.create());
    await Bucket.replace(bucket, log, stored, { body: bytes, contentType: "application/gzip" });
    return { kind: "stored", rel: stored };
  }

  const state = begin(range, createdAt);
  const condition = held === undefined ? ({ absent: true } as const) : { etag: held.etag };
  const saved = await Job.save({ bucket, log, rel }, state, condition);
  // Otherwise a concurrent call requested the same backup, and its job continues.
  if (saved !== undefined) {
    await services.send(Job.next(rel, state));
    await sweep(bucket, log, caller.keyId, limits.keepMs);
  }
  return { kind: "building", entries: 0, retryAfterS: limits.retryAfterS };
}

/** The same caller and the same range are the same job. */
function stateRel(keyId: string, range: Listing.Range): string {
  const what = [range.kinds.toSorted(), range.keyId ?? null, range.from ?? null, range.to ?? null];
  return `backups/${keyId}/${createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 32)}.json`;
}

function isCurrent(state: Job.State, limits: Limits): boolean {
  if (state.unpacked === undefined) return false;
  const since = Date.now() - (state.finishedAt ?? state.updatedAt);
  return since < (state.finishedAt === null ? limits.keepMs : limits.reuseMs);
}

async function progress(
  services: Job.Services,
  rel: string,
  state: Job.State,
  limits: Limits,
): Promise<Outcome> {
  if (state.finishedAt !== null) return { kind: "stored", rel: Job.archiveRel(rel, state.job) };
  const now = Date.now();
  // The job's message is lost or late; a second one is harmless.
  if (state.leaseUntil < now && now - state.updatedAt > limits.idleMs)
    await services.send(Job.next(rel, state));
  return { kind: "building", entries: state.entries, retryAfterS: limits.retryAfterS };
}

function begin(range: Listing.Range, createdAt: Date): Job.State {
  return {
    job: Id.create(),
    kinds: range.kinds.toSorted(),
    keyId: range.keyId ?? null,
    from: range.from ?? null,
    to: range.to ?? null,
    createdAt: createdAt.toISOString(),
    step: 0,
    place: "",
    uploadId: null,
    etags: [],
    entries: 0,
    bytes: 0,
    manifestSteps: [],
    manifestBytes: 0,
    unpacked: Archive.nothing,
    leaseUntil: 0,
    updatedAt: createdAt.getTime(),
    finishedAt: null,
    archiveBytes: null,
  };
}

/** The range's objects; undefined as soon as there are too many for a direct backup. */
async function countUpTo(
  bucket: Bucket.Bucket,
  log: Log,
  range: Listing.Range,
  { direct }: Limits,
): Promise<Bucket.Listed[] | undefined> {
  const found: Bucket.Listed[] = [];
  let bytes = 0;
  let calls = 0;
  for await (const { objects } of Listing.walk(bucket, log, range)) {
    for (const object of objects) {
      found.push(object);
      bytes += object.bytes;
    }
    calls += 1;
    if (found.length > direct.objects || bytes > direct.bytes || calls > direct.listCalls) return undefined;
  }
  return found;
}

/** The archive in memory, with the same bytes as the steps would produce from these objects. */
async function build(
  { bucket, log }: { bucket: Bucket.Bucket; log: Log },
  range: Listing.Range,
  objects: readonly Bucket.Listed[],
  { createdAt, limits }: { createdAt: Date; limits: Limits },
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const sink = async (bytes: Uint8Array) => void chunks.push(bytes);
  const lines: Archive.ManifestLine[] = [];
  let open: Bucket.Listed[] = [];
  let openBytes = 0;
  let unpacked = Archive.nothing;
  for (const [i, object] of objects.entries()) {
    open.push(object);
    openBytes += object.bytes;
    if (i + 1 < objects.length && !Archive.fills(open, openBytes, limits.segment)) continue;
    const entries = Archive.contents(bucket, log, open, lines);
    unpacked = await Archive.writeSegment(entries, sink, unpacked, { last: false });
    [open, openBytes] = [[], 0];
  }
  const piece = Archive.encodeLines(lines);
  const head: Archive.ManifestHead = {
    format: Archive.format,
    created_at: createdAt.toISOString(),
    kinds: range.kinds.toSorted(),
    key_id: range.keyId ?? null,
    from: range.from ?? null,
    to: range.to ?? null,
    entries: lines.length,
    bytes: lines.reduce((sum, line) => sum + line.bytes, 0),
  };
  async function* pieces() {
    yield piece;
  }
  await Archive.writeSegment(Archive.manifest(head, piece.length, pieces()), sink, unpacked, { last: true });
  return Buffer.concat(chunks);
}

/** Removes old backups of this key that no lifecycle rule has removed, at most one page of the listing. */
async function sweep(bucket: Bucket.Bucket, log: Log, keyId: string, keepMs: number): Promise<void> {
  const { objects } = await Bucket.list(bucket, log, { prefix: `backups/${keyId}/`, max: 100 });
  const old = objects.filter(({ modified }) => Date.now() - modified.getTime() > keepMs);
  await Promise.all(old.map(({ rel }) => Bucket.remove(bucket, log, rel)));
}
