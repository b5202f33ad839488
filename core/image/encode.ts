import { isBlank, lookWidth } from "#core/image/blank";
import { sizeWithin } from "#core/image/budget";
import { isPlainJpeg, isPlainPng, withoutMetadata } from "#core/image/plain";
import { sizes } from "#spec/limits";
import type { MimeType } from "#spec/pictures";
import * as Native from "./native.ts";
import { isLying, turnedSize } from "./turned.ts";
import * as Whole from "./whole.ts";

/* Reads headers, decodes and encodes pictures: the work of the decoder's process (./native.ts). */

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
  /** Megapixels of the largest picture on a page that is drawn, as declared. */
  megapixels?: number | undefined;
  /** True for a document that was damaged and may be incomplete. */
  repaired?: boolean | undefined;
}

export interface Encoding {
  maxImageTokens: number;
  jpegQuality?: number | undefined;
  patch?: number | undefined;
  encodeAs?: "jpeg" | "png" | undefined;
  /** Clockwise degrees by which the picture is turned beyond its own orientation: quarters, and a tilt; default 0. */
  turn?: number | undefined;
  /** The part of the upright page that is wanted; default: all of it. */
  region?: Region | undefined;
  /** Whether to check that the page has any print. */
  seeksBlank?: boolean | undefined;
  /** The standard's Huffman codes, not the picture's own: a fifth less time for a seventh more bytes. */
  standardCodes?: boolean | undefined;
}

interface Size {
  width: number;
  height: number;
}

/** A part of an upright page, in shares of its sides: 0 to 1. */
export interface Region extends Size {
  left: number;
  top: number;
}

export interface Encoded {
  /** Undefined if the caller's own bytes are sent. */
  bytes: Uint8Array | undefined;
  mimeType: "image/jpeg" | "image/png";
  width: number;
  height: number;
  /** Set only if print was searched for and none was found. */
  blank?: true | undefined;
}

/** Larger files are encoded again: more bytes than a decoded picture of the budget needs only take longer to send. */
const asIsMaxBytes = sizes.inlineImageBytes;
const defaultJpegQuality = 90;

/** Reads the header; no pixel is decoded. @throws AppError `invalid_image` for one that is broken or cut off. */
export async function header(bytes: Uint8Array, mimeType: MimeType, index = 0): Promise<Header> {
  try {
    const { width, height, depth, orientation, exif, pages } = await Native.metadata(bytes, mimeType, index);
    return { width, height, unit: "pixels", depth, orientation, exif, pages };
  } catch (cause) {
    throw Native.invalid("broken_header", "the picture's header is broken or cut off", cause);
  }
}

/** The picture within its budget. Every picture is decoded completely. @throws AppError `invalid_image`. */
export async function encode(image: Native.Picture, options: Encoding): Promise<Encoded> {
  const open = await Native.opener(image);
  return await Native.orDamaged(async () => {
    const encoded = await encodeWith(image, options, open);
    return options.seeksBlank ? await judged(encoded, encoded.bytes ?? image.bytes) : encoded;
  });
}

async function encodeWith(image: Native.Picture, options: Encoding, open: Native.Open): Promise<Encoded> {
  const { turn, region } = options;
  const upright = Native.uprightSize(image);
  const scale = scaled(upright, options);
  const fits = scale.width === upright.width && scale.height === upright.height;
  const isWhole = !turn && region === undefined;
  const asIs = fits && isWhole && options.encodeAs === undefined ? asItIs(image) : undefined;
  // The pipeline below works strip by strip and does not report faults in the last one, which may be much of a small
  // picture.
  if (asIs !== undefined || (fits && image.mimeType === "image/jpeg")) {
    const oddity = await Whole.oddityIn(image, open);
    if (oddity !== undefined) await Whole.refuseLostRows(image, open, oddity);
    else if (asIs !== undefined) return { ...asIs, ...upright };
  }
  const { depth, hasProfile } = await Native.metadata(image.bytes, image.mimeType, image.index);
  const { data, info } = await Whole.decode({ image, open }, (picture) => {
    const isScaled = !fits || image.pixelAspect !== 1;
    let pipeline = Native.oriented(image, picture, { scale: isScaled ? scale : undefined, turn });
    pipeline = pipeline.flatten({ background: "#ffffff" });
    // Without this, 16 bits with a profile come out as numbers of Display P3, untagged: red as (234, 51, 34). With
    // it, 16 bits without a profile come out wrong (sharp 0.35.5).
    if (depth === "ushort" && hasProfile) pipeline = pipeline.withIccProfile("srgb", { attach: false });
    return written(pipeline, options);
  });
  return encoded(data, info, options);
}

