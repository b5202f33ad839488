import { createHash } from "node:crypto";
import { pipeline, type Readable, Transform, type Writable } from "node:stream";
import { createGunzip } from "node:zlib";
import * as tar from "tar-stream";
import * as Archive from "./archive.ts";

export interface Verified {
  ok: boolean;
  /** Artifacts and bytes that match the manifest. */
  entries: number;
  bytes: number;
  head: Archive.ManifestHead | undefined;
  /** The first differences, for people. */
  problems: string[];
}

const maxProblems = 20;

/** A fault of the archive that makes further reading useless. */
class Broken extends Error {}

/**
 * Compares every entry of a backup with its manifest: path, size and sha256; missing and additional entries are
 * problems, too. The archive is read twice in parallel, once to its end for the manifest and once from its beginning,
 * so memory does not grow with its size.
 * @param open - opens the archive's bytes from the beginning, for each reader.
 * @throws only faults of `open`'s stream itself (file system); a damaged archive is a result.
 */
export function verify(open: () => Readable): Promise<Verified> {
  return judge(open, undefined);
}

/** An artifact of a backup whose size and content match the manifest. */
export interface Whole {
  path: string;
  bytes: Uint8Array;
  sha256: string;
}

/**
 * The same, and passes each matching artifact to `take`; the first mismatch ends it.
 * @throws what `take` throws, and as `verify` does.
 */
export function read(open: () => Readable, take: (artifact: Whole) => Promise<void>): Promise<Verified> {
  return judge(open, take);
}

async function judge(
  open: () => Readable,
  take: ((artifact: Whole) => Promise<void>) | undefined,
): Promise<Verified> {
  const result: Verified = { ok: false, entries: 0, bytes: 0, head: undefined, problems: [] };
  const lines = manifestLines(open());
  try {
    result.head = parse(Archive.ManifestHead, (await lines.next()).value, "the manifest's first line");
    await compare(open(), lines, result, take);
    if (result.problems.length === 0) checkSums(result);
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
    result.problems.push(
      thrown instanceof Broken ? thrown.message : `the archive is damaged: ${thrown.message}`,
    );
  } finally {
    await lines.return(undefined);
  }
  result.ok = result.problems.length === 0;
  return result;
}

async function compare(
  source: Readable,
  lines: AsyncIterator<string>,
  result: Verified,
  take: ((artifact: Whole) => Promise<void>) | undefined,
): Promise<void> {
  let ended = false;
  for await (const entry of entriesOf(source)) {
    if (ended) throw new Broken(`${entry.header.name} comes after the manifest`);
    if (entry.header.name === Archive.manifestName) {
      ended = true;
      entry.resume();
      continue;
    }
    const hash = createHash("sha256");
    let bytes = 0;
    const kept: Uint8Array[] = [];
    for await (const piece of Archive.pieces(entry)) {
      hash.update(piece);
      bytes += piece.length;
      if (take !== undefined) kept.push(piece);
    }
    const next = await lines.next();
    if (next.done) throw new Broken(`${entry.header.name} is not in the manifest`);
    const line = parse(Archive.ManifestLine, next.value, `line ${result.entries + 2} of the manifest`);
    if (line.path !== entry.header.name) {
      throw new Broken(`where the manifest has ${line.path}, the archive has ${entry.header.name}`);
    }
    const sha256 = hash.digest("hex");
    if (line.bytes !== bytes) note(result, `${line.path}: ${bytes} bytes, the manifest says ${line.bytes}`);
    else if (line.sha256 !== sha256)
      note(result, `${line.path}: its content does not have the manifest's sha256`);
    else await take?.({ path: line.path, bytes: Buffer.concat(kept), sha256 });
    if (take !== undefined && result.problems.length > 0) return;
    result.entries += 1;
    result.bytes += bytes;
  }
  const left = await lines.next();
  if (!left.done) {
    const { path } = parse(Archive.ManifestLine, left.value, "the manifest");
    throw new Broken(`${path} is in the manifest, but not in the archive`);
  }
}

