import { AppError } from "#core/error";
import type { Cut, Pixels } from "#core/image/cut";
import * as Encode from "#core/image/encode";
import type { Picture } from "#core/image/native";
import { reducedSize } from "#core/look/grey";
import type { Look } from "#core/look/look";
import { sizes } from "#spec/limits";
import type { File, Opened } from "./format/format.ts";
import type { Reader } from "./reader.ts";
import { pixelsOf } from "./resolution.ts";

/* Pages of a format's module (./format/format.ts) as headers and as pictures, in the decoder's process. */

/** A file that a format's module opened, with the operations for orders. */
export function reader(opened: Opened): Reader {
  return {
    header: (index) => header(opened, index),
    look: (index) => look(opened, index),
    encode: (index, _, options) => encode(opened, index, options),
    cut: (index, _, part) => cut(opened, index, part),
    text: (index) => opened.text?.(index),
    attachments: () => opened.attachments?.() ?? [],
    close: () => opened.close(),
  };
}

/** A page's header, as that of a picture. */
async function header(opened: Opened, index: number): Promise<Encode.Header> {
  const { width, height, unit, megapixels } = await opened.shape(index);
  return {
    width,
    height,
    unit,
    megapixels,
    depth: "uchar",
    orientation: undefined,
    exif: undefined,
    pages: opened.pages,
    repaired: opened.repaired,
  };
}

/** The page within its budget, as `Encode.encode` does it for a picture. @throws AppError `invalid_image`. */
async function encode(opened: Opened, index: number, asked: Encode.Encoding): Promise<Encode.Encoded> {
  const options = { ...asked, standardCodes: true };
  const natural = pixelsOf(await opened.shape(index));
  const size = Encode.scaled(natural, options);
  const raster = await opened.raster(index, size);
  if (raster.kind === "pixels") {
    const small = raster.width * raster.height < size.width * size.height;
    return await Encode.pixels(raster, small ? raster : size, options);
  }
  const encoded = await Encode.encode(await pictureOf(raster), options);
  // The caller's own bytes are the whole document.
  return encoded.bytes === undefined ? { ...encoded, bytes: raster.bytes } : encoded;
}

/** One look at the page, as at a picture. @throws AppError `invalid_image`. */
async function look(opened: Opened, index: number): Promise<Look> {
  const natural = pixelsOf(await opened.shape(index));
  const raster = await opened.raster(index, reducedSize(natural.width, natural.height));
  const Look = await import("#core/image/look");
  return raster.kind === "pixels" ? await Look.pixels(raster) : await Look.look(await pictureOf(raster));
}

/** A part of the page, cut from the largest drawing of it. @throws AppError `invalid_image`. */
async function cut(opened: Opened, index: number, part: Cut): Promise<Pixels> {
  const raster = await opened.raster(index, pixelsOf(await opened.shape(index)));
  const Cut = await import("#core/image/cut");
  return raster.kind === "pixels"
    ? await Cut.ofPixels(raster, part)
    : await Cut.ofPicture(await pictureOf(raster), part);
}

/** The picture that a page consists of. @throws AppError `invalid_image`. */
async function pictureOf({ bytes, mimeType, orientation }: File): Promise<Picture> {
  const { width, height } = await Encode.header(bytes, mimeType);
  if (width * height > sizes.imageMegapixels * 1_000_000)
    throw new AppError("invalid_image", "a page holds a picture that is too large", {
      details: { reason: "page_too_large", limit_megapixels: sizes.imageMegapixels },
    });
  return { bytes, mimeType, index: 0, width, height, orientation, pixelAspect: 1, turned: true };
}
