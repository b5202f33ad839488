import { AppError } from "#core/error";
import { sizeWithin } from "#core/image/budget";
import * as Encode from "#core/image/encode";
import { sizes } from "#spec/limits";
import type { Opened, Shape, Size } from "./format/format.ts";

/* Pages of a format's module (./format/format.ts) as headers and as pictures, in the decoder's process. */

/** Pixels of a drawn page beyond these show no more: print of 4 points is 17 pixels high. */
const mostDotsPerInch = 300;

/** A page's header, as that of a picture. */
export async function header(opened: Opened, index: number): Promise<Encode.Header> {
  const { width, height, unit } = await opened.shape(index);
  return {
    width,
    height,
    unit,
    depth: "uchar",
    orientation: undefined,
    exif: undefined,
    pages: opened.pages,
  };
}

/** The page within its budget, as `Encode.encode` does it for a picture. @throws AppError `invalid_image`. */
export async function encode(
  opened: Opened,
  index: number,
  options: Encode.Encoding,
): Promise<Encode.Encoded> {
  const natural = pixelsOf(await opened.shape(index));
  const size = sizeWithin(natural.width, natural.height, options.maxImageTokens, options.patch);
  const raster = await opened.raster(index, size);
  if (raster.kind === "pixels") {
    const small = raster.width * raster.height < size.width * size.height;
    return await Encode.pixels(raster, small ? raster : size, options);
  }
  const { bytes, mimeType, orientation } = raster;
  const { width, height } = await Encode.header(bytes, mimeType);
  if (width * height > sizes.imageMegapixels * 1_000_000)
    throw new AppError("invalid_image", "a page holds a picture that is too large", {
      details: { reason: "page_too_large", limit_megapixels: sizes.imageMegapixels },
    });
  const picture = { bytes, mimeType, index: 0, width, height, orientation, pixelAspect: 1, turned: true };
  const encoded = await Encode.encode(picture, options);
  // The caller's own bytes are the whole document.
  return encoded.bytes === undefined ? { ...encoded, bytes } : encoded;
}

/** The pixels that a page has, or is drawn with at most. */
function pixelsOf({ width, height, unit }: Shape): Size {
  const scale = unit === "points" ? mostDotsPerInch / 72 : 1;
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}
