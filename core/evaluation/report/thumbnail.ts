import * as Document from "#core/document/document";
import { AppError } from "#core/error";
import { squared } from "#core/image/pixel-shape";

/** A small JPEG, or why there is none, in words for the reader of a report. */
export type Thumbnail = { jpeg: Uint8Array } | { missing: string };

/** The most bytes of a thumbnail. */
export const maxBytes = 61_440;
/** The time for one picture; decoding a phone's photo takes a tenth of it. */
const limitMs = 3_000;

/**
 * Tried in this order until one is small enough: long side in pixels, and JPEG quality. With the last one even pure
 * noise is small enough.
 */
const tries = [
  [600, 75],
  [600, 55],
  [480, 45],
  [320, 40],
] as const;

/**
 * The first page as a JPEG, upright, long side 600 and 60 KB at most, without EXIF, XMP or a color profile: it is
 * encoded again. It is decoded in the decoder's process, which is killed when its time is over.
 * @param options.until - epoch milliseconds by which it must be finished.
 */
export async function of(bytes: Uint8Array, { until }: { until: number }): Promise<Thumbnail> {
  const signal = AbortSignal.timeout(Math.max(0, Math.min(limitMs, until - Date.now())));
  try {
    const { first } = await Document.open(bytes, { signal });
    for (const [longSide, jpegQuality] of tries) {
      const maxImageTokens = pixelsOf(first, longSide);
      const options = { maxImageTokens, jpegQuality, patch: 1, encodeAs: "jpeg", signal } as const;
      const { bytes: jpeg } = await Document.prepare(first, options);
      if (jpeg.length <= maxBytes) return { jpeg };
    }
    return { missing: "its thumbnail is too large" };
  } catch (thrown) {
    if (signal.aborted) return { missing: "it takes too long to decode" };
    if (thrown instanceof AppError && !thrown.retry) return { missing: thrown.message };
    throw thrown;
  }
}

/**
 * The page's number of pixels if its long side has this many, but at most its own. A "token" of a patch of 1 is a
 * pixel.
 */
function pixelsOf(page: Document.Page, longSide: number): number {
  const { width, height } = squared(page.width, page.height, page.pixelAspect);
  const isDrawn = page.unit === "points";
  const scale = longSide / Math.max(width, height);
  const factor = isDrawn ? scale : Math.min(1, scale);
  return Math.max(1, Math.floor(width * factor)) * Math.max(1, Math.floor(height * factor));
}
