import * as z from "zod";
import * as Listing from "#core/artifact/listing";
import * as Bucket from "#core/bucket/bucket";
import * as Multipart from "#core/bucket/multipart";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Archive from "./archive.ts";
import type { Limits } from "./limits.ts";
import { Gone, parts } from "./parts.ts";

/**
 * A large backup is made in steps; each is a message of the `later` queue and orders the next. One state object is
 * changed by compare-and-set. Beside it, each step stores the manifest's lines and the bytes that did not fill a part.
 * A step that crashed is repeated from the state before it and writes the same bytes, so the archive does not depend on
 * the number of repeats.
 */
export const State = z.object({
  /** New for each archive; part of the names of all its objects. */
  job: z.string(),
  kinds: z.array(z.enum(Listing.kinds)),
  keyId: z.string().nullable(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  /** Objects written later are left out, so that every try sees the same ones. */
  createdAt: z.iso.datetime(),
  /** How many steps are done. */
  step: z.int(),
  /** Progress of the walk; see `Listing.walk`. */
  place: z.string(),
  uploadId: z.string().nullable(),
  etags: z.array(z.string()),
  entries: z.int(),
  bytes: z.int(),
  /** Steps that stored lines of the manifest, and the total size of these lines. */
  manifestSteps: z.array(z.int()),
  manifestBytes: z.int(),
  /** Absent in the state of an older version with another format; such a job is not continued. */
  unpacked: z.object({ crc32: z.int(), bytes: z.int() }).optional(),
  /** End of the worker's lease, in epoch milliseconds. */
  leaseUntil: z.int(),
  updatedAt: z.int(),
  finishedAt: z.int().nullable(),
  archiveBytes: z.int().nullable(),
});
export type State = z.output<typeof State>;

/** The message that orders a step. */
export const Message = z.strictObject({
  kind: z.literal("backup"),
  /** The state object's key. */
  state: z.string().regex(/^backups\/[^/]+\/[0-9a-f]+\.json$/),
  job: z.string(),
  step: z.int(),
});
export type Message = z.output<typeof Message>;

export interface Services {
  bucket: Bucket.Bucket;
  /** Puts a message into the `later` queue. */
  send(message: Message): Promise<void>;
}

const json = "application/json";

const within = (stateRel: string, job: string) => `${stateRel.replace(/\.json$/, "")}.${job}`;
/** Key of a job's archive. */
export const archiveRel = (stateRel: string, job: string) => `${within(stateRel, job)}.tar.gz`;
const workPrefix = (stateRel: string, job: string) => `${within(stateRel, job)}/`;
const carryRel = (stateRel: string, job: string, step: number) => `${workPrefix(stateRel, job)}carry-${step}`;
const linesRel = (stateRel: string, job: string, step: number) => `${workPrefix(stateRel, job)}lines-${step}`;

/**
 * The state and its ETag. @throws AppError `storage_unavailable`, `internal` if the object there is not a backup's
 * state.
 */
export async function load(
  bucket: Bucket.Bucket,
  log: Log,
  rel: string,
): Promise<{ state: State; etag: string } | undefined> {
  const opened = await Bucket.read(bucket, log, rel);
  if (opened === undefined) return undefined;
  const bytes: Uint8Array[] = [];
  for await (const piece of opened.body) bytes.push(piece);
  try {
    return { state: State.parse(JSON.parse(Buffer.concat(bytes).toString("utf8"))), etag: opened.etag };
  } catch (thrown) {
    throw new AppError("internal", "the state of this backup cannot be read", { cause: thrown });
  }
}

/** A job, by the key of its state. */
interface Place {
  bucket: Bucket.Bucket;
  log: Log;
  rel: string;
}

/** Stores the state if it has not changed. @returns the new ETag, or undefined when another writer was faster. */
export function save(
  { bucket, log, rel }: Place,
  state: State,
  condition: { etag: string } | { absent: true },
): Promise<string | undefined> {
  return Bucket.replace(bucket, log, rel, { body: JSON.stringify(state), contentType: json, ...condition });
}

/** The message for the next step. */
export const next = (rel: string, state: State): Message => ({
  kind: "backup",
  state: rel,
  job: state.job,
  step: state.step,
});

/**
 * Does one step and orders the next. When it returns, the message is done. A message of an older step, of another job
 * or of a finished one changes nothing.
 * @param context.deadline - epoch milliseconds by which the step must have ended; @param context.leaseUntil - when its
 *   worker has certainly ended.
 * @throws AppError that may be retried, with `retryAfterS`: deliver the message again then.
 */
export async function step(
  services: Services,
  message: Message,
  context: { deadline: number; leaseUntil: Date; log: Log; limits: Limits },
): Promise<void> {
  const { bucket } = services;
  const log = context.log.child({ backup: message.job, step: message.step });
  const rel = message.state;
  const held = await load(bucket, log, rel);
  if (held === undefined || held.state.job !== message.job || held.state.unpacked === undefined) return;
  const { state } = held;
  if (state.finishedAt !== null) return clean(bucket, log, rel, state.job);
  const leased = state.leaseUntil > Date.now();
  if (message.step !== state.step) {
    // The step was done, but its worker may have died before it ordered the next.
    if (message.step === state.step - 1 && !leased) await services.send(next(rel, state));
    return;
  }
  if (leased) throw taken(state.leaseUntil);
  const now = Date.now();
  const uploadId =
    state.uploadId ?? (await Multipart.create(bucket, log, archiveRel(rel, state.job), "application/gzip"));
  const claimed: State = {
    ...state,
    uploadId,
    leaseUntil: context.leaseUntil.getTime(),
    updatedAt: now,
  };
  const etag = await save({ bucket, log, rel }, claimed, { etag: held.etag });
  if (etag === undefined) throw taken(claimed.leaseUntil);

  let after: State | undefined;
  try {
    const until = context.deadline - (context.deadline - now) * context.limits.reserveShare;
    after = await work({ bucket, log, rel }, claimed, { uploadId, until, limits: context.limits });
  } catch (thrown) {
    // Ends the lease, so that a retry can begin at once. If this fails too, the retry waits for the lease.
    await save({ bucket, log, rel }, { ...claimed, leaseUntil: 0 }, { etag }).catch(() => undefined);
    throw thrown;
  }
  if (after === undefined) {
    // The job is too old, or its parts were removed: the next request starts a new one.
    log.error("backup_lost", { parts: state.etags.length });
    return Bucket.remove(bucket, log, rel);
  }
  const stored = { ...after, step: state.step + 1, leaseUntil: 0, updatedAt: Date.now() };
  if ((await save({ bucket, log, rel }, stored, { etag })) === undefined) throw taken(claimed.leaseUntil);
  log.info("backup_step", {
    entries: stored.entries,
    parts: stored.etags.length,
    finished: stored.finishedAt !== null,
  });
  if (stored.finishedAt === null) await services.send(next(rel, stored));
  else await clean(bucket, log, rel, state.job);
}

/** Another worker holds the step, or may hold it: deliver the message again after its lease. */
function taken(until: number): AppError {
  return new AppError("internal", "another worker holds this step", {
    retryAfterS: Math.max(1, Math.ceil((until - Date.now()) / 1000)),
  });
}

/** The state after the step; undefined if the output of earlier steps is gone and no archive exists. */
async function work(
  { bucket, log, rel }: Place,
  state: State,
  { uploadId, until, limits }: { uploadId: string; until: number; limits: Limits },
): Promise<State | undefined> {
  const target = archiveRel(rel, state.job);
  const upload = { rel: target, id: uploadId };
  const lines: Archive.ManifestLine[] = [];
  try {
    const before = carryRel(rel, state.job, state.step - 1);
    const carry = state.step === 0 ? new Uint8Array() : await Bucket.get(bucket, log, before);
    if (carry === undefined) throw new Gone("the output of the step before is gone");
    const out = parts(bucket, log, upload, { etags: state.etags, carry, partBytes: limits.partBytes });
    const walked = await walk(bucket, log, state, { until, limits, lines, sink: out.write });
    const bytes = state.bytes + lines.reduce((sum, line) => sum + line.bytes, 0);
    const { place, unpacked } = walked;
    const counted = { ...state, entries: state.entries + lines.length, bytes, place, unpacked };
    if (walked.ended) return await finish({ bucket, log, rel }, counted, lines, out);

    const piece = Archive.encodeLines(lines);
    const write = (to: string, body: Uint8Array) =>
      Bucket.replace(bucket, log, to, { body, contentType: "application/octet-stream" });
    await write(carryRel(rel, state.job, state.step), out.carry());
    if (piece.length > 0) await write(linesRel(rel, state.job, state.step), piece);
    return {
      ...counted,
      etags: out.etags,
      manifestSteps: piece.length > 0 ? [...state.manifestSteps, state.step] : state.manifestSteps,
      manifestBytes: state.manifestBytes + piece.length,
    };
  } catch (thrown) {
    if (!(thrown instanceof Gone)) throw thrown;
    return whole(bucket, log, target, state);
  }
}

/** A step that completed the upload and then died: the archive exists. */
async function whole(
  bucket: Bucket.Bucket,
  log: Log,
  target: string,
  state: State,
): Promise<State | undefined> {
  const found = await Bucket.head(bucket, log, target);
  return found && { ...state, finishedAt: Date.now(), archiveBytes: found.bytes };
}

interface Walking {
  /** Epoch milliseconds after which no further segment is begun. */
  until: number;
  limits: Limits;
  lines: Archive.ManifestLine[];
  sink: Archive.Sink;
}

/** Writes segments. A step ends only between two of them, so that the archive's bytes do not depend on the steps. */
async function walk(
  bucket: Bucket.Bucket,
  log: Log,
  state: State,
  { until, limits, lines, sink }: Walking,
): Promise<{ ended: boolean; place: string; unpacked: Archive.Unpacked }> {
  const range = {
    kinds: state.kinds,
    keyId: state.keyId ?? undefined,
    from: state.from ?? undefined,
    to: state.to ?? undefined,
  };
  let { place, unpacked = Archive.nothing } = state;
  let segments = 0;
  let open: Bucket.Listed[] = [];
  let openBytes = 0;
  const write = async () => {
    const entries = Archive.contents(bucket, log, open, lines);
    unpacked = await Archive.writeSegment(entries, sink, unpacked, { last: false });
    place = open.at(-1)?.rel ?? place;
    [open, openBytes, segments] = [[], 0, segments + 1];
  };
  const spent = () => Date.now() >= until || segments >= limits.segmentsPerStep;

  for await (const page of Listing.walk(bucket, log, range, place)) {
    for (const object of page.objects) {
      if (object.modified.toISOString() > state.createdAt) continue;
      open.push(object);
      openBytes += object.bytes;
      if (Archive.fills(open, openBytes, limits.segment)) await write();
      if (spent() && open.length === 0) return { ended: false, place, unpacked };
    }
    if (open.length === 0) place = page.place;
    if (!spent()) continue;
    // Time is up within a segment: the next step begins it again. If this step has made no progress yet, it finishes
    // the segment anyway.
    if (open.length > 0 && segments === 0 && Date.now() >= until && place === state.place) await write();
    return { ended: false, place, unpacked };
  }
  if (open.length > 0) await write();
  return { ended: true, place, unpacked };
}

/** Writes the manifest and the last part, and completes the object. */
async function finish(
  { bucket, log, rel }: Place,
  state: State,
  lines: readonly Archive.ManifestLine[],
  out: ReturnType<typeof parts>,
): Promise<State | undefined> {
  const last = Archive.encodeLines(lines);
  async function* pieces() {
    for (const written of state.manifestSteps) {
      const opened = await Bucket.read(bucket, log, linesRel(rel, state.job, written));
      if (opened === undefined) throw new Gone("a part of the manifest is gone");
      yield* opened.body;
    }
    yield last;
  }
  const head: Archive.ManifestHead = {
    format: Archive.format,
    created_at: state.createdAt,
    kinds: state.kinds,
    key_id: state.keyId,
    from: state.from,
    to: state.to,
    entries: state.entries,
    bytes: state.bytes,
  };
  const entry = Archive.manifest(head, state.manifestBytes + last.length, pieces());
  await Archive.writeSegment(entry, out.write, state.unpacked ?? Archive.nothing, { last: true });
  const archiveBytes = await out.complete();
  return { ...state, etags: out.etags, finishedAt: Date.now(), archiveBytes };
}

/** Removes the job's intermediate objects. */
async function clean(bucket: Bucket.Bucket, log: Log, rel: string, job: string): Promise<void> {
  const { objects } = await Bucket.list(bucket, log, { prefix: workPrefix(rel, job) });
  for (let i = 0; i < objects.length; i += 8) {
    await Promise.all(objects.slice(i, i + 8).map((object) => Bucket.remove(bucket, log, object.rel)));
  }
}
