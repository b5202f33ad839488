import { invalid, type Open, type Picture, type Sharp } from "./native.ts";

/*
 * Whether a picture is complete. A decoder that stops at every warning says so, if it reads up to the last row; only
 * if it stops, the picture is checked for lost rows.
 */

/** The first warning about each page of a file, or null for none; cached, so that each page is checked once. */
const found = new WeakMap<Uint8Array, Map<number, Error | null>>();

/**
 * The first decoder warning up to the last row, if any; little more than the entropy decoding is done, and nothing if a
 * strict decoder has read the whole picture before.
 */
export async function oddityIn(image: Picture, open: Open): Promise<Error | undefined> {
  const known = found.get(image.bytes)?.get(image.index);
  if (known !== undefined) return known ?? undefined;
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
 * @param readsAll - `use` makes the decoder read up to the last row: no test decode is needed later.
 */
export async function decode<T>(
  { image, open, readsAll = false }: { image: Picture; open: Open; readsAll?: boolean },
  use: (picture: Sharp) => Promise<T>,
): Promise<T> {
  try {
    const result = await use(open("warning"));
    if (readsAll) note(image, null);
    return result;
  } catch (warning) {
    if (!(warning instanceof Error)) throw warning;
    await refuseLostRows(image, open, warning);
    const result = await use(open("error"));
    if (readsAll) note(image, warning);
    return result;
  }
}

function note({ bytes, index }: Picture, oddity: Error | null): void {
  const pages = found.get(bytes) ?? new Map<number, Error | null>();
  found.set(bytes, pages.set(index, oddity));
}

/** Up to this many lost blocks at the end may be a margin that a careless writer cut off. */
const mostLostBlocks = 2;

/**
 * A JPEG that was cut off and then closed by a tool ends without a fault. The missing rows decode as mid-gray of
 * exactly 128 (all coefficients are zero), which is not a color of paper. One sample per block is enough to detect it.
 */
export async function refuseLostRows(image: Picture, open: Open, oddity: Error): Promise<void> {
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
