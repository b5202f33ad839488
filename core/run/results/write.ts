import { and, asc, eq, getTableColumns, gte } from "drizzle-orm";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import * as Multipart from "#core/bucket/multipart";
import * as Version from "#core/bucket/version";
import * as Database from "#core/db/database";
import { AppError, from } from "#core/error";
import * as Lines from "#core/lines";
import type { Log } from "#core/log";
import * as Record from "#core/reading/record";
import { type Finishing, nextDocument } from "#core/run/finishing";
import { itemTable, type RunRow } from "#core/run/run.sql";
import type { Item } from "#core/run/schema";
import type { RunStores } from "#core/run/services";
import * as Answers from "./answers.ts";
import type { Document, Row, Section } from "./document.ts";

/** How much is kept in memory and done in parallel. */
export interface Sizes {
  /**
   * The size of a part of a multipart upload, at least 5 MiB. R2 demands that all parts except the last have the same
   * size.
   */
  partBytes: number;
  /** Rows per query. With their results they stay below what libSQL's server can return (10 MB). */
  rows: number;
  /** Artifacts that are read in parallel. */
  reads: number;
}
/** A row has up to 16 KiB of result, and as much again of other columns. */
const resultsAtOnce = 200;
export const sizes: Sizes = { partBytes: 8 * 1024 * 1024, rows: 500, reads: 32 };

type Stores = Pick<RunStores, "db" | "bucket">;
type Cursor = Pick<Finishing, "section" | "row" | "skip" | "offset">;

/** A piece of a document: a fixed text, or the text of one item. */
interface Piece {
  bytes: Uint8Array;
  /** Resume point inside this piece; resume point after it. */
  at: Cursor;
  next: Cursor;
}

/** What earlier steps left (the multipart upload or the carry) no longer exists. */
class Gone extends Error {}

/** The first document, from which the others are made, no longer exists. */
class SourceGone extends Error {}

/** The document to write, its run, the resume point, and the sizes. */
interface Task {
  run: RunRow;
  document: Document;
  state: Finishing;
  deadline: number;
  sizes: Sizes;
  /** Stores the progress. Returns the state that counts from then on. */
  save(state: Finishing): Promise<Finishing>;
}

/**
 * Writes a document from the resume point of `state` on: in one conditional put if it fits into a part, else part by
 * part. The bytes depend only on rows and artifacts, so a repeat writes the same.
 * @returns true when the document is complete; false if the time was over first. Each call writes at least one item,
 *   however little time there is.
 * @throws AppError `storage_unavailable`, and what `save` throws.
 */
export async function write(services: Stores, log: Log, task: Task): Promise<boolean> {
  const { document, state, save } = task;
  const done = async (last: Finishing) => {
    await save({ ...last, ...nextDocument(last.document + 1) });
    return true;
  };
  try {
    const ended = await pump(services, log, task);
    return ended === undefined ? false : done(ended);
  } catch (thrown) {
    if (thrown instanceof SourceGone) {
      log.warn("finish_restarted", { document: 0, parts: 0 });
      await save({ ...state, ...nextDocument(0) });
      return false;
    }
    if (!(thrown instanceof Gone)) throw thrown;
    // A step made the object and died, or the upload was removed; then everything is written again.
    if ((await Bucket.head(services.bucket, log, document.rel)) !== undefined) return done(state);
    log.warn("finish_restarted", { document: state.document, parts: state.etags.length });
    await save({ ...state, ...nextDocument(state.document) });
    return false;
  }
}

