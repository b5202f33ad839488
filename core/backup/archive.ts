import { createHash } from "node:crypto";
import { pipeline } from "node:stream/promises";
import { constants, crc32, createDeflateRaw } from "node:zlib";
import * as tar from "tar-stream";
import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import type { Log } from "#core/log";

/**
 * The format of a backup: a tar of artifacts under their keys, then `manifest.jsonl`, in one gzip member. RFC 1952
 * (2.2) allows several members, but some readers, such as a browser's `DecompressionStream`, stop after the first. The
 * deflate stream is written in segments of whole tar entries that end at a byte boundary, so that a step can continue
 * where another ended. Segment boundaries depend on the artifacts alone: the archive has the same bytes however many
 * steps made it.
 */
export const manifestName = "manifest.jsonl";
export const format = "ocrlty-backup/1";

/** The manifest's first line: what the backup covers. */
export const ManifestHead = z.object({
  format: z.literal(format),
  /** Artifacts written later are not included. */
  created_at: z.iso.datetime(),
  kinds: z.array(z.string()),
  /** Null for all keys. */
  key_id: z.string().nullable(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  entries: z.int(),
  bytes: z.int(),
});
export type ManifestHead = z.output<typeof ManifestHead>;

/** Every further line: one artifact, in the order of the tar. */
export const ManifestLine = z.object({
  path: z.string(),
  bytes: z.int(),
  sha256: z.string(),
  last_modified: z.iso.datetime(),
});
export type ManifestLine = z.output<typeof ManifestLine>;

interface Entry {
  name: string;
  bytes: number;
  modified: Date;
  body: Uint8Array | AsyncIterable<Uint8Array>;
}

/** Receives the archive's bytes in order; the bytes are valid until it returns. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

/** CRC and size of the uncompressed segments so far, for the end of the gzip member. */
export interface Unpacked {
  crc32: number;
  bytes: number;
}
export const nothing: Unpacked = { crc32: 0, bytes: 0 };

/** Two blocks of zeros end a tar (POSIX.1-2017, pax, "ustar Interchange Format"). */
const endBytes = 1024;
/** RFC 1952, 2.3: deflate, no flags, no time, an unknown system: nothing that differs from one run to the next. */
const gzipHeader = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

/** RFC 1952, 2.3.1: the CRC-32 and the size, modulo 2^32, of what was packed. */
function gzipTrailer(unpacked: Unpacked): Buffer {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(unpacked.crc32, 0);
  trailer.writeUInt32LE(unpacked.bytes % 2 ** 32, 4);
  return trailer;
}

/**
 * Writes one segment with these entries. The first segment of an archive (`before` is `nothing`) starts it; the last
 * one ends tar and gzip.
 * @returns the CRC and size of all segments so far, uncompressed.
 * @throws what the entries or the sink throw; an Error if a body does not have the announced length.
 */
export async function writeSegment(
  entries: AsyncIterable<Entry>,
  sink: Sink,
  before: Unpacked,
  options: { last: boolean },
): Promise<Unpacked> {
  const pack = tar.pack();
  const fill = async () => {
    for await (const { name, bytes, modified, body } of entries) {
      const header = { name, size: bytes, mtime: modified, mode: 0o644 };
      if (body instanceof Uint8Array) await written(pack, header, body);
      else await pipeline(body, pack.entry(header));
    }
    pack.finalize();
  };
  let unpacked = before;
  async function* counted(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      unpacked = { crc32: crc32(bytes, unpacked.crc32), bytes: unpacked.bytes + bytes.length };
      yield bytes;
    }
  }
  if (before.bytes === 0) await sink(gzipHeader);
  const drain = pipeline(
    counted(options.last ? pieces(pack) : withoutEnd(pieces(pack))),
    // A flush instead of an end: the next segment's blocks continue the stream (RFC 1951, 3.2.3).
    createDeflateRaw({ finishFlush: options.last ? constants.Z_FINISH : constants.Z_SYNC_FLUSH }),
    async (source: AsyncIterable<Uint8Array>) => {
      for await (const bytes of source) await sink(bytes);
    },
  );
  const [filled, drained] = await Promise.allSettled([
    fill().catch((thrown: Error) => {
      pack.destroy(thrown);
      throw thrown;
    }),
    drain,
  ]);
  // A fault of the sink also destroys the pack, and a fault of an entry the drain: throw the original fault.
  if (drained.status === "rejected") throw drained.reason;
  if (filled.status === "rejected") throw filled.reason;
  if (options.last) await sink(gzipTrailer(unpacked));
  return unpacked;
}

