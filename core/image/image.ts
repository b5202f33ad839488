import { createHash } from "node:crypto";
import { AppError } from "#core/error";
import { imageTokens, maxAspectRatio, sizeWithin } from "#core/image/budget";
import { sizes } from "#infra/limits";

/*
 * inspect(bytes) -> Inspected                          type and size from the bytes, nothing decoded
 * prepare(Inspected, { maxImageTokens }) -> Prepared   what the model server gets
 * The budget itself: tokenBudget, pixelBudget, textTokens, imageTokens in #core/image/budget.
 */

export type MimeType = "image/jpeg" | "image/png" | "image/webp" | "image/tiff" | "image/gif";

export interface Inspected {
  bytes: Uint8Array;
  /** From the leading bytes; what a caller declared plays no part. */
  mimeType: MimeType;
  /** Pixels as stored, before `orientation` is applied. */
  width: number;
  height: number;
  /** EXIF orientation, 1 to 8; 1 where the file says nothing. */
  orientation: number;
  /** Pages of a TIFF, frames of a GIF or WebP; the first one is read. */
  pages: number;
  sha256: string;
}

export interface Prepared {
  bytes: Uint8Array;
  mimeType: "image/jpeg" | "image/png";
  width: number;
  height: number;
  sha256: string;
  /** False when `bytes` are the caller's own. */
  changed: boolean;
}

/** As it is only up to this size: more bytes than a decoded picture of the budget needs are only slow to send. */
const asIsMaxBytes = sizes.inlineImageBytes;
/** libvips looks at the clock while it works; it is the only way to stop it. Whole seconds. */
const decodeTimeoutSeconds = 20;
const defaultJpegQuality = 90;

type Sharp = typeof import("sharp").default;
let loading: Promise<Sharp> | undefined;

/** sharp is a native module of some 60 ms: loaded by the first picture, not by every function that imports us. */
function sharp(): Promise<Sharp> {
  loading ??= import("sharp").then((module) => {
    const loaded = module.default;
    // A function has about one vCPU and sees every picture once: threads and caches would only cost memory.
    loaded.concurrency(1);
    loaded.cache(false);
    // Our own look at the leading bytes decides what is a picture; a decoder we never need must not see input at all.
    loaded.block({ operation: ["VipsForeignLoad"] });
    loaded.unblock({
      operation: ["Jpeg", "Png", "Webp", "Tiff", "Nsgif"].map((name) => `VipsForeignLoad${name}`),
    });
    return loaded;
  });
  return loading;
}

/**
 * What a picture is, judged by its leading bytes and its header alone: no pixel is decoded, so a bomb costs
 * milliseconds. Whatever follows the picture in the file (a ZIP, HTML) is neither read nor an objection.
 * Throws `invalid_image` (empty, broken header, longer than 200 times its width), `unsupported_media_type`,
 * `image_too_large` (`details.limit_megapixels`, `megapixels`).
 */
export async function inspect(bytes: Uint8Array): Promise<Inspected> {
  if (bytes.byteLength === 0) throw invalid("empty", "the picture is empty");
  const mimeType = sniff(bytes);
  if (mimeType === undefined) {
    throw new AppError("unsupported_media_type", "the bytes are no JPEG, PNG, WebP, TIFF or GIF picture", {
      details: { supported: ["image/jpeg", "image/png", "image/webp", "image/tiff", "image/gif"] },
    });
  }
  const load = await sharp();
  const header = await load(bytes, { limitInputPixels: false, failOn: "error" })
    .metadata()
    .catch((cause: unknown) => {
      throw invalid("broken_header", "the picture's header is broken or cut off", cause);
    });
  const { width, height } = header;
  if (!(width > 0 && height > 0)) throw invalid("broken_header", "the picture has no size");
  const megapixels = (width * height) / 1_000_000;
  if (megapixels > sizes.imageMegapixels) {
    throw new AppError("image_too_large", `the picture has more than ${sizes.imageMegapixels} megapixels`, {
      details: {
        limit_megapixels: sizes.imageMegapixels,
        megapixels: Math.round(megapixels * 10) / 10,
        width,
        height,
      },
    });
  }
  if (Math.max(width, height) > maxAspectRatio * Math.min(width, height)) {
    throw new AppError("invalid_image", `the picture is more than ${maxAspectRatio} times as long as wide`, {
      details: { reason: "aspect_ratio", limit_ratio: maxAspectRatio, width, height },
    });
  }
  return {
    bytes,
    mimeType,
    width,
    height,
    orientation: header.orientation ?? 1,
    pages: header.pages ?? 1,
    sha256: sha256(bytes),
  };
}

