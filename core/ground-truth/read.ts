import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { AppError, type Issue } from "#core/error";
import * as Json from "#core/json";
import { type Cut, Cutter, type Form } from "./cut.ts";
import * as ImageKey from "./image-key.ts";
import { limits } from "./limits.ts";
import * as GroundTruthRecord from "./record.ts";
import { defaultImageKey } from "./schema.ts";
import * as Wrong from "./wrong.ts";

/*
 * The forms in which a ground truth may be given:
 *   [{…}, …]              a list of records
 *   {"items": [{…}, …]}   the same within an object, which may have other members
 *   {"a.jpg": {…}, …}     records by their pictures' names
 *   {…}\n{…}\n            JSON lines: records one after another
 * Each may be compressed with gzip.
 */

/** A record and its place in the input. */
export interface Raw {
  /** From 0 on. */
  index: number;
  /**
   * The record as given. A record that was found under its picture's name gets that name as a member, unless it has
   * one of its own.
   */
  value: Record<string, unknown>;
  record: GroundTruthRecord.GroundTruth;
}

/**
 * The records of a ground truth, in order, each one checked. Bytes may arrive in pieces of any size; memory is bounded
 * by one record.
 * @param options.imageKey - the member that names a record's picture; `file` by default.
 * @param options.mayBeUnnamed - accept records of which none names its picture, as a draft may have them.
 * @throws AppError, at the end at the latest: `invalid_request` with a reason of `Wrong.Reason` and the place, or with
 *   all mistakes in single records (the first 100; their number is in `details.issue_count`); `payload_too_large` for
 *   more than 100 MiB, also after decompression.
 */
export async function* records(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: { imageKey?: string | undefined; mayBeUnnamed?: boolean } = {},
): AsyncGenerator<Raw> {
  const imageKey = options.imageKey ?? defaultImageKey;
  const entries = entriesOf(decoded(unpacked(source)), imageKey);
  yield* judged(entries, { imageKey, mayBeUnnamed: options.mayBeUnnamed === true });
}

/**
 * The same for parsed JSON: a list of records, an object with the list `items`, records by their names, or one record.
 * A text is read as JSON lines or JSON.
 * @throws as `records`.
 */
export async function* ofValue(
  value: unknown,
  options: { imageKey?: string | undefined } = {},
): AsyncGenerator<Raw> {
  const imageKey = options.imageKey ?? defaultImageKey;
  if (typeof value === "string") yield* records([Buffer.from(value)], options);
  else yield* judged(parsedEntries(value, imageKey), { imageKey, mayBeUnnamed: false });
}

/** A possible record and its place, or the reason why it is invalid. */
type Entry = { spot?: Wrong.Spot } & ({ given: unknown; problem?: never } | { problem: string });

async function* judged(
  entries: AsyncIterable<Entry> | Iterable<Entry>,
  { imageKey, mayBeUnnamed }: { imageKey: string; mayBeUnnamed: boolean },
): AsyncGenerator<Raw> {
  const issues: Issue[] = [];
  const names = new ImageKey.Names(imageKey);
  let wrong = 0;
  let index = 0;
  const say = (found: readonly Issue[]) => {
    wrong += found.length;
    issues.push(...found.slice(0, limits.issues - issues.length));
  };
  try {
    for await (const entry of entries) {
      const at = entry.spot === undefined ? {} : { line: entry.spot.line };
      if (index >= limits.records)
        throw Wrong.at("gt_too_many_records", `has more than ${limits.records} records`, entry.spot);
      if (entry.problem !== undefined) say([{ ...at, path: `records.${index}`, message: entry.problem }]);
      else {
        names.see(entry.given);
        const parsed = GroundTruthRecord.parse(entry.given, { index, imageKey });
        const which = { ...at, ...ImageKey.fileOf(entry.given, imageKey) };
        if (parsed.issues !== undefined) say(parsed.issues.map((issue) => ({ ...which, ...issue })));
        else yield { index, value: entry.given as Raw["value"], record: parsed.record };
      }
      index += 1;
    }
  } catch (thrown) {
    // Mistakes in earlier records are reported, too.
    if (wrong > 0) say(issuesOf(thrown));
    throw wrong > 0 && issuesOf(thrown).length > 0 ? Wrong.records(issues, wrong) : thrown;
  }
  if (wrong > 0) throw Wrong.records(issues, wrong);
  if (index === 0) throw Wrong.at("gt_empty", "has no records");
  if (!mayBeUnnamed) names.check();
}

