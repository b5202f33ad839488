import { AppError } from "#core/error";
import { sizeWithin } from "#core/image/budget";
import { squared } from "#core/image/pixel-shape";
import { isPlainJpeg, isPlainPng } from "#core/image/plain";
import * as Png from "#core/image/png";
import { sizes } from "#spec/limits";
import type { MimeType } from "#spec/pictures";

/*
 * The work with sharp (libvips): reads headers, decodes and encodes pictures. It runs only in the decoder's process
 * (#core/document/decoder), because only the end of that process can stop it: libvips checks its timeout between the strips of a
 * pipeline, but not while it reads a file's tables or the scans of a progressive JPEG.
 */

/** The contents of a picture's header. */
export interface Header {
  width: number;
  height: number;
  /** "points" (1/72 inch) for a page that is drawn, which has no pixels of its own. */
  unit: "pixels" | "points";
  /** libvips' name of a sample: "uchar", "ushort", "float". */
  depth: string;
  orientation: number | undefined;
  exif: Uint8Array | undefined;
  pages: number | undefined;
}

/** A page of a picture's file, whose header was checked (#core/document/document, `Page`). */
export interface Picture {
  bytes: Uint8Array;
  mimeType: MimeType;
  /** The decoder's number of the page, from 0. */
  index: number;
  width: number;
  height: number;
  orientation: number;
  pixelAspect: number;
  /** `orientation` (1, 3, 6 or 8) counts in place of what the file says. */
  turned?: boolean | undefined;
}

export interface Encoding {
  maxImageTokens: number;
  jpegQuality?: number | undefined;
  patch?: number | undefined;
  encodeAs?: "jpeg" | "png" | undefined;
}

export interface Encoded {
  /** Undefined if the caller's own bytes are sent. */
  bytes: Uint8Array | undefined;
  mimeType: "image/jpeg" | "image/png";
  width: number;
  height: number;
}

/** Larger files are encoded again: more bytes than a decoded picture of the budget needs only take longer to send. */
const asIsMaxBytes = sizes.inlineImageBytes;
const defaultJpegQuality = 90;

type Load = typeof import("sharp").default;
type Sharp = ReturnType<Load>;
/** Opens a new decoder for the same picture; `failOn` sets which faults stop it. */
type Open = (failOn: "warning" | "error") => Sharp;
let loading: Promise<Load> | undefined;

/** Loads the native module, which takes some 60 ms, and restricts it. */
export function load(): Promise<Load> {
  loading ??= import("sharp").then((module) => {
    const loaded = module.default;
    // A function has about one vCPU and reads every picture once: threads and caches would only take memory.
    loaded.concurrency(1);
    loaded.cache(false);
    // The leading bytes decide the type (type.ts); decoders of other formats must never get input.
    loaded.block({ operation: ["VipsForeignLoad"] });
    loaded.unblock({
      operation: ["Jpeg", "Png", "Webp", "Tiff", "Nsgif"].map((name) => `VipsForeignLoad${name}`),
    });
    return loaded;
  });
  return loading;
}

/** Reads the header; no pixel is decoded. @throws AppError `invalid_image` for one that is broken or cut off. */
export async function header(bytes: Uint8Array, mimeType: MimeType, index = 0): Promise<Header> {
  try {
    const { width, height, depth, orientation, exif, pages } = await metadata(bytes, mimeType, index);
    return { width, height, unit: "pixels", depth, orientation, exif, pages };
  } catch (cause) {
    throw invalid("broken_header", "the picture's header is broken or cut off", cause);
  }
}

/** The picture within its budget. Every picture is decoded completely. @throws AppError `invalid_image`. */
export async function encode(image: Picture, options: Encoding): Promise<Encoded> {
  const sharp = await load();
  const readable = forDecoder(image.bytes, image.mimeType);
  const open: Open = (failOn) =>
    sharp(readable, {
      limitInputPixels: sizes.imageMegapixels * 1_000_000,
      failOn,
      sequentialRead: true,
      page: image.index,
    });
  try {
    return await encodeWith(image, options, open);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw invalid("damaged", "the picture is damaged or cut off", cause);
  }
}

async function encodeWith(image: Picture, options: Encoding, open: Open): Promise<Encoded> {
  const { width, height } = uprightSize(image);
  const target = sizeWithin(width, height, options.maxImageTokens, options.patch);
  const fits = target.width === width && target.height === height;
  const plain = fits && options.encodeAs === undefined && isPlain(image);
  // The pipeline below works strip by strip and does not report faults in the last one, which may be much of a small
  // picture.
  if (plain || (fits && image.mimeType === "image/jpeg")) {
    const oddity = await oddityIn(image, open);
    if (oddity !== undefined) await refuseLostRows(image, open, oddity);
    else if (plain) {
      const mimeType = image.mimeType === "image/png" ? "image/png" : "image/jpeg";
      return { bytes: undefined, mimeType, width, height };
    }
  }
  const { depth, hasProfile } = await metadata(image.bytes, image.mimeType, image.index);
  const { data, info } = await decode(image, open, (picture) => {
    let pipeline = image.turned ? picture.rotate(degrees[image.orientation]) : picture.autoOrient();
    if (!fits || image.pixelAspect !== 1) {
      pipeline = pipeline.resize(target.width, target.height, { fit: "fill" });
    }
    pipeline = pipeline.flatten({ background: "#ffffff" });
    // Without this, 16 bits with a profile come out as numbers of Display P3, untagged: red as (234, 51, 34). With
    // it, 16 bits without a profile come out wrong (sharp 0.35.5).
    if (depth === "ushort" && hasProfile) pipeline = pipeline.withIccProfile("srgb", { attach: false });
    return written(pipeline, options);
  });
  return encoded(data, info, options);
}

