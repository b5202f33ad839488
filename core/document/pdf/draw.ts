import type { Pixels, Size } from "../format/format.ts";
import type { Loaded } from "./page.ts";
import { allocate, free, heap } from "./pdfium.ts";

/* Draws a page with its annotations and form fields, on white. */

/** FPDFBitmap_BGRx, with the bytes in the order of RGB. */
const bgrx = 3;
const flags = { annotations: 0x01, reverseBytes: 0x10 } as const;

/** The page, gray if it has no color. @throws PdfiumFault if there is no room for its pixels. */
export function draw({ library, form, page }: Loaded, { width, height }: Size): Pixels {
  const stride = width * 4;
  const at = allocate(library, stride * height);
  const bitmap = library.FPDFBitmap_CreateEx(width, height, bgrx, at, stride);
  const how = flags.annotations | flags.reverseBytes;
  library.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, 0xffffffff);
  library.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, how);
  // A field without an appearance of its own is drawn only by this.
  if (form !== 0) library.FPDF_FFLDraw(form, bitmap, page, 0, 0, width, height, 0, how);
  library.FPDFBitmap_Destroy(bitmap);
  const drawn = heap(library).subarray(at, at + stride * height);
  const pixels = plain(drawn, { width, height });
  free(library, at);
  return pixels;
}

/** Without the fourth byte, and with one byte a pixel if all pixels are gray. */
function plain(drawn: Uint8Array, size: Size): Pixels {
  const count = size.width * size.height;
  const gray = new Uint8Array(count);
  const words = new Uint32Array(drawn.buffer, drawn.byteOffset, count);
  let at = 0;
  for (; at < count; at += 1) {
    const word = words[at] as number;
    const level = word & 255;
    if ((word & 0xffffff) !== level * 0x10101) break;
    gray[at] = level;
  }
  if (at === count) return { kind: "pixels", data: gray, channels: 1, ...size };
  const data = new Uint8Array(count * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = drawn[from] as number;
    data[to + 1] = drawn[from + 1] as number;
    data[to + 2] = drawn[from + 2] as number;
  }
  return { kind: "pixels", data, channels: 3, ...size };
}