/**
 * The picture as the model server gets it: upright, at most `maxImageTokens` (from `tokenBudget`), 8-bit sRGB on
 * white, JPEG.
 *
 * An upright JPEG or PNG within the budget is sent as it is, byte for byte: no generation loss, and its sha256 is
 * the caller's. Its metadata goes along then, to the operator's own model server, which sees the picture anyway.
 * Re-encoded pictures carry no metadata.
 *
 * Every picture is decoded to its end here, also one that is sent as it is: a file that breaks off is
 * `invalid_image`, never a receipt without its last lines. Odd but complete files (wrong scan parameters, bytes
 * between markers: `failOn` "error", not "warning") are read.
 *
 * The same bytes and options give the same result. An abort rejects at once; libvips itself stops at its own
 * time limit, which is the `deadline` (epoch milliseconds) where that is sooner: a call that was cut off must not
 * leave its picture in memory for the next one. Throws `invalid_image`, or `inference_timeout` when the time ran
 * out, on an abort without a reason of ours too.
 */
export async function prepare(
  image: Inspected,
  options: {
    maxImageTokens: number;
    jpegQuality?: number;
    patch?: number;
    signal?: AbortSignal | undefined;
    deadline?: number | undefined;
  },
): Promise<Prepared> {
  if (options.signal?.aborted) throw timedOut(options.signal);
  const load = await sharp();
  const open = () =>
    load(image.bytes, {
      limitInputPixels: sizes.imageMegapixels * 1_000_000,
      failOn: "error",
      sequentialRead: true,
      page: 0,
    }).timeout({ seconds: secondsUntil(options.deadline) });
  const work = (async (): Promise<Prepared> => {
    const turned = image.orientation >= 5;
    const width = turned ? image.height : image.width;
    const height = turned ? image.width : image.height;
    const target = sizeWithin(width, height, options.maxImageTokens, options.patch);
    const fits = imageTokens(width, height, options.patch) <= options.maxImageTokens;
    if (fits && (await isPlain(image, load))) {
      // Decoded to a few pixels only to see that the file is complete.
      await open().resize(16, 16, { fit: "fill" }).raw().toBuffer();
      const mimeType = image.mimeType === "image/png" ? "image/png" : "image/jpeg";
      return { bytes: image.bytes, mimeType, width, height, sha256: image.sha256, changed: false };
    }
    let pipeline = open().autoOrient();
    if (!fits) pipeline = pipeline.resize(target.width, target.height, { fit: "fill" });
    const { data, info } = await pipeline
      .flatten({ background: "#ffffff" })
      .jpeg({ quality: options.jpegQuality ?? defaultJpegQuality })
      .toBuffer({ resolveWithObject: true });
    return {
      bytes: data,
      mimeType: "image/jpeg",
      width: info.width,
      height: info.height,
      sha256: sha256(data),
      changed: true,
    };
  })().catch((cause: unknown) => {
    if (cause instanceof AppError) throw cause;
    if (cause instanceof Error && cause.message.startsWith("timeout:")) throw timedOut(options.signal, cause);
    throw invalid("damaged", "the picture is damaged or cut off", cause);
  });
  return await orAborted(work, options.signal);
}

/**
 * True for what every model server reads alike without our help: an upright JPEG or PNG, opaque, one frame, in a
 * colour space of 8 bits (16 bits would be rgb16 or grey16).
 */
async function isPlain(image: Inspected, load: Sharp): Promise<boolean> {
  if (image.mimeType !== "image/jpeg" && image.mimeType !== "image/png") return false;
  if (image.orientation !== 1 || image.bytes.byteLength > asIsMaxBytes) return false;
  if (image.mimeType === "image/png" && isAnimatedPng(image.bytes)) return false;
  const header = await load(image.bytes, { limitInputPixels: false, failOn: "error" }).metadata();
  return !header.hasAlpha && (header.space === "srgb" || header.space === "b-w");
}

/** An APNG announces its frames in a chunk `acTL` in front of the first `IDAT` (PNG 3rd edition, 11.3.6.1). */
function isAnimatedPng(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.byteLength; at += 12 + view.getUint32(at)) {
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (name === "acTL") return true;
    if (name === "IDAT") return false;
  }
  return false;
}

/** The type by its magic number; the only judge of what a picture is. */
function sniff(bytes: Uint8Array): MimeType | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(12, bytes.byteLength)).toString("latin1");
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.startsWith("RIFF") && head.slice(8) === "WEBP") return "image/webp";
  if (head.startsWith("GIF87a") || head.startsWith("GIF89a")) return "image/gif";
  // 42 is TIFF, 43 BigTIFF, in either byte order.
  if (/^(?:II[*+]\0|MM\0[*+])/.test(head)) return "image/tiff";
  return undefined;
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  // The work goes on in libvips; its late failure must not become an unhandled rejection.
  work.catch(() => undefined);
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(timedOut(signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Never before the deadline: until then the abort is what ends the wait. */
function secondsUntil(deadline: number | undefined): number {
  if (deadline === undefined) return decodeTimeoutSeconds;
  return Math.min(decodeTimeoutSeconds, Math.max(1, Math.ceil((deadline - Date.now()) / 1000)));
}

/** Our own reason of an abort goes through as it is. */
function timedOut(signal: AbortSignal | undefined, cause: unknown = signal?.reason): AppError {
  if (signal?.reason instanceof AppError) return signal.reason;
  return new AppError("inference_timeout", "the time of this call ran out", { cause });
}

function invalid(reason: string, message: string, cause?: unknown): AppError {
  return new AppError("invalid_image", message, { details: { reason }, cause });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