function written(pack: tar.Pack, header: Parameters<tar.Pack["entry"]>[0], body: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    pack.entry(header, body, (error) => (error ? reject(error) : resolve()));
  });
}

/** tar-stream's streams are not Node's and do not declare their type: they yield bytes. */
export function pieces(stream: AsyncIterable<unknown>): AsyncIterable<Uint8Array> {
  return stream as AsyncIterable<Uint8Array>;
}

/** All bytes except the blocks that would end the tar. */
async function* withoutEnd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held = Buffer.alloc(0);
  for await (const bytes of source) {
    const all = Buffer.concat([held, bytes]);
    const cut = Math.max(0, all.length - endBytes);
    if (cut > 0) yield all.subarray(0, cut);
    held = all.subarray(cut);
  }
}

/** Artifacts are small: this many are fetched ahead, each of at most `wholeBytes`; larger ones are passed through. */
const fetchedAhead = 16;
const wholeBytes = 256 * 1024;

/**
 * The objects as entries, in order, prefetched within bounded memory. An object that was removed in the meantime is
 * left out.
 * @param lines - receives the manifest's line of each entry after its last byte was read.
 * @throws AppError `storage_unavailable`.
 */
export async function* contents(
  bucket: Bucket.Bucket,
  log: Log,
  objects: readonly Bucket.Listed[],
  lines: ManifestLine[],
): AsyncGenerator<Entry> {
  const quiet: Log = { ...log, info: () => undefined };
  const ahead: Promise<Uint8Array | undefined>[] = [];
  const fetch = (object: Bucket.Listed | undefined) => {
    if (object === undefined) return;
    const fetched =
      object.bytes > wholeBytes ? Promise.resolve(undefined) : Bucket.get(bucket, quiet, object.rel);
    // A failure reaches the caller that awaits it; if the caller has stopped, it must not be unhandled.
    fetched.catch(() => undefined);
    ahead.push(fetched);
  };
  for (const object of objects.slice(0, fetchedAhead)) fetch(object);
  for (const [i, object] of objects.entries()) {
    const whole = await ahead.shift();
    fetch(objects[i + fetchedAhead]);
    const line = { path: object.rel, last_modified: object.modified.toISOString() };
    const entry = { name: object.rel, modified: object.modified };
    if (whole !== undefined) {
      lines.push({ ...line, bytes: whole.length, sha256: createHash("sha256").update(whole).digest("hex") });
      yield { ...entry, bytes: whole.length, body: whole };
    } else if (object.bytes > wholeBytes) {
      const opened = await Bucket.read(bucket, quiet, object.rel);
      if (opened === undefined) continue;
      const { bytes } = opened;
      yield {
        ...entry,
        bytes,
        body: hashed(opened.body, (sha256) => lines.push({ ...line, bytes, sha256 })),
      };
    }
  }
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  done: (sha256: string) => void,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const bytes of source) {
    hash.update(bytes);
    yield bytes;
  }
  done(hash.digest("hex"));
}

/** The lines as they are in the file. */
export function encodeLines(lines: readonly (ManifestLine | ManifestHead)[]): Buffer {
  return Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}

/** The manifest as the archive's last entry. @param pieces - its lines behind the head, `piecesBytes` in all. */
export async function* manifest(
  head: ManifestHead,
  piecesBytes: number,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Entry> {
  const first = encodeLines([head]);
  async function* body() {
    yield first;
    yield* pieces;
  }
  yield {
    name: manifestName,
    bytes: first.length + piecesBytes,
    modified: new Date(head.created_at),
    body: body(),
  };
}

/** Size of a segment: large enough to compress well, small enough for a short step. */
export interface SegmentSize {
  bytes: number;
  objects: number;
}

/** True if these objects fill a segment. Sizes come from the listing, so the result is the same at every try. */
export function fills(objects: readonly Bucket.Listed[], bytes: number, size: SegmentSize): boolean {
  return objects.length >= size.objects || bytes >= size.bytes;
}