/** @returns the state after the document is complete; undefined if the time was over. @throws Gone. */
async function pump(
  services: Stores,
  log: Log,
  { run, document, state: begin, deadline, sizes: { partBytes, ...chunk }, save }: Task,
): Promise<Finishing | undefined> {
  const { bucket } = services;
  const part = Buffer.allocUnsafe(partBytes);
  let used = await fetchCarry(bucket, log, carryOf(run, begin), part);
  let state = begin;
  const flush = async (at: Cursor | undefined) => {
    const id = state.uploadId ?? (await Multipart.create(bucket, log, document.rel, document.contentType));
    const upload = { rel: document.rel, id };
    const etag = await Multipart.put(bucket, log, upload, {
      number: state.etags.length + 1,
      body: part.subarray(0, used),
    });
    if (etag === undefined) throw new Gone("the upload is gone");
    used = 0;
    state = { ...state, uploadId: id, etags: [...state.etags, etag], carry: 0 };
    // No save after the last part, because the completion follows at once.
    if (at !== undefined) state = await save({ ...state, ...at });
  };

  for await (const piece of pieces(services, log, {
    run,
    sections: document.sections,
    cursor: begin,
    chunk,
  })) {
    const skipped = sameAs(piece.at, begin) ? begin.skip : 0;
    for (let at = skipped; at < piece.bytes.length; ) {
      // A part is sent only when there is more, so the last part is never empty, and a document that just fits is put
      // at once.
      if (used === partBytes) await flush({ ...piece.at, skip: at });
      const size = Math.min(piece.bytes.length - at, partBytes - used);
      part.set(piece.bytes.subarray(at, at + size), used);
      used += size;
      at += size;
    }
    const isLast = piece.next.section === document.sections.length;
    if (Date.now() < deadline || isLast) continue;
    await Bucket.replace(bucket, log, carryRel(run, state), {
      body: part.subarray(0, used),
      contentType: "application/octet-stream",
    });
    await save({ ...state, ...piece.next, carry: used, carried: true });
    return undefined;
  }

  if (state.etags.length === 0) {
    await putOnce(bucket, log, document, part.subarray(0, used));
    return state;
  }
  await flush(undefined);
  const upload = { rel: document.rel, id: state.uploadId ?? "" };
  if (!(await Multipart.complete(bucket, log, upload, state.etags))) throw new Gone("the upload is gone");
  return state;
}

const sameAs = (a: Cursor, b: Cursor) => a.section === b.section && a.row === b.row;

/**
 * The name contains the part's number, so that a step that was overtaken by its repeat cannot overwrite later bytes.
 */
const carryRel = (run: RunRow, state: Finishing) =>
  `${Place.batchFiles(run.keyId, run.runId, run.createdAt).working}${state.document}-${state.etags.length}`;

const carryOf = (run: RunRow, state: Finishing) => ({ rel: carryRel(run, state), bytes: state.carry });

/** Reads the bytes that did not fill a part. @returns their number. @throws Gone. */
async function fetchCarry(
  bucket: Bucket.Bucket,
  log: Log,
  carry: { rel: string; bytes: number },
  part: Buffer,
): Promise<number> {
  if (carry.bytes === 0) return 0;
  const opened = await Bucket.read(bucket, log, carry.rel);
  if (opened === undefined) throw new Gone("the output of the step before is gone");
  let used = 0;
  for await (const bytes of opened.body) {
    // The object is longer if a step wrote it and then failed to save; it begins with the same bytes.
    const taken = bytes.subarray(0, carry.bytes - used);
    part.set(taken, used);
    used += taken.length;
  }
  if (used < carry.bytes) throw new Gone("what the step before left is incomplete");
  return used;
}

/** Puts a whole document. An existing object comes from an earlier attempt and has the same bytes. */
async function putOnce(
  bucket: Bucket.Bucket,
  log: Log,
  document: Document,
  bytes: Uint8Array,
): Promise<void> {
  const put = await Bucket.put(bucket, log, document.rel, { body: bytes, contentType: document.contentType });
  if (put === "written" || (await Bucket.head(bucket, log, document.rel)) !== undefined) return;
  throw new AppError("storage_unavailable", "the bucket could not store the results right now", {
    retryAfterS: 2,
  });
}

/** What is read of a run, and how much at a time. */
interface From {
  run: RunRow;
  chunk: Omit<Sizes, "partBytes">;
}

