import type { Pixels } from "#core/image/cut";
import * as Encode from "#core/image/encode";
import * as Look from "#core/image/look";

/* A part of a page in the decoder's process: looked at and encoded as a picture of its own. */

export interface Part {
  /** The page and the receipt's place on it. */
  key: string;
  pixels: Pixels;
}

/** A receipt that was cut out is not cut again. */
export const look = async ({ pixels }: Part) => ({ ...(await Look.pixels(pixels)), papers: [] });

export const encode = ({ pixels }: Part, options: Encode.Encoding): Promise<Encode.Encoded> =>
  Encode.pixels(pixels, Encode.scaled(pixels, options), options);
