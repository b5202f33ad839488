import { type Grey, greyOf, reducedSize } from "#core/look/grey";
import * as Look from "#core/look/look";
import { sizes } from "#spec/limits";
import * as Native from "./native.ts";
import * as Whole from "./whole.ts";

const mostPixels = sizes.imageMegapixels * 1_000_000;

/**
 * Looks at a picture once (#core/look/look). The decoder stops at the first fault and reads up to the last row, so the
 * picture needs no test decode afterwards (./whole.ts).
 * @throws AppError `invalid_image` for a picture that is broken or cut off.
 */
export async function look(image: Native.Picture): Promise<Look.Look> {
  return Look.look(await copy(image));
}

/** The reduced grey copy that is looked at. @throws AppError as `look`. */
export async function copy(image: Native.Picture): Promise<Grey> {
  const open = await Native.opener(image);
  return await Native.orDamaged(() => reduced(image, open));
}

/** Looks at pixels of 8 bits: gray, sRGB, or sRGB with alpha. */
export async function pixels(raster: {
  data: Uint8Array;
  width: number;
  height: number;
  channels: 1 | 3 | 4;
}): Promise<Look.Look> {
  const { width, height, channels } = raster;
  const sharp = await Native.load();
  const picture = sharp(raster.data, { raw: { width, height, channels }, limitInputPixels: mostPixels });
  const size = reducedSize(width, height);
  return Look.look(await grey(picture.resize(size.width, size.height, { fit: "fill", kernel: "linear" })));
}

/** The picture as EXIF turns it, on white, in grey. */
async function reduced(image: Native.Picture, open: Native.Open): Promise<Grey> {
  const upright = Native.uprightSize(image);
  const { width, height } = reducedSize(upright.width, upright.height);
  return await Whole.decode({ image, open, readsAll: true }, (picture) =>
    grey(Native.oriented(image, picture, { scale: { width, height }, kernel: "linear" })),
  );
}

async function grey(reduced: Native.Sharp): Promise<Grey> {
  const { data, info } = await reduced
    .flatten({ background: "#ffffff" })
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  return greyOf(data, info);
}
