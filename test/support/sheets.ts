import sharp from "sharp";
import type * as ModelServer from "./model-server/model-server.ts";
import { tiffOf } from "./tiff.ts";

/*
 * Documents of several pages for scripted model servers: TIFFs whose pages are known by their width once they are sent.
 */

const step = 32;
const narrowest = 1_024;
const height = 1_100;

/** A TIFF of pages that have print; those named are blank. */
export async function sheets(count: number, blank: readonly number[] = []): Promise<Buffer> {
  const pages = Array.from({ length: count }, (_, index) =>
    sheet(narrowest + (index + 1) * step, blank.includes(index + 1)),
  );
  return tiffOf(await Promise.all(pages));
}

/** A TIFF of one page with this width, which takes more tokens than a legible page needs. */
export async function sheet(width: number, blank = false): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height, 250);
  if (!blank)
    for (let y = 200; y < 900; y += 1)
      if (y % 20 < 8) for (let x = 200; x < 800; x += 1) if (x % 12 < 7) pixels[y * width + x] = 20;
  return sharp(pixels, { raw: { width, height, channels: 1 } })
    .tiff({ compression: "deflate" })
    .toBuffer();
}

/** The pages of a request, by their numbers. Sizes that were reduced keep their shape. */
export async function pagesOf({ images }: Pick<ModelServer.Received, "images">): Promise<number[]> {
  const sizes = await Promise.all(images.map(({ bytes }) => sharp(bytes).metadata()));
  return sizes.map((size) => Math.round(((size.width / size.height) * height - narrowest) / step));
}
