import { setImmediate as turn } from "node:timers/promises";
import type { BusboyInstance } from "@fastify/busboy";
import { AppError, invalidRequest } from "#core/error";
import { shownName } from "#core/shown-name";
import * as Utf8 from "#core/utf8";
import type { RawBody } from "#functions/request/operation";

/** A part with a file name. */
export interface Part {
  field: string;
  name: string;
  mimeType: string;
  bytes: Uint8Array;
}

export interface Form {
  /** Each field's values, in their order. */
  fields: Map<string, string[]>;
  files: Part[];
}

export interface FormLimits {
  bytes: number;
  /** The error for a larger body. */
  tooLarge(bytes: number): AppError;
  files: number;
  /** Advice for sending more files. */
  advice: string;
  /** The route for bodies of another type. */
  otherwise?: string;
}

const fieldsMost = 50;
const fieldBytes = 64 * 1024;
/** The most bytes of one part's headers. */
const headerBytes = 16 * 1024;
const headerLines = 50;
/** A parser that has all bytes and emits nothing for this many turns of the event loop is stuck. */
const idleTurns = 100;

const broken = "the multipart body is broken or cut off";

/**
 * Parses a complete multipart body (RFC 7578). File names are returned as sent; the caller checks them. Either every
 * part is returned or an error is thrown: the parser itself silently skips parts that it does not understand.
 * @throws AppError `unsupported_media_type` for another type, what `limits.tooLarge` makes, `invalid_request` for
 *   a body without boundary, one that is broken or cut off, one with a part that has no name, and one with too many.
 */
export async function parse(body: RawBody, limits: FormLimits): Promise<Form> {
  const { contentType = "", bytes } = body;
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType))
    throw new AppError(
      "unsupported_media_type",
      `the body must be sent as multipart/form-data, which curl -F says by itself${limits.otherwise ?? ""}`,
      { details: { expected: "multipart/form-data" }, param: "Content-Type" },
    );
  if (bytes.length > limits.bytes) throw limits.tooLarge(bytes.length);
  const form: Form = { fields: new Map(), files: [] };
  const found = partsOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), contentType);
  const problem =
    typeof found === "string" ? found : await read(form, { contentType, bytes }, limits, found.parts);
  if (problem !== undefined) throw invalidRequest([{ path: "", message: problem }]);
  for (const [name, values] of form.fields) for (const value of values) refuseOther(name, value);
  // A file's name appears in results and tables.
  for (const { field, name } of form.files) refuseOther(field, name);
  return form;
}

/** The parser puts U+FFFD where bytes are not UTF-8. */
function refuseOther(field: string, ...texts: string[]): void {
  const problem = [field, ...texts].map(Utf8.problemOf).find((each) => each !== undefined);
  if (problem === undefined) return;
  const path = Utf8.problemOf(field) === undefined ? shownName(field) : "";
  throw invalidRequest([{ path, message: `${problem}: ${Utf8.cure}` }], { details: { reason: Utf8.reason } });
}

/** Reads a body with this many parts into the form. @returns what is wrong, if anything. */
async function read(
  form: Form,
  { contentType, bytes }: { contentType: string; bytes: Uint8Array },
  limits: FormLimits,
  parts: number,
): Promise<string | undefined> {
  // Only one of three routes needs it. A CommonJS package loaded by `import()` has its exports in `default`.
  const { Busboy } = (await import("@fastify/busboy")).default;
  let busboy: BusboyInstance;
  try {
    busboy = new Busboy({
      headers: { "content-type": contentType },
      // A path in a name must be refused, not shortened.
      preservePath: true,
      isPartAFile: (_field, _type, name) => name !== undefined,
      limits: { files: limits.files, fields: fieldsMost, fieldSize: fieldBytes, headerPairs: headerLines },
    });
  } catch {
    return noBoundary;
  }
  const progress: Progress = { ended: false, problem: undefined, seen: 0, idle: 0 };
  collect(busboy, form, limits, progress);
  busboy.end(bytes);
  // The parser waits for no input, so it continues within a few turns or never.
  for (; !progress.ended && progress.problem === undefined && progress.idle < idleTurns; progress.idle += 1)
    await turn();
  if (!progress.ended || progress.seen !== parts) progress.problem ??= broken;
  return progress.problem;
}

