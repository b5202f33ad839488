import { createHash } from "node:crypto";
import { AppError } from "#core/error";
import { maxAspectRatio } from "#core/image/budget";
import * as Decoder from "#core/image/decoder";
import * as Pages from "#core/image/pages";
import { pixelAspect, squared } from "#core/image/pixel-shape";
import * as Structure from "#core/image/structure";
import { names, sniff } from "#core/image/type";
import { sizes } from "#spec/limits";
import { type MimeType, mimeTypes } from "#spec/pictures";

/*
 * inspect(bytes) -> Inspected                          type and size from the bytes, nothing decoded
 * prepare(Inspected, { maxImageTokens }) -> Prepared   what the model server gets
 * The budget itself: tokenBudget, pixelBudget, textTokens, imageTokens in #core/image/budget.
 */

export type { MimeType } from "#spec/pictures";

export interface Inspected {
  bytes: Uint8Array;
  /** From the leading bytes; the type that a caller declared is ignored. */
  mimeType: MimeType;
  /** Pixels as stored, before `orientation` is applied. */
  width: number;
  height: number;
  /** EXIF orientation, 1 to 8; 1 by default. */
  orientation: number;
  /** Width of a stored pixel divided by its height; 1 for a square one, 0.48 for a fax of standard resolution. */
  pixelAspect: number;
  /** Pages of a TIFF, frames of a GIF, WebP or APNG, pictures of an MPO; the first one is read. */
  pages: number;
  sha256: string;
  /** The decoder that read the header and still holds the bytes. */
  decoder: Decoder.Decoder;
}

export interface Prepared {
  bytes: Uint8Array;
  mimeType: "image/jpeg" | "image/png";
  width: number;
  height: number;
  sha256: string;
  /** False if `bytes` are the caller's own. */
  changed: boolean;
}

export interface PrepareOptions {
  maxImageTokens: number;
  jpegQuality?: number;
  patch?: number;
  /** Encode again in this format, even if the caller's own bytes could be sent. */
  encodeAs?: "jpeg" | "png" | undefined;
  signal?: AbortSignal | undefined;
}

/** Starts the decoder's process, so that it is ready for the first picture. */
export const warm = (): void => Decoder.shared().warm();

/**
 * Inspects a picture by its leading bytes and its header: no pixel is decoded, so a decompression bomb costs
 * milliseconds. Bytes after the picture in the file (a ZIP, HTML) are neither read nor refused. Throws `invalid_image`
 * (empty, broken header, longer than 200 times its width), `unsupported_media_type`, `image_too_large`
 * (`details.limit_megapixels`, `megapixels`), and as #core/image/structure and the decoder do.
 * @param how.decoder - instead of the instance's own.
 */
export async function inspect(
  bytes: Uint8Array,
  how: { decoder?: Decoder.Decoder | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Inspected> {
  if (bytes.byteLength === 0) throw invalid("empty", "the picture is empty");
  const mimeType = sniff(bytes);
  if (mimeType === undefined) throw await unsupported(bytes);
  Structure.check(bytes, mimeType);
  const sha256 = sha256Of(bytes);
  const decoder = how.decoder ?? Decoder.shared();
  const header = await decoder.run({ op: "header", mimeType }, { bytes, sha256, signal: how.signal });
  const { width, height } = header;
  if (!(width > 0 && height > 0)) throw invalid("broken_header", "the picture has no size");
  checkMegapixels(width, height);
  // For floats and 32 bits the value of white is not defined: such a picture might come out all black or all white.
  if (header.depth !== "uchar" && header.depth !== "ushort") {
    throw invalid("sample_format", "the picture has neither 8 nor 16 bits a sample");
  }
  const aspect = pixelAspect(bytes, mimeType, header.exif);
  const square = squared(width, height, aspect);
  if (Math.max(square.width, square.height) > maxAspectRatio * Math.min(square.width, square.height)) {
    throw new AppError(
      "invalid_image",
      `the picture is more than ${maxAspectRatio} times as long as wide: cut it into several`,
      {
        details: { reason: "aspect_ratio", limit_ratio: maxAspectRatio, width, height },
      },
    );
  }
  return {
    bytes,
    mimeType,
    width,
    height,
    orientation: header.orientation ?? 1,
    pixelAspect: aspect,
    pages: Pages.count(bytes, mimeType, header.pages ?? 1),
    sha256,
    decoder,
  };
}

/** The error for bytes that are not a supported picture, with the kind of file if it is recognized. */
async function unsupported(bytes: Uint8Array): Promise<AppError> {
  const { foreign } = await import("#core/image/foreign");
  const what = foreign(bytes);
  const told = what === undefined ? "these bytes are no picture that is read" : `this is ${what}`;
  return new AppError("unsupported_media_type", `${told} (read are ${names})`, {
    details: { supported: [...mimeTypes] },
  });
}

function checkMegapixels(width: number, height: number): void {
  const megapixels = (width * height) / 1_000_000;
  if (megapixels <= sizes.imageMegapixels) return;
  throw new AppError(
    "image_too_large",
    `the picture has more than ${sizes.imageMegapixels} megapixels: scale it down, 12 are plenty for a receipt`,
    {
      details: {
        limit_megapixels: sizes.imageMegapixels,
        megapixels: Math.round(megapixels * 10) / 10,
        width,
        height,
      },
    },
  );
}

/**
 * The picture as the model server gets it: upright, square pixels, at most `maxImageTokens` (from `tokenBudget`), 8-bit
 * sRGB on white, JPEG without metadata.
 *
 * A plain JPEG or PNG (#core/image/plain: every reader decodes it alike) that is upright and within the budget is sent
 * byte for byte: no generation loss, and its sha256 is the caller's. `encodeAs` prevents this.
 *
 * Every picture is decoded completely, even if it is sent unchanged: a truncated file is `invalid_image`, never a
 * receipt without its last lines. Unusual but complete files (wrong scan parameters, bytes between markers) are
 * accepted.
 *
 * The same bytes and options give the same result. An abort rejects at once and ends the work. Throws `invalid_image`,
 * also for a picture that takes longer than the decoder's limit, or `inference_timeout` on an abort without a reason of
 * ours.
 */
export async function prepare(image: Inspected, options: PrepareOptions): Promise<Prepared> {
  const { bytes, sha256, mimeType, width, height, orientation, pixelAspect } = image;
  const { signal, maxImageTokens, jpegQuality, patch, encodeAs } = options;
  const encoded = await image.decoder.run(
    {
      op: "encode",
      image: { mimeType, width, height, orientation, pixelAspect },
      options: { maxImageTokens, jpegQuality, patch, encodeAs },
    },
    { bytes, sha256, signal },
  );
  if (encoded.bytes === undefined) return { ...encoded, bytes, sha256, changed: false };
  return { ...encoded, bytes: encoded.bytes, sha256: sha256Of(encoded.bytes), changed: true };
}

function invalid(reason: string, message: string): AppError {
  return new AppError("invalid_image", message, { details: { reason } });
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
