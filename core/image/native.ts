import { AppError } from "#core/error";
import { squared } from "#core/image/pixel-shape";
import * as Png from "#core/image/png";
import { profileOf } from "#core/image/srgb";
import { sizes } from "#spec/limits";
import type { MimeType } from "#spec/pictures";

/*
 * sharp (libvips), and how pictures are opened with it. It runs only in the decoder's process (#core/document/decoder), because
 * only the end of that process can stop it: libvips checks its timeout between the strips of a pipeline, but not while
 * it reads a file's tables or the scans of a progressive JPEG.
 */

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

type Load = typeof import("sharp").default;
export type Sharp = ReturnType<Load>;
/** Opens a new decoder for the same picture; `failOn` sets which faults stop it. */
export type Open = (failOn: "warning" | "error") => Sharp;
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

export async function opener({ bytes, mimeType, index }: Picture): Promise<Open> {
  const sharp = await load();
  const readable = forDecoder(bytes, mimeType);
  // Converting each pixel from sRGB to sRGB takes as long as decoding it.
  const ignoreIcc = mimeType === "image/jpeg" && profileOf(bytes) === "srgb";
  return (failOn) =>
    sharp(readable, {
      ignoreIcc,
      limitInputPixels: sizes.imageMegapixels * 1_000_000,
      failOn,
      sequentialRead: true,
      page: index,
    });
}

export async function metadata(bytes: Uint8Array, mimeType: MimeType, page: number) {
  const sharp = await load();
  const how = { limitInputPixels: false, failOn: "error", page } as const;
  return await sharp(forDecoder(bytes, mimeType), how).metadata();
}

function forDecoder(bytes: Uint8Array, mimeType: MimeType): Uint8Array {
  return mimeType === "image/png" ? Png.forDecoder(bytes) : bytes;
}

/** Clockwise degrees that turn a picture of this EXIF orientation upright. */
const degrees: Readonly<Record<number, number>> = { 1: 0, 3: 180, 6: 90, 8: 270 };

interface Orienting {
  /** To this size, as it stands before the further turn; undefined: the size that it has. */
  scale?: { width: number; height: number } | undefined;
  kernel?: "linear" | undefined;
  /** Clockwise degrees; the area outside of the picture becomes white. */
  turn?: number | undefined;
}

/** The picture as EXIF or `turned` says, scaled, and turned further. */
export function oriented(image: Picture, picture: Sharp, { scale, kernel, turn = 0 }: Orienting): Sharp {
  // sharp keeps only one rotation per pipeline, and does it after scaling if it is called after scaling.
  const all = (image.turned ? (degrees[image.orientation] ?? 0) : 0) + turn;
  let pipeline = image.turned ? picture : picture.autoOrient();
  if (scale !== undefined) {
    const { width, height } = scale;
    const [across, down] = image.turned && image.orientation >= 5 ? [height, width] : [width, height];
    pipeline = pipeline.resize(across, down, { fit: "fill", ...(kernel === undefined ? {} : { kernel }) });
  }
  return all === 0 ? pipeline : pipeline.rotate(all, { background: "#ffffff" });
}

/** The size as seen: with square pixels, rotated as EXIF requires. */
export function uprightSize(image: Picture): { width: number; height: number } {
  const { width, height } = squared(image.width, image.height, image.pixelAspect);
  return image.orientation >= 5 ? { width: height, height: width } : { width, height };
}

export function invalid(reason: string, message: string, cause?: unknown): AppError {
  return new AppError("invalid_image", message, { details: { reason }, cause });
}

/** Runs native work. An exception that is not an AppError means a broken picture. @throws AppError `invalid_image`. */
export async function orDamaged<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw invalid("damaged", "the picture is damaged or cut off", cause);
  }
}