/** The pieces of the document from the cursor on. */
async function* pieces(
  services: Stores,
  log: Log,
  { run, sections, cursor, chunk }: From & { sections: readonly Section[]; cursor: Cursor },
): AsyncGenerator<Piece> {
  const encoder = new TextEncoder();
  for (let section = cursor.section; section < sections.length; section += 1) {
    const what = sections[section];
    if (what === undefined) return;
    const after = { section: section + 1, row: 0, skip: 0, offset: 0 };
    if (what.kind === "text") {
      yield { bytes: encoder.encode(what.text), at: { ...after, section }, next: after };
      continue;
    }
    const begin = section === cursor.section ? cursor : { row: 0, offset: 0 };
    if (what.kind === "items") {
      for await (const { item, offset, next } of fromFirst(services, log, run, begin)) {
        const at = { section, row: item.index, skip: 0, offset };
        yield {
          bytes: encoder.encode(what.textOf(item)),
          at,
          next: { ...at, row: item.index + 1, offset: next },
        };
      }
      continue;
    }
    const texts =
      what.kind === "rows"
        ? mapped(rows(services, run, { from: begin.row, withResults: false, most: chunk.rows }), (row) => [
            row.index,
            what.textOf(row),
          ])
        : mapped(items(services, log, { run, chunk }, begin.row), (item) => [item.index, what.textOf(item)]);
    for await (const [index, text] of texts) {
      const at = { section, row: index, skip: 0, offset: 0 };
      yield { bytes: encoder.encode(text), at, next: { ...at, row: index + 1 } };
    }
  }
}

/**
 * The run's items from this place of the first document on, each with its place.
 * @throws SourceGone.
 */
async function* fromFirst(
  { bucket }: Stores,
  log: Log,
  run: RunRow,
  begin: { offset: number },
): AsyncGenerator<{ item: Item; offset: number; next: number }> {
  const { jsonl: rel } = Place.batchFiles(run.keyId, run.runId, run.createdAt);
  const found = await Bucket.head(bucket, log, rel);
  if (found === undefined) throw new SourceGone("the items' file is gone");
  let { offset } = begin;
  const source = await Version.from(bucket, log, { rel, etag: found.etag, offset });
  if (source === undefined) throw new SourceGone("the items' file is gone");
  for await (const line of Lines.of(source)) {
    const next = offset + line.length + 1;
    yield { item: JSON.parse(line.toString("utf8")) as Item, offset, next };
    offset = next;
  }
}

async function* mapped<T>(
  source: AsyncIterable<T>,
  textOf: (value: T) => [number, string],
): AsyncGenerator<[number, string]> {
  for await (const value of source) yield textOf(value);
}

/** The run's rows from this index on, one chunk in memory at a time. */
async function* rows(
  { db }: Stores,
  run: RunRow,
  { from, withResults, most }: { from: number; withResults: boolean; most: number },
): AsyncGenerator<Row> {
  const { pendingArtifact, result, ...lean } = getTableColumns(itemTable);
  const columns = withResults ? { ...lean, result } : lean;
  const limit = withResults ? Math.min(most, resultsAtOnce) : most;
  for (let next = from; ; ) {
    const chunk = await Database.read(
      db.query
        .select(columns)
        .from(itemTable)
        .where(and(eq(itemTable.runUid, run.runUid), gte(itemTable.index, next)))
        .orderBy(asc(itemTable.index))
        .limit(limit),
    );
    for (const row of chunk) yield { result: null, ...row };
    const last = chunk.at(-1);
    if (last === undefined || chunk.length < limit) return;
    next = last.index + 1;
  }
}

/** The run's items from this index on, from their artifacts. */
async function* items(services: Stores, log: Log, { run, chunk }: From, from: number): AsyncGenerator<Item> {
  let group: Row[] = [];
  const open = async () => {
    const whole = await Promise.all(group.map((row) => answered(services.bucket, log, run, row)));
    group = [];
    return whole;
  };
  for await (const row of rows(services, run, { from, withResults: true, most: chunk.rows })) {
    group.push(row);
    if (group.length === chunk.reads) yield* await open();
  }
  yield* await open();
}

async function answered(bucket: Bucket.Bucket, log: Log, run: RunRow, row: Row): Promise<Item> {
  if (row.artifactRel === null) return Answers.recomputed(run, row);
  try {
    const artifact = await Record.get(bucket, log, row.artifactRel);
    if (artifact !== undefined) return await Answers.of(run, row, artifact);
  } catch (thrown) {
    if (from(thrown).code !== "internal") throw thrown;
  }
  // The artifact was removed or damaged by hand. The run ends anyway, and the item has only what its row holds.
  const item = await Answers.recomputed(run, row);
  const isLost = item.result === null && Answers.hasResult(item);
  log.warn(isLost ? "result_missing" : "artifact_missing", { run_id: run.runId, index: row.index });
  return item;
}
