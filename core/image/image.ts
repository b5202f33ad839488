import { createHash } from "node:crypto";
import { AppError } from "#core/error";
import { maxAspectRatio, sizeWithin } from "#core/image/budget";
import * as Pages from "#core/image/pages";
import { pixelAspect, squared } from "#core/image/pixel-shape";
import { isPlainJpeg, isPlainPng } from "#core/image/plain";
import * as Png from "#core/image/png";
import { type MimeType, mimeTypes, sniff } from "#core/image/type";
import { sizes } from "#infra/limits";

/*
 * inspect(bytes) -> Inspected                          type and size from the bytes, nothing decoded
 * prepare(Inspected, { maxImageTokens }) -> Prepared   what the model server gets
 * The budget itself: tokenBudget, pixelBudget, textTokens, imageTokens in #core/image/budget.
 */

export type { MimeType } from "#core/image/type";

export interface Inspected {
  bytes: Uint8Array;
  /** From the leading bytes; what a caller declared plays no part. */
  mimeType: MimeType;
  /** Pixels as stored, before `orientation` is applied. */
  width: number;
  height: number;
  /** EXIF orientation, 1 to 8; 1 where the file says nothing. */
  orientation: number;
  /** Width of a stored pixel divided by its height; 1 for a square one, 0.48 for a fax of standard resolution. */
  pixelAspect: number;
  /** Pages of a TIFF, frames of a GIF, WebP or APNG, pictures of an MPO; the first one is read. */
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

export interface PrepareOptions {
  maxImageTokens: number;
  jpegQuality?: number;
  patch?: number;
  /** Encoded anew in this format, also where the caller's own bytes could be sent. */
  encodeAs?: "jpeg" | "png" | undefined;
  signal?: AbortSignal | undefined;
  deadline?: number | undefined;
}

/** As it is only up to this size: more bytes than a decoded picture of the budget needs are only slow to send. */
const asIsMaxBytes = sizes.inlineImageBytes;
/** libvips looks at the clock while it works; it is the only way to stop it. Whole seconds. */
const decodeTimeoutSeconds = 20;
const defaultJpegQuality = 90;

type Sharp = typeof import("sharp").default;
type Picture = ReturnType<Sharp>;
/** A new decoder of the same picture; `failOn` is what it stops at. */
type Open = (failOn: "warning" | "error") => Picture;
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
      details: { supported: mimeTypes },
    });
  }
  const header = await readHeader(bytes, mimeType).catch((cause: unknown) => {
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
  // A float's or a 32-bit number's white is anybody's guess: such a picture would silently come out black or white.
  if (header.depth !== "uchar" && header.depth !== "ushort") {
    throw invalid("sample_format", "the picture has neither 8 nor 16 bits a sample");
  }
  const aspect = pixelAspect(bytes, mimeType, header.exif);
  const square = squared(width, height, aspect);
  if (Math.max(square.width, square.height) > maxAspectRatio * Math.min(square.width, square.height)) {
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
    pixelAspect: aspect,
    pages: Pages.count(bytes, mimeType, header.pages ?? 1),
    sha256: sha256(bytes),
  };
}

/**
 * The picture as the model server gets it: upright, square pixels, at most `maxImageTokens` (from `tokenBudget`),
 * 8-bit sRGB on white, JPEG without metadata.
 *
 * A plain JPEG or PNG (#core/image/plain: what every reader takes alike) that is upright and within the budget is
 * sent as it is, byte for byte: no generation loss, and its sha256 is the caller's. `encodeAs` forbids that.
 *
 * Every picture is decoded to its end here, also one that is sent as it is: a file that breaks off is
 * `invalid_image`, never a receipt without its last lines. Odd but complete files (wrong scan parameters, bytes
 * between markers) are read.
 *
 * The same bytes and options give the same result. An abort rejects at once; libvips itself stops at its own
 * time limit, which is the `deadline` (epoch milliseconds) where that is sooner: a call that was cut off must not
 * leave its picture in memory for the next one. Throws `invalid_image`, or `inference_timeout` when the time ran
 * out, on an abort without a reason of ours too.
 */
export async function prepare(image: Inspected, options: PrepareOptions): Promise<Prepared> {
  if (options.signal?.aborted) throw timedOut(options.signal);
  const load = await sharp();
  const readable = forDecoder(image.bytes, image.mimeType);
  const open: Open = (failOn) =>
    load(readable, {
      limitInputPixels: sizes.imageMegapixels * 1_000_000,
      failOn,
      sequentialRead: true,
      page: 0,
    }).timeout({ seconds: secondsUntil(options.deadline) });
  const work = encode(image, options, open).catch((cause: unknown) => {
    if (cause instanceof AppError) throw cause;
    if (isTimeout(cause)) throw timedOut(options.signal, cause);
    throw invalid("damaged", "the picture is damaged or cut off", cause);
  });
  return await orAborted(work, options.signal);
}

async function encode(image: Inspected, options: PrepareOptions, open: Open): Promise<Prepared> {
  const { width, height } = uprightSize(image);
  const target = sizeWithin(width, height, options.maxImageTokens, options.patch);
  const fits = target.width === width && target.height === height;
  const plain = fits && options.encodeAs === undefined && isPlain(image);
  // The pipeline below works strip by strip and does not tell of the last one, which of a small picture is much.
  if (plain || (fits && image.mimeType === "image/jpeg")) {
    const oddity = await oddityIn(image, open);
    if (oddity !== undefined) await refuseLostRows(image, open, oddity);
    else if (plain) {
      const mimeType = image.mimeType === "image/png" ? "image/png" : "image/jpeg";
      return { bytes: image.bytes, mimeType, width, height, sha256: image.sha256, changed: false };
    }
  }
  const { depth, hasProfile } = await readHeader(image.bytes, image.mimeType);
  const { data, info } = await decode(image, open, (picture) => {
    let pipeline = picture.autoOrient();
    if (!fits || image.pixelAspect !== 1) {
      pipeline = pipeline.resize(target.width, target.height, { fit: "fill" });
    }
    pipeline = pipeline.flatten({ background: "#ffffff" });
    // Without this, 16 bits with a profile come out as numbers of Display P3, untagged: red as (234, 51, 34). With
    // it, 16 bits without a profile come out wrong (sharp 0.35.5).
    if (depth === "ushort" && hasProfile) pipeline = pipeline.withIccProfile("srgb", { attach: false });
    pipeline =
      options.encodeAs === "png"
        ? pipeline.toColourspace("srgb").png()
        : pipeline.jpeg({ quality: options.jpegQuality ?? defaultJpegQuality });
    return pipeline.toBuffer({ resolveWithObject: true });
  });
  return {
    bytes: data,
    mimeType: options.encodeAs === "png" ? "image/png" : "image/jpeg",
    width: info.width,
    height: info.height,
    sha256: sha256(data),
    changed: true,
  };
}

/** What is seen: with square pixels, turned as EXIF says. */
function uprightSize(image: Inspected): { width: number; height: number } {
  const { width, height } = squared(image.width, image.height, image.pixelAspect);
  return image.orientation >= 5 ? { width: height, height: width } : { width, height };
}

function isPlain(image: Inspected): boolean {
  const { bytes, mimeType } = image;
  if (image.orientation !== 1 || image.pixelAspect !== 1 || bytes.byteLength > asIsMaxBytes) return false;
  return (mimeType === "image/png" && isPlainPng(bytes)) || (mimeType === "image/jpeg" && isPlainJpeg(bytes));
}

/** The first odd thing on the way to the last row, if any; nearly nothing but the entropy decoding is done. */
async function oddityIn(image: Inspected, open: Open): Promise<Error | undefined> {
  try {
    await sampled(image, open("warning")).raw().toBuffer();
    return undefined;
  } catch (warning) {
    if (!(warning instanceof Error) || isTimeout(warning)) throw warning;
    return warning;
  }
}

/** A JPEG is made of blocks of 8 rows; its decoder gives one sample a block at hardly any cost. */
const blockPixels = 8;

function sampled(image: Inspected, picture: Picture): Picture {
  const samples = (pixels: number) => Math.max(1, Math.ceil(pixels / blockPixels));
  return picture.resize(samples(image.width), samples(image.height), { fit: "fill", kernel: "nearest" });
}

/**
 * Does the work, at first with a decoder that stops at everything odd. Only when it did, the picture is looked at
 * for lost rows, and read by one that stops at errors alone.
 */
async function decode<T>(image: Inspected, open: Open, use: (picture: Picture) => Promise<T>): Promise<T> {
  try {
    return await use(open("warning"));
  } catch (warning) {
    if (!(warning instanceof Error) || isTimeout(warning)) throw warning;
    await refuseLostRows(image, open, warning);
    return await use(open("error"));
  }
}

/** At the end of a picture that many blocks are a margin that a careless writer cut off. */
const mostLostBlocks = 2;

/**
 * A JPEG that broke off and was closed by a tool ends in order; what is missing is decoded as mid-grey of exactly
 * 128 (the coefficients are all zero), which is no colour of paper. One sample a block is enough to see it.
 */
async function refuseLostRows(image: Inspected, open: Open, oddity: Error): Promise<void> {
  if (image.mimeType !== "image/jpeg" || !oddity.message.includes("premature end")) return;
  const { data, info } = await sampled(image, open("error"))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const rowBytes = info.width * info.channels;
  // The bits at the break may still make a stray block or two.
  const isLost = (row: number) =>
    data.subarray(row * rowBytes, (row + 1) * rowBytes).filter((value) => value === 128).length >=
    0.9 * rowBytes;
  let kept = info.height;
  while (kept > 0 && isLost(kept - 1)) kept--;
  if (info.height - kept > mostLostBlocks)
    throw invalid("damaged", "the picture is damaged or cut off", oddity);
}

async function readHeader(bytes: Uint8Array, mimeType: MimeType) {
  const load = await sharp();
  return await load(forDecoder(bytes, mimeType), { limitInputPixels: false, failOn: "error" }).metadata();
}

function forDecoder(bytes: Uint8Array, mimeType: MimeType): Uint8Array {
  return mimeType === "image/png" ? Png.forDecoder(bytes) : bytes;
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

/** What libvips says when its own time limit ended it. */
function isTimeout(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message.startsWith("timeout:");
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
