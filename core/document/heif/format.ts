import { AppError } from "#core/error";
import * as Native from "#core/image/native";
import { guards } from "#spec/guards";
import { sizes } from "#spec/limits";
import type { Format, Opened } from "../format/format.ts";
import { refused } from "./boxes.ts";
import { look, type Still } from "./picture.ts";
import { iccOf } from "./profile.ts";
import * as Tiff from "./tiff.ts";

/*
 * HEIC and AVIF: the one picture that a phone shows, decoded into an uncompressed TIFF in memory, which the rest of the
 * work reads like any other picture. HEVC is decoded by a library that is loaded only here (./libheif.ts), AV1 by
 * sharp. Other pictures in the file are only counted.
 */

export const format: Format = {
  async open(bytes) {
    return new Picture(bytes, look(bytes));
  },
};

/** Larger pictures are not kept, because the process holds the open file; they are decoded again for another size. */
const mostKeptBytes = 64_000_000;

class Picture implements Opened {
  readonly #bytes: Uint8Array;
  readonly #still: Still;
  #kept: Uint8Array | undefined;

  constructor(bytes: Uint8Array, still: Still) {
    this.#bytes = bytes;
    this.#still = still;
  }

  get pages(): number {
    return this.#still.pictures;
  }

  shape() {
    const { width, height } = this.#still;
    return { width, height, unit: "pixels" as const };
  }

  async raster() {
    const bytes = this.#kept ?? (await tiffOf(this.#bytes, this.#still));
    this.#kept = bytes.byteLength <= mostKeptBytes ? bytes : undefined;
    return { kind: "file" as const, bytes, mimeType: "image/tiff" as const, orientation: 1 as const };
  }

  close(): void {
    this.#kept = undefined;
  }
}

async function tiffOf(bytes: Uint8Array, { codec, color }: Still): Promise<Uint8Array> {
  const named = color.nclx === undefined ? undefined : iccOf(color.nclx);
  if (codec === "av1")
    // sharp converts by the file's own profile.
    return Tiff.pack(await bySharp(bytes), color.icc === undefined ? named : undefined);
  const { decode } = await import("./libheif.ts");
  const samples = await decode(bytes, {
    items: guards.heif.items,
    pixels: guards.heif.decodedMegapixels * 1_000_000,
  });
  return Tiff.pack(samples, isRgb(color.icc) ? color.icc : named);
}

/** The color space that a profile is for stands in its header (ICC.1:2022, 7.2.8). */
const isRgb = (icc: Uint8Array | undefined): boolean =>
  icc !== undefined && Buffer.from(icc.subarray(16, 20)).toString("latin1") === "RGB ";

/** @throws AppError `invalid_image`, `damaged`. */
async function bySharp(bytes: Uint8Array): Promise<Tiff.Samples> {
  const sharp = await Native.load();
  sharp.unblock({ operation: ["VipsForeignLoadHeif"] });
  const open = (page: number) =>
    sharp(bytes, { limitInputPixels: sizes.imageMegapixels * 1_000_000, failOn: "warning", page });
  try {
    const { pagePrimary = 0, depth, hasProfile } = await open(0).metadata();
    let pipeline = open(pagePrimary).flatten({ background: "#ffffff" });
    // The same message as in #core/image/encode.
    if (depth === "ushort" && hasProfile) pipeline = pipeline.withIccProfile("srgb", { attach: false });
    const { data, info } = await pipeline
      .toColorspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    const { width, height } = info;
    return { width, height, channels: 3, premultiplied: false, stride: 3 * width, data };
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw refused("damaged", "the picture is damaged or cut off", {}, cause);
  }
}