/**
 * The size to scale to before a picture of this size is turned, so that it, or its region, is within its budget
 * afterwards: turned by anything but quarters it stands in a larger rectangle.
 */
export function scaled(before: Size, { maxImageTokens, patch, turn = 0, region }: Encoding): Size {
  const after = turnedSize(before, turn);
  const wanted = region === undefined ? after : sized(after, region);
  const target = sizeWithin(wanted.width, wanted.height, maxImageTokens, patch);
  if (target.width === wanted.width && target.height === wanted.height) return before;
  const [across, down] = [target.width / wanted.width, target.height / wanted.height];
  if (turn % 90 === 0) {
    const size = {
      width: Math.max(1, Math.round(after.width * across)),
      height: Math.max(1, Math.round(after.height * down)),
    };
    return isLying(turn) ? { width: size.height, height: size.width } : size;
  }
  const share = Math.min(across, down);
  // One pixel less, because the rectangle is rounded up again.
  const side = (pixels: number) => Math.max(1, Math.floor(pixels * share) - 1);
  return { width: side(before.width), height: side(before.height) };
}

/** The pixels of a region. */
function sized(page: Size, { width, height }: Region): Size {
  return {
    width: Math.max(1, Math.round(page.width * width)),
    height: Math.max(1, Math.round(page.height * height)),
  };
}

/** Raw pixels as a picture of this size. @throws AppError `invalid_image` if the data has another length. */
export async function pixels(
  { data, width, height, channels }: { data: Uint8Array; width: number; height: number; channels: 1 | 3 | 4 },
  size: { width: number; height: number },
  options: Encoding,
): Promise<Encoded> {
  const sharp = await Native.load();
  const raw = { width, height, channels };
  let pipeline = sharp(data, { raw, limitInputPixels: sizes.imageMegapixels * 1_000_000 });
  if (width !== size.width || height !== size.height)
    pipeline = pipeline.resize(size.width, size.height, { fit: "fill" });
  try {
    if (options.turn) pipeline = pipeline.rotate(options.turn, { background: "#ffffff" });
    const { data: bytes, info } = await written(pipeline.flatten({ background: "#ffffff" }), options);
    const result = encoded(bytes, info, options);
    return options.seeksBlank ? await judged(result, bytes) : result;
  } catch (cause) {
    throw Native.invalid("damaged", "the page cannot be drawn", cause);
  }
}

async function written(page: Native.Sharp, options: Encoding) {
  const { encodeAs, jpegQuality, standardCodes, region } = options;
  const pipeline = region === undefined ? page : await cutOut(page, region);
  const encoder =
    encodeAs === "png"
      ? pipeline.toColorspace("srgb").png()
      : pipeline.jpeg({ quality: jpegQuality ?? defaultJpegQuality, optimizeCoding: standardCodes !== true });
  return await encoder.toBuffer({ resolveWithObject: true });
}

/** The region of a page that is drawn first: its size is known only after it was turned. */
async function cutOut(page: Native.Sharp, region: Region): Promise<Native.Sharp> {
  const { data, info } = await page
    .toColorspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const size = sized(info, region);
  const left = Math.min(width - size.width, Math.round(region.left * width));
  const top = Math.min(height - size.height, Math.round(region.top * height));
  const sharp = await Native.load();
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false }).extract({
    left,
    top,
    ...size,
  });
}

const encoded = (
  bytes: Uint8Array,
  { width, height }: { width: number; height: number },
  { encodeAs }: Encoding,
): Encoded => ({ bytes, mimeType: encodeAs === "png" ? "image/png" : "image/jpeg", width, height });

/** The same, with the result of the check whether these bytes, which are sent, show any print. */
async function judged(encoded: Encoded, bytes: Uint8Array): Promise<Encoded> {
  const sharp = await Native.load();
  const { data, info } = await sharp(bytes)
    .greyscale()
    .resize({ width: lookWidth, withoutEnlargement: true })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return isBlank(data, info) ? { ...encoded, blank: true } : encoded;
}

/** The picture without being compressed again; undefined if readers would see it differently. */
function asItIs(image: Native.Picture): Pick<Encoded, "bytes" | "mimeType"> | undefined {
  const { bytes, mimeType } = image;
  if (image.orientation !== 1 || image.pixelAspect !== 1 || bytes.byteLength > asIsMaxBytes) return undefined;
  if (mimeType === "image/png") return isPlainPng(bytes) ? { bytes: undefined, mimeType } : undefined;
  if (mimeType !== "image/jpeg") return undefined;
  if (isPlainJpeg(bytes)) return { bytes: undefined, mimeType };
  const bare = withoutMetadata(bytes);
  return bare && { bytes: bare, mimeType };
}
