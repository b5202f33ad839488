import type { BusboyInstance } from "@fastify/busboy";
import { AppError, invalidRequest } from "#core/error";
import type { RawBody } from "#functions/http";

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
  /** What to do with a larger body. */
  advice: string;
  files: number;
}

const fieldsMost = 50;
const fieldBytes = 64 * 1024;

/**
 * A multipart body (RFC 7578) whose bytes are all here. Names of files are as they were sent: whoever uses them judges.
 * @throws AppError `unsupported_media_type` for another type, `payload_too_large` with the advice, `invalid_request` for
 *   a body without boundary, one that is broken or cut off, and one with too many parts.
 */
export async function parse(body: RawBody, limits: FormLimits): Promise<Form> {
  const { contentType = "", bytes } = body;
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType))
    throw new AppError("unsupported_media_type", "the body must be sent as multipart/form-data", {
      details: { expected: "multipart/form-data" },
    });
  if (bytes.length > limits.bytes)
    throw new AppError("payload_too_large", `the body is too large: ${limits.advice}`, {
      details: { limit_bytes: limits.bytes, bytes: bytes.length },
    });
  // Of three routes one needs it; a CommonJS package that is loaded late has its exports in `default`.
  const { Busboy } = (await import("@fastify/busboy")).default;
  const form: Form = { fields: new Map(), files: [] };
  // More parts are counted up to a bound, so that the answer can say how many there may be.
  const problem = await new Promise<string | undefined>((resolve) => {
    let busboy: BusboyInstance;
    try {
      busboy = new Busboy({
        headers: { "content-type": contentType },
        // A path in a name is to be refused, not hidden.
        preservePath: true,
        isPartAFile: (_field, _type, name) => name !== undefined,
        limits: { files: limits.files, fields: fieldsMost, fieldSize: fieldBytes, headerPairs: 50 },
      });
    } catch {
      resolve("the body has no boundary, or another one than its header says");
      return;
    }
    busboy.on("file", (field, stream, name, _encoding, mimeType) => {
      const pieces: Uint8Array[] = [];
      stream.on("data", (piece: Uint8Array) => pieces.push(piece));
      stream.on("error", () => resolve("the multipart body is broken or cut off"));
      stream.on("end", () => form.files.push({ field, name, mimeType, bytes: Buffer.concat(pieces) }));
    });
    busboy.on("field", (name, value, nameCut, valueCut) => {
      if (nameCut || valueCut) resolve("a field of the form is too long");
      form.fields.set(name, [...(form.fields.get(name) ?? []), value]);
    });
    busboy.on("filesLimit", () => resolve(`more than ${limits.files} files: ${limits.advice}`));
    busboy.on("fieldsLimit", () => resolve(`more than ${fieldsMost} fields`));
    busboy.on("partsLimit", () => resolve("too many parts"));
    busboy.on("error", () => resolve("the multipart body is broken or cut off"));
    busboy.on("finish", () => resolve(undefined));
    busboy.end(bytes);
  });
  if (problem !== undefined) throw invalidRequest([{ path: "", message: problem }]);
  return form;
}