function checkSums({ head, entries, bytes, problems }: Verified): void {
  if (head?.entries !== entries)
    problems.push(`${entries} artifacts, the manifest's head says ${head?.entries}`);
  if (head?.bytes !== bytes) problems.push(`${bytes} bytes, the manifest's head says ${head?.bytes}`);
}

function note(result: Verified, problem: string): void {
  if (result.problems.length < maxProblems) result.problems.push(problem);
}

/** The manifest's lines; everything before it is read and skipped. */
async function* manifestLines(source: Readable): AsyncGenerator<string, undefined> {
  for await (const entry of entriesOf(source)) {
    if (entry.header.name !== Archive.manifestName) {
      entry.resume();
      continue;
    }
    yield* linesOf(Archive.pieces(entry));
    return undefined;
  }
  throw new Broken(`the archive has no ${Archive.manifestName}: it is not whole, or not a backup`);
}

async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let open = "";
  for await (const piece of source) {
    const lines = (open + decoder.decode(piece, { stream: true })).split("\n");
    open = lines.pop() ?? "";
    yield* lines;
  }
  if (open !== "") throw new Broken("the manifest's last line is not whole");
}

/**
 * What a backup of this product never has, and a foreign archive may have: links, folders and devices, names that lead
 * elsewhere, and small files that unpack beyond any bound.
 */
const name =
  /^(?:extracts|batches|evals)\/\d{4}-\d{2}-\d{2}\/[a-z0-9][a-z0-9_-]{0,63}\/[A-Za-z0-9][A-Za-z0-9_.~-]{0,199}$/;
const maxEntryBytes = 512 * 1024 * 1024;
/** JSON compresses to a tenth, repetitions of one answer to a fiftieth; deflate's own limit is 1 to 1,032. */
const maxRatio = 200;
const freeBytes = 64 * 1024 * 1024;
/** The most bytes between two entries: padding, and headers for long names. */
const headerBytes = 1024 * 1024;

type Entry = tar.Extract extends AsyncIterable<infer T> ? T : never;

async function* entriesOf(source: Readable): AsyncGenerator<Entry> {
  const extract = tar.extract();
  let packed = 0;
  let unpacked = 0;
  let allowed = headerBytes;
  source.on("data", (piece: Buffer) => {
    packed += piece.length;
  });
  const meter = new Transform({
    transform(piece: Buffer, _encoding, done) {
      unpacked += piece.length;
      const isBomb = unpacked > Math.max(freeBytes, packed * maxRatio) || unpacked > allowed;
      if (isBomb) done(new Broken("the archive unpacks to more than a backup does: nothing of it is taken"));
      else done(null, piece);
    },
  });
  // The cast is needed because this stream's type is not Node's. The callback does nothing: a fault destroys `extract`,
  // whose reader throws it.
  pipeline(source, createGunzip(), meter, extract as unknown as Writable, () => undefined);
  for await (const entry of extract) {
    const { type, size = 0, name: path } = entry.header;
    if (type !== "file")
      throw new Broken(`${shown(path)} is a ${shown(type ?? "thing")}: a backup holds files alone`);
    if (path !== Archive.manifestName && !name.test(path))
      throw new Broken(`${shown(path)} is not a name of an artifact`);
    if (path !== Archive.manifestName && size > maxEntryBytes)
      throw new Broken(`${path} has ${size} bytes: no artifact is so large`);
    allowed = unpacked + size + headerBytes;
    yield entry;
  }
}

/** A name from the archive for a message: shortened and without control characters. */
const shown = (text: string) => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);

function parse<T>(schema: { parse(value: unknown): T }, text: unknown, what: string): T {
  try {
    return schema.parse(JSON.parse(String(text)));
  } catch {
    throw new Broken(`${what} cannot be read`);
  }
}

/** Errors of zlib and tar concern the archive; errors of the file system concern the caller. */
function isDamage(thrown: unknown): thrown is Error {
  if (!(thrown instanceof Error)) return false;
  if (thrown instanceof Broken) return true;
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : "";
  return code === ""
    ? /tar header|unexpected end|invalid|exceeds/i.test(thrown.message)
    : code.startsWith("Z_");
}
