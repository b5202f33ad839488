import * as Bucket from "#core/bucket/bucket";
import { invalidRequest } from "#core/error";
import type { Log } from "#core/log";
import type { Split } from "#core/reading/page-numbers";
import * as Remote from "#core/remote/remote";
import type { Debug } from "#core/task/override";
import * as MostBytes from "#core/upload/most-bytes";
import * as TooLarge from "#core/upload/too-large";
import * as Upload from "#core/upload/upload";
import { sizes, type Times } from "#spec/limits";
import * as NotBase64 from "./not-base64.ts";

const dataUrl = /^data:([^;,]{0,100})((?:;[^;,]{1,100})*?)(;base64)?,/i;

/**
 * Decodes `image_base64`: plain base64 or a data URL, with or without line breaks.
 * @throws AppError `invalid_request` if it is not base64, `payload_too_large` above the inline limit.
 */
export function decode(text: string): { bytes: Uint8Array; declaredMimeType: string | undefined } {
  const header = dataUrl.exec(text.slice(0, 500));
  if (header !== null && header[3] === undefined)
    throw invalidRequest([
      {
        path: "image_base64",
        message: "is a data URL without base64: it begins with data:image/jpeg;base64,",
      },
    ]);
  const given = header === null ? text : text.slice(header[0].length);
  const base64 = [..."\n \r\t"].some((blank) => given.includes(blank))
    ? given.replace(/[\r\n\t ]/g, "")
    : given;
  // Checked before decoding: four characters contain three bytes.
  const bytes =
    Math.floor((base64.length * 3) / 4) - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0);
  if (bytes > sizes.inlineImageBytes) throw TooLarge.inline(bytes);
  const decoded = Buffer.from(base64, "base64");
  if (!isBase64(base64, { expected: bytes, decoded: decoded.length }))
    throw invalidRequest([{ path: "image_base64", message: NotBase64.problemOf(given) }]);
  return { bytes: decoded, declaredMimeType: header?.[1] || undefined };
}

/**
 * Node skips characters that are not base64, so that there are fewer bytes than the length of the text implies. It also
 * accepts base64url, and the low bytes of other characters. A regular expression over 4 MB takes as long as decoding a
 * picture, so it checks only texts with an unusual end or an unexpected number of bytes.
 */
function isBase64(text: string, { expected, decoded }: { expected: number; decoded: number }): boolean {
  const isUsual = text.length % 4 === 0 || !text.endsWith("=");
  if (text.length % 4 === 1) return false;
  if (!isUsual || expected !== decoded) return /^[A-Za-z0-9+/]*={0,2}$/.test(text);
  return !text.includes("-") && !text.includes("_") && Buffer.byteLength(text) === text.length;
}

/** A picture, and its source. */
export interface Source {
  kind: "inline" | "upload" | "url";
  bytes: Uint8Array;
  declaredMimeType: string | undefined;
  /** Its place in the bucket if it is already there, and the version that was read. */
  objectKey?: string;
  etag?: string;
}

/** Where a queued extract's picture is, and what else the worker needs from the call. */
export interface StoredInput {
  source: "inline" | "upload" | "url";
  declaredMimeType: string | null;
  objectKey: string;
  /** If it is known, every later read demands it, so that the object is the one that was read first. */
  etag: string | null;
  /** True for a copy for this extract alone, which is removed at its end. */
  temporary: boolean;
  debug: Debug | null;
  /** The pages that the caller chose; missing: all. */
  pages?: number[];
  /** False: the picture is not looked at. Missing in hand-overs of older versions. */
  look?: boolean | undefined;
  /** Whether the file may be several documents. Missing in hand-overs of older versions. */
  split?: Split | undefined;
  principalRole: string;
}

/** The possible sources; exactly one is given. */
export interface Given {
  /** The bytes from a form or the body, and their file name there. */
  image?: { bytes: Uint8Array; declaredMimeType: string | undefined } | undefined;
  image_base64?: string | undefined;
  image_ref?: string | undefined;
  image_url?: string | undefined;
  mime_type?: string | undefined;
}

/**
 * Reads the picture of a request from its source.
 * @throws AppError as `decode`, `Upload.read` and `Remote.download`; `invalid_request` if there is not exactly one
 *   source.
 */
export async function load(
  services: Upload.Stores & { times: Times },
  log: Log,
  given: Given,
  caller: { keyId: string; deadline: number },
): Promise<Source> {
  const { image, image_base64, image_ref, image_url, mime_type } = given;
  if (image !== undefined)
    return { kind: "inline", bytes: image.bytes, declaredMimeType: mime_type ?? image.declaredMimeType };
  if (image_ref !== undefined) {
    const from = { ref: image_ref, keyId: caller.keyId };
    const { bytes, declaredMimeType, objectKey, etag } = await Upload.read(services, log, from);
    return { kind: "upload", bytes, declaredMimeType: mime_type ?? declaredMimeType, objectKey, etag };
  }
  if (image_url !== undefined) {
    const { times } = services;
    const bytes = await Remote.download(image_url, { log, times, deadline: caller.deadline });
    return { kind: "url", bytes, declaredMimeType: mime_type };
  }
  if (image_base64 === undefined) throw invalidRequest([{ path: "", message: "there is no picture" }]);
  const { bytes, declaredMimeType } = decode(image_base64);
  return { kind: "inline", bytes, declaredMimeType: mime_type ?? declaredMimeType };
}

/**
 * Reads the picture of a queued extract again, in the version that was checked before; undefined if it is gone or was
 * replaced.
 * @throws AppError `image_too_large`; `storage_unavailable`.
 */
export async function reload(
  bucket: Bucket.Bucket,
  log: Log,
  input: Pick<StoredInput, "objectKey" | "etag">,
): Promise<Uint8Array | undefined> {
  const opened = await Bucket.read(bucket, log, input.objectKey, input.etag ?? undefined);
  return opened === undefined ? undefined : MostBytes.collect(opened.body);
}