const issuesOf = (thrown: unknown): Issue[] =>
  thrown instanceof AppError ? ((thrown.details?.issues ?? []) as Issue[]) : [];

async function* entriesOf(texts: AsyncGenerator<string>, imageKey: string): AsyncGenerator<Entry> {
  for await (const { text, name, inItems, spot, broken } of cutsOf(texts, imageKey)) {
    if (broken !== undefined) {
      yield { spot: broken.at, problem: `is not valid JSON at ${placeOf(broken.at)}: ${broken.why}` };
      continue;
    }
    const { value, problem } = Json.read(text);
    if (problem !== undefined) yield inWhole(problem, spot);
    else if (name === undefined || inItems) yield { spot, given: value };
    else yield { spot, ...ImageKey.named(value, String(JSON.parse(name)), imageKey) };
  }
}

const placeOf = ({ line, column }: Wrong.Spot) => `line ${line}, column ${column}`;

/** A problem within a record's text, with its place in the whole input. */
function inWhole(problem: string, begun: Wrong.Spot): { spot: Wrong.Spot; problem: string } {
  let spot = begun;
  const said = problem.replace(/line (\d+), column (\d+)/, (_, line, column) => {
    const within = line === "1" ? begun.column - 1 : 0;
    spot = { line: Number(line) + begun.line - 1, column: Number(column) + within };
    return placeOf(spot);
  });
  return { spot, problem: said };
}

function parsedEntries(value: unknown, imageKey: string): Entry[] {
  if (Array.isArray(value)) return value.map((given) => ({ given }));
  const object = value as Record<string, unknown>;
  if (ImageKey.isRecord(object, imageKey)) return [{ given: object }];
  if (Array.isArray(object.items)) return object.items.map((given) => ({ given }));
  return Object.entries(object).map(([name, each]) => ImageKey.named(each, name, imageKey));
}

/** Decompresses, up to the limit. */
async function* unpacked(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { head, whole } = await begun(counted(source, "given"));
  if (!isGzip(head)) {
    if (head.toString("latin1") === "PK\x03\x04")
      throw Wrong.at(
        "gt_not_json",
        "is a zip archive, such as a workbook: a ground truth is JSON or JSON lines",
      );
    yield* whole();
    return;
  }
  const packed = Readable.from(whole());
  const gunzip = createGunzip();
  // An error of either stream ends both. `pipeline` would throw outside of this generator.
  packed.once("error", (error) => gunzip.destroy(error));
  try {
    const inner = await begun(counted(packed.pipe(gunzip), "unpacked"));
    if (isGzip(inner.head))
      throw Wrong.at("gt_packed_twice", "is packed with gzip twice: unpack it once (gunzip)");
    yield* inner.whole();
  } catch (thrown) {
    throw isZlib(thrown) ? Wrong.at("gt_broken_gzip", "is a gzip that is broken or breaks off") : thrown;
  } finally {
    packed.destroy();
    gunzip.destroy();
  }
}

const isGzip = (head: Uint8Array) => head[0] === 0x1f && head[1] === 0x8b;
/** As many bytes as formats are recognized by. */
const headBytes = 4;

/** The first bytes, which may come in several pieces, and the whole. */
async function begun(
  source: AsyncGenerator<Uint8Array>,
): Promise<{ head: Buffer; whole(): AsyncGenerator<Uint8Array> }> {
  const first: Uint8Array[] = [];
  for (let bytes = 0; bytes < headBytes; ) {
    const { value: piece } = await source.next();
    if (piece === undefined) break;
    first.push(piece);
    bytes += piece.length;
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield* first;
    yield* source;
  }
  return { head: Buffer.concat(first).subarray(0, headBytes), whole };
}

const isZlib = (thrown: unknown) => /^Z_/.test(String((thrown as NodeJS.ErrnoException).code));

/** Counts bytes and leaves out empty pieces. */
async function* counted(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  how: "given" | "unpacked",
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    if (bytes > limits.bytes) throw Wrong.tooLarge(limits.bytes, how);
    if (piece.length > 0) yield piece;
  }
}

