import * as z from "zod";
import * as Issue from "#core/issue";
import * as Json from "#core/json";
import * as Utf8 from "#core/utf8";
import { batches } from "#spec/limits";
import { type ExtractError, ManifestLine } from "../schema.ts";
import * as Tags from "../tags.ts";

/** A line of a manifest after the check. */
export interface Entry {
  /** From 1 on. */
  line: number;
  value: ManifestLine;
  /** The object's version, if it is known from the listing. */
  etag?: string;
}

export type Parsed = { entry: Entry; issues?: never } | { entry?: never; issues: ExtractError[] };

/** The most mistakes that are reported for one line. */
const issuesOfALine = 8;

/** Checks the form of a line that is already parsed JSON. */
export function check(value: unknown, line: number): Parsed {
  const tags = Tags.problem(value);
  if (tags !== undefined) return { issues: [{ line, ...tags }] };
  const { data, issues } = Issue.check(ManifestLine, value);
  if (issues === undefined) return { entry: { line, value: data } };
  return { issues: issues.slice(0, issuesOfALine).map((issue) => ({ line, ...issue })) };
}

/** A line of our own list of a large folder: the version is known, so it need not be looked up again. */
const ListedLine = z.strictObject({ file: z.string(), image_key: z.string(), etag: z.string() });

/** A piece of a manifest between two line ends. */
interface Raw {
  line: number;
  /** Bytes of the manifest up to and including the line's end. */
  end: number;
  /** `long`: longer than a line may be, and not kept; `endless`: so long that nothing after it is read. */
  kind: "text" | "blank" | "long" | "endless";
  bytes: Uint8Array;
}

/** A longer line is skipped up to its end if that comes within this. */
const skippedBytes = 32 * 1024 * 1024;
/** Blank lines are yielded after this many bytes of them, so that the reader knows the position. */
const blankBytes = 256 * 1024;

/**
 * Splits a manifest at LF, starting where a line begins. Memory is bounded by the limit of one line.
 * @param from - the bytes and lines before `source`.
 */
export async function* split(
  source: AsyncIterable<Uint8Array>,
  from: { offset: number; line: number },
): AsyncGenerator<Raw> {
  let { offset, line } = from;
  let told = offset;
  let parts: Uint8Array[] = [];
  let held = 0;
  const take = (): Raw => {
    // Usually there is one part; none for an empty line.
    const bytes = parts.length > 1 ? Buffer.concat(parts) : (parts[0] ?? nothing);
    const kind = held > batches.manifestLineBytes ? "long" : isBlank(bytes) ? "blank" : "text";
    parts = [];
    held = 0;
    return { line, end: offset, kind, bytes };
  };
  for await (const piece of source) {
    for (let at = 0; at < piece.length; ) {
      const lf = piece.indexOf(0x0a, at);
      const stop = lf < 0 ? piece.length : lf;
      held += stop - at;
      if (stop > at && held <= batches.manifestLineBytes) parts.push(piece.subarray(at, stop));
      else if (stop > at) parts = [];
      at = stop + 1;
      if (lf < 0) break;
      offset += held + 1;
      line += 1;
      const raw = take();
      if (raw.kind === "blank" && offset - told < blankBytes) continue;
      told = offset;
      yield raw;
    }
    if (held > skippedBytes) {
      yield { line: line + 1, end: offset + held, kind: "endless", bytes: nothing };
      return;
    }
  }
  if (held === 0) return;
  offset += held;
  line += 1;
  yield take();
}

const nothing = new Uint8Array();
const blanks = new Set([0x20, 0x09, 0x0d]);
const isBlank = (bytes: Uint8Array) => bytes.every((byte) => blanks.has(byte));

/** A common mistake: a whole JSON list on one line. */
const tooLong = `the line is longer than ${batches.manifestLineBytes} bytes: one picture a line, and no list around them`;

/**
 * Checks one line of JSONL.
 * @param own - the line is from our own list.
 */
export function parse(raw: Raw, own = false): Parsed {
  const wrong = (message: string): Parsed => ({ issues: [{ line: raw.line, path: "", message }] });
  if (raw.kind === "long") return wrong(tooLong);
  if (raw.kind === "endless") return wrong(`${tooLong}; what follows was not checked`);
  const { text, problem: encoding } = Utf8.read(raw.bytes);
  if (encoding !== undefined) return wrong(`${encoding}: save the manifest as UTF-8`);
  const { value, problem } = Json.read(text);
  if (problem !== undefined) return wrong(problem.replace("line 1, ", ""));
  if (!own) return check(value, raw.line);
  const { etag, ...rest } = ListedLine.parse(value);
  return { entry: { line: raw.line, value: rest, etag } };
}
