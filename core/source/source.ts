import * as Bucket from "#core/bucket/bucket";
import { invalidRequest } from "#core/error";
import type { Log } from "#core/log";
import * as Remote from "#core/remote/remote";
import type { Debug } from "#core/task/override";
import * as TooLarge from "#core/upload/too-large";
import * as Upload from "#core/upload/upload";
import { sizes, type Times } from "#spec/limits";
import * as NotBase64 from "./not-base64.ts";

const dataUrl = /^data:([^;,]{0,100})((?:;[^;,]{1,100})*?)(;base64)?,/i;

/**
 * The bytes of `image_base64`: plain base64 or a data URL; line breaks of base64 tools are fine, anything else that
 * is not base64 is not.
 * @throws AppError `invalid_request` for what is not base64, `payload_too_large` above the inline limit.
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
  const base64 = (header === null ? text : text.slice(header[0].length)).replace(/[\r\n\t ]/g, "");
  // Judged before anything is decoded: four characters carry three bytes.
  const bytes =
    Math.floor((base64.length * 3) / 4) - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0);
  if (bytes > sizes.inlineImageBytes) throw TooLarge.inline(bytes);
  if (base64.length % 4 === 1 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    throw invalidRequest([
      {
        path: "image_base64",
        message: NotBase64.problemOf(header === null ? text : text.slice(header[0].length)),
      },
    ]);
  }
  return { bytes: Buffer.from(base64, "base64"), declaredMimeType: header?.[1] || undefined };
}

/** A picture and where it came from. */
export interface Source {
  kind: "inline" | "upload" | "url";
  bytes: Uint8Array;
  declaredMimeType: string | undefined;
  /** Where it lies in the bucket already, and which version of it was read. */
  objectKey?: string;
  etag?: string;
}

/** Where a queued extract's picture lies, and what else its worker must know of the call. */
export interface StoredInput {
  source: "inline" | "upload" | "url";
  declaredMimeType: string | null;
  objectKey: string;
  /** Every later read demands it, where it is known: the object must be the one that was seen first. */
  etag: string | null;
  /** True for a copy that was made for this extract alone and goes when it ends. */
  temporary: boolean;
  debug: Debug | null;
  principalRole: string;
}

/** The ways in; exactly one is given. */
export interface Given {
  /** The bytes themselves, from a form or as the body, and what they were called there. */
  image?: { bytes: Uint8Array; declaredMimeType: string | undefined } | undefined;
  image_base64?: string | undefined;
  image_ref?: string | undefined;
  image_url?: string | undefined;
  mime_type?: string | undefined;
}

/**
 * The picture of a request, wherever it is.
 * @throws AppError as `decode`, `Upload.read` and `Remote.download` do; `invalid_request` when there is not exactly one.
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
 * The picture of a queued extract again: the very object that was judged before, or undefined when it is gone or
 * another one lies there.
 * @throws AppError `storage_unavailable`.
 */
export async function reload(
  bucket: Bucket.Bucket,
  log: Log,
  input: Pick<StoredInput, "objectKey" | "etag">,
): Promise<Uint8Array | undefined> {
  const opened = await Bucket.read(bucket, log, input.objectKey, input.etag ?? undefined);
  return opened === undefined
    ? undefined
    : Bucket.collect(opened.body, sizes.uploadImageBytes, TooLarge.stored);
}