/** The parser's progress. */
interface Progress {
  ended: boolean;
  /** The first problem that was found. */
  problem: string | undefined;
  /** Parts. */
  seen: number;
  /** Turns of the event loop since the last event. */
  idle: number;
}

/** Collects the parser's events in the form. */
function collect(busboy: BusboyInstance, form: Form, limits: FormLimits, progress: Progress): void {
  const wrong = (message: string) => {
    progress.problem ??= message;
  };
  // The types promise a name, but a part may have none.
  const named = (name: string | undefined) => {
    progress.seen += 1;
    progress.idle = 0;
    if (name === undefined || name === "") wrong("a part of the form has no name");
  };
  busboy.on("file", (field, stream, name, ...[, mimeType]) => {
    named(field);
    const pieces: Uint8Array[] = [];
    stream.on("data", (piece: Uint8Array) => {
      progress.idle = 0;
      pieces.push(piece);
    });
    stream.on("error", () => wrong(broken));
    stream.on("end", () => form.files.push({ field, name, mimeType, bytes: Buffer.concat(pieces) }));
  });
  busboy.on("field", (name, value, nameCut, valueCut) => {
    named(name);
    if (nameCut || valueCut)
      wrong(
        name === "image_base64"
          ? "image_base64: is for JSON; a form sends the picture itself: -F file=@photo.jpg"
          : `the field ${shownName(name)} of the form is over ${fieldBytes / 1024} KiB: files need a name, as -F file=@photo.jpg gives them`,
      );
    form.fields.set(name, [...(form.fields.get(name) ?? []), value]);
  });
  busboy.on("filesLimit", () => wrong(`more than ${limits.files} files: ${limits.advice}`));
  busboy.on("fieldsLimit", () => wrong(`more than ${fieldsMost} fields: send only those of this call`));
  busboy.on("error", () => wrong(broken));
  busboy.on("finish", () => {
    progress.ended = true;
  });
}

const noBoundary =
  "the body has no boundary, or another one than its Content-Type says: leave that header out, curl -F and FormData set it themselves";

/**
 * Walks through the delimiters (RFC 2046, 5.1.1) and the headers of each part.
 * @returns how many parts there are, or what is wrong.
 */
function partsOf(body: Buffer, contentType: string): { parts: number } | string {
  const [, quoted, plain] =
    /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70})\s*(?:;|$))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) return noBoundary;
  const delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  const first = delimiter.subarray(2);
  let at = body.subarray(0, first.length).equals(first) ? first.length : after(body, delimiter, 0);
  if (at === undefined) return noBoundary;
  for (let parts = 0; ; parts += 1) {
    // A line that only begins like the boundary is not one, but the parser would treat it as one.
    const follows = body.toString("latin1", at, at + 2);
    if (follows === "--") return { parts };
    const next = after(body, delimiter, at);
    if (follows !== "\r\n" || next === undefined) return broken;
    const part = body.subarray(at + 2, next - delimiter.length);
    const end = part.subarray(0, headerBytes).indexOf("\r\n\r\n");
    if (end < 0 || !isFormData(part.toString("latin1", 0, end)))
      return "every part needs a header `Content-Disposition: form-data` with a name";
    at = next;
  }
}

/** The offset behind the next `what`. */
function after(body: Buffer, what: Buffer, from: number): number | undefined {
  const at = body.indexOf(what, from);
  return at < 0 ? undefined : at + what.length;
}

/** The headers are whole lines, one of which says that this is a part of a form. */
function isFormData(headers: string): boolean {
  const lines = headers.split("\r\n");
  return (
    lines.length <= headerLines &&
    lines.every((line) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*$/.test(line)) &&
    lines.filter((line) => /^content-disposition:/i.test(line)).length === 1 &&
    lines.some((line) => /^content-disposition:[ \t]*form-data[ \t]*;/i.test(line))
  );
}