/** Clockwise degrees that turn a picture of this EXIF orientation upright. */
const degrees: Readonly<Record<number, number>> = { 1: 0, 3: 180, 6: 90, 8: 270 };

/** Pixels as a picture of this size. @throws AppError `invalid_image` for data that is not as long as they say. */
export async function pixels(
  { data, width, height, channels }: { data: Uint8Array; width: number; height: number; channels: 1 | 3 | 4 },
  size: { width: number; height: number },
  options: Encoding,
): Promise<Encoded> {
  const sharp = await load();
  const raw = { width, height, channels };
  let pipeline = sharp(data, { raw, limitInputPixels: sizes.imageMegapixels * 1_000_000 });
  if (width !== size.width || height !== size.height)
    pipeline = pipeline.resize(size.width, size.height, { fit: "fill" });
  try {
    const { data: bytes, info } = await written(pipeline.flatten({ background: "#ffffff" }), options);
    return encoded(bytes, info, options);
  } catch (cause) {
    throw invalid("damaged", "the page cannot be drawn", cause);
  }
}

const written = (pipeline: Sharp, { encodeAs, jpegQuality }: Encoding) =>
  (encodeAs === "png"
    ? pipeline.toColorspace("srgb").png()
    : pipeline.jpeg({ quality: jpegQuality ?? defaultJpegQuality })
  ).toBuffer({ resolveWithObject: true });

const encoded = (
  bytes: Uint8Array,
  { width, height }: { width: number; height: number },
  { encodeAs }: Encoding,
): Encoded => ({ bytes, mimeType: encodeAs === "png" ? "image/png" : "image/jpeg", width, height });

/** The size as seen: with square pixels, rotated as EXIF requires. */
function uprightSize(image: Picture): { width: number; height: number } {
  const { width, height } = squared(image.width, image.height, image.pixelAspect);
  return image.orientation >= 5 ? { width: height, height: width } : { width, height };
}

function isPlain(image: Picture): boolean {
  const { bytes, mimeType } = image;
  if (image.orientation !== 1 || image.pixelAspect !== 1 || bytes.byteLength > asIsMaxBytes) return false;
  return (mimeType === "image/png" && isPlainPng(bytes)) || (mimeType === "image/jpeg" && isPlainJpeg(bytes));
}

/** The first decoder warning up to the last row, if any; little more than the entropy decoding is done. */
async function oddityIn(image: Picture, open: Open): Promise<Error | undefined> {
  try {
    await sampled(image, open("warning")).raw().toBuffer();
    return undefined;
  } catch (warning) {
    if (!(warning instanceof Error)) throw warning;
    return warning;
  }
}

/** A JPEG consists of blocks of 8 rows; decoding one sample per block costs hardly any time. */
const blockPixels = 8;

function sampled(image: Picture, picture: Sharp): Sharp {
  const samples = (pixels: number) => Math.max(1, Math.ceil(pixels / blockPixels));
  return picture.resize(samples(image.width), samples(image.height), { fit: "fill", kernel: "nearest" });
}

/**
 * Decodes first with a decoder that stops at every warning. Only if it stops, the picture is checked for lost rows and
 * read by a decoder that stops only at errors.
 */
async function decode<T>(image: Picture, open: Open, use: (picture: Sharp) => Promise<T>): Promise<T> {
  try {
    return await use(open("warning"));
  } catch (warning) {
    if (!(warning instanceof Error)) throw warning;
    await refuseLostRows(image, open, warning);
    return await use(open("error"));
  }
}

/** Up to this many lost blocks at the end may be a margin that a careless writer cut off. */
const mostLostBlocks = 2;

/**
 * A JPEG that was cut off and then closed by a tool ends without a fault. The missing rows decode as mid-gray of
 * exactly 128 (all coefficients are zero), which is not a color of paper. One sample per block is enough to detect it.
 */
async function refuseLostRows(image: Picture, open: Open, oddity: Error): Promise<void> {
  if (image.mimeType !== "image/jpeg" || !oddity.message.includes("premature end")) return;
  const { data, info } = await sampled(image, open("error"))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const rowBytes = info.width * info.channels;
  // Bits at the break may still decode to a stray block or two.
  const isLost = (row: number) =>
    data.subarray(row * rowBytes, (row + 1) * rowBytes).filter((value) => value === 128).length >=
    0.9 * rowBytes;
  let kept = info.height;
  while (kept > 0 && isLost(kept - 1)) kept--;
  if (info.height - kept > mostLostBlocks)
    throw invalid("damaged", "the picture is damaged or cut off", oddity);
}

async function metadata(bytes: Uint8Array, mimeType: MimeType, page: number) {
  const sharp = await load();
  const how = { limitInputPixels: false, failOn: "error", page } as const;
  return await sharp(forDecoder(bytes, mimeType), how).metadata();
}

function forDecoder(bytes: Uint8Array, mimeType: MimeType): Uint8Array {
  return mimeType === "image/png" ? Png.forDecoder(bytes) : bytes;
}

function invalid(reason: string, message: string, cause?: unknown): AppError {
  return new AppError("invalid_image", message, { details: { reason }, cause });
}
