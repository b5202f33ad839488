/** One byte a pixel, row by row; 0 is black. */
export interface Grey {
  width: number;
  height: number;
  data: Uint8Array;
}

/** Clockwise quarter turns. */
export type Quarter = 0 | 90 | 180 | 270;

/** About how many pixels the look works on: a sheet of paper has 640 × 480 then, a long receipt is longer and narrower. */
export const lookPixels = 640 * 480;

/**
 * The copy of long paper keeps a short side of this many pixels, so that its letters stay recognizable, up to
 * `mostLookPixels`.
 */
const leastShortSide = 240;
const mostLookPixels = 2_400_000;

/** The size of the reduced copy, never larger than the picture. */
export function reducedSize(width: number, height: number): { width: number; height: number } {
  const scale = Math.min(
    1,
    Math.max(Math.sqrt(lookPixels / (width * height)), leastShortSide / Math.min(width, height)),
    Math.sqrt(mostLookPixels / (width * height)),
  );
  const side = (pixels: number) => Math.max(1, Math.round(pixels * scale));
  return { width: side(width), height: side(height) };
}

/**
 * Grey of pixels of one or more channels; of three or more the first three are red, green and blue. The weights are
 * near those of luma and need no multiplication.
 */
export function greyOf(
  pixels: Uint8Array,
  { width, height, channels }: { width: number; height: number; channels: number },
): Grey {
  if (channels < 3)
    return { width, height, data: channels === 1 ? pixels : pixels.filter((_, at) => at % channels === 0) };
  const data = new Uint8Array(width * height);
  for (let at = 0, from = 0; at < data.length; at += 1, from += channels)
    data[at] =
      ((pixels[from] as number) + 2 * (pixels[from + 1] as number) + (pixels[from + 2] as number)) >> 2;
  return { width, height, data };
}