/** Decodes UTF-8; a leading byte order mark is skipped. */
async function* decoded(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (piece?: Uint8Array) => {
    try {
      return decoder.decode(piece, { stream: piece !== undefined });
    } catch {
      throw Wrong.at("gt_not_utf8", "is not UTF-8: save it as UTF-8");
    }
  };
  for await (const piece of source) {
    const text = decode(piece);
    if (text.includes("\0"))
      throw Wrong.at("gt_not_utf8", "has NUL bytes; if it is UTF-16, save it as UTF-8");
    if (text !== "") yield text;
  }
  const rest = decode();
  if (rest !== "") yield rest;
}

/** What was read to determine the form, and the rest of the input. */
interface Opened {
  form: Form;
  head: string;
  rest: AsyncIterator<string>;
}

async function* cutsOf(texts: AsyncGenerator<string>, imageKey: string): AsyncGenerator<Cut> {
  const { form, head, rest } = await opened(texts, imageKey);
  const cutter = new Cutter(form);
  async function* all(): AsyncGenerator<Cut> {
    yield* cutter.push(head);
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield* cutter.push(next.value);
    yield* cutter.end();
  }
  try {
    yield* form === "members" ? membersOf(all(), cutter) : all();
  } finally {
    await texts.return(undefined);
  }
}

/** Determines the form: by the first bracket, and for an object by its members and by what follows it. */
async function opened(texts: AsyncGenerator<string>, imageKey: string): Promise<Opened> {
  const cutter = new Cutter("values");
  const first: Cut[] = [];
  let head = "";
  let open: string | undefined;
  for (let next = await texts.next(); !next.done; next = await texts.next()) {
    const begun = open !== undefined;
    head += next.value;
    const isBlank = next.value.trim() === "";
    // Bounds the blank text that is searched again and kept.
    if (isBlank && head.length > limits.recordLength) throw Wrong.at("gt_not_json", "has a MiB of spaces");
    if (open === undefined && isBlank) continue;
    open ??= head.trimStart()[0];
    if (open === "[") return { form: "list", head, rest: texts };
    if (open !== "{")
      throw Wrong.at("gt_not_json", 'is not a ground truth: JSON that begins with "[" or "{"');
    // An object larger than any record must be one that holds records.
    if (first.length === 0 && head.length > limits.recordLength)
      return { form: "members", head, rest: texts };
    const [found] = first;
    if (found !== undefined && !isBlank) return { form: "values", head, rest: texts };
    for (const cut of cutter.push(begun ? next.value : head)) first.push(cut);
    const [now] = first;
    if (found === undefined && now !== undefined && head.trim().length > now.text.length)
      return { form: "values", head, rest: texts };
  }
  for (const cut of cutter.end()) first.push(cut);
  const [only] = first;
  return {
    form: only === undefined || isRecord(only.text, imageKey) ? "values" : "members",
    head,
    rest: texts,
  };
}

/** True if a single object is one record, rather than records by their names or a list of them. */
function isRecord(text: string, imageKey: string): boolean {
  const { value, problem } = Json.read(text);
  return problem !== undefined || ImageKey.isRecord(value as Record<string, unknown>, imageKey);
}

/** Members are held back for this many characters, because a list `items` may follow. */
const heldLength = 256 * 1024;

/** The records of an object: the elements of its `items`, else its members. */
async function* membersOf(cuts: AsyncIterable<Cut>, cutter: Cutter): AsyncGenerator<Cut> {
  const names = new Set<string>();
  let held: Cut[] | undefined = [];
  let length = 0;
  for await (const cut of cuts) {
    if (cut.inItems) {
      if (held === undefined) throw mixed(cut);
      yield cut;
      continue;
    }
    const name: string = JSON.parse(cut.name ?? '""');
    if (names.has(name)) throw Wrong.at("gt_not_json", "has a name twice in one object", cut.spot);
    names.add(name);
    if (cutter.hasItems && held !== undefined) continue;
    if (held !== undefined) {
      held.push(cut);
      length += cut.text.length;
      if (length <= heldLength) continue;
      yield* held;
      held = undefined;
    } else yield cut;
  }
  if (held !== undefined && !cutter.hasItems) yield* held;
}

const mixed = (cut: Cut) =>
  Wrong.at("gt_not_json", "has records by their names and a list `items` as well", cut.spot);
