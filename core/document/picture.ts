import * as Encode from "#core/image/encode";
import * as Look from "#core/image/look";
import type { MimeType } from "#spec/pictures";
import type { Reader, Shape } from "./reader.ts";

/** Pictures that sharp reads: nothing is kept open between two orders. */
export function reader(bytes: Uint8Array, mimeType: MimeType): Reader {
  const picture = (index: number, image: Shape) => ({ ...image, mimeType, index, bytes });
  return {
    header: (index) => Encode.header(bytes, mimeType, index),
    look: (index, image) => Look.look(picture(index, image)),
    encode: (index, image, options) => Encode.encode(picture(index, image), options),
    cut: async (index, image, cut) => (await import("#core/image/cut")).ofPicture(picture(index, image), cut),
    close: () => undefined,
  };
}
