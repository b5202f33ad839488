import { AppError, invalidRequest } from "#core/error";
import { sizes } from "#infra/limits";

const dataUrl = /^data:([^;,]{0,100})((?:;[^;,]{1,100})*?)(;base64)?,/i;

/**
 * The bytes of `image_base64`: plain base64 or a data URL; line breaks of base64 tools are fine, anything else that
 * is not base64 is not.
 * @throws AppError `invalid_request` for what is not base64, `payload_too_large` above the inline limit.
 */
export function decode(text: string): { bytes: Uint8Array; declaredMimeType: string | undefined } {
  const header = dataUrl.exec(text.slice(0, 500));
  if (header !== null && header[3] === undefined)
    throw invalidRequest([{ path: "image_base64", message: "a data URL must be base64" }]);
  const base64 = (header === null ? text : text.slice(header[0].length)).replace(/[\r\n\t ]/g, "");
  // Judged before anything is decoded: four characters carry three bytes.
  const bytes =
    Math.floor((base64.length * 3) / 4) - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0);
  if (bytes > sizes.inlineImageBytes) {
    throw new AppError("payload_too_large", "the picture is too large to be sent inline: scale it down", {
      details: { limit_bytes: sizes.inlineImageBytes, bytes },
    });
  }
  if (base64.length % 4 === 1 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    throw invalidRequest([{ path: "image_base64", message: "not base64" }]);
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

/** The picture of a request. @throws AppError as the sources do. */
export async function load(input: { image_base64: string; mime_type?: string | undefined }): Promise<Source> {
  const { bytes, declaredMimeType } = decode(input.image_base64);
  return { kind: "inline", bytes, declaredMimeType: input.mime_type ?? declaredMimeType };
}
