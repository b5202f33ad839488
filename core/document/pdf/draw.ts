import type { Pixels, Size } from "../format/format.ts";
import { kinds, type Loaded, objectsOf } from "./page.ts";
import { allocate, free, heap } from "./pdfium.ts";

/* Draws a page with its annotations and form fields, on white. */

/** Formats of FPDFBitmap_CreateEx (fpdfview.h). */
const formats = { gray: { number: 1, bytes: 1 }, bgrx: { number: 3, bytes: 4 } } as const;
const flags = { annotations: 0x01, reverseBytes: 0x10 } as const;
/** Colors are searched for on a copy that is smaller by this factor. */
const lookScale = 4;
/** Pages with more objects take longer to count than to draw twice. */
const mostObjects = 10_000;

/** The page, gray if it has no color. @throws PdfiumFault if there is no room for its pixels. */
export function draw(loaded: Loaded, size: Size): Pixels {
  if (isPlain(loaded)) {
    const small = { width: Math.ceil(size.width / lookScale), height: Math.ceil(size.height / lookScale) };
    if (plain(drawn(loaded, small, "bgrx"), small).channels === 1)
      return { kind: "pixels", data: drawn(loaded, size, "gray"), channels: 1, ...size };
  }
  return plain(drawn(loaded, size, "bgrx"), size);
}

/** Only texts and lines, which are drawn quickly: a page without color then takes a quarter of the time. */
function isPlain(loaded: Loaded): boolean {
  const objects = objectsOf(loaded, mostObjects);
  if (objects.length === mostObjects) return false;
  return objects.every((object) => {
    const kind = loaded.library.FPDFPageObj_GetType(object);
    return kind === kinds.text || kind === kinds.path;
  });
}

/** The bytes of the drawn page, RGBx or gray. */
function drawn(
  { library, form, page }: Loaded,
  { width, height }: Size,
  as: keyof typeof formats,
): Uint8Array {
  const { number, bytes } = formats[as];
  const stride = width * bytes;
  const at = allocate(library, stride * height);
  const bitmap = library.FPDFBitmap_CreateEx(width, height, number, at, stride);
  // Gray has no order of bytes: with that flag PDFium fails.
  const how = flags.annotations | (as === "gray" ? 0 : flags.reverseBytes);
  library.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, 0xffffffff);
  library.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, how);
  // A field without an appearance of its own is drawn only by this.
  if (form !== 0) library.FPDF_FFLDraw(form, bitmap, page, 0, 0, width, height, 0, how);
  library.FPDFBitmap_Destroy(bitmap);
  const result = heap(library).slice(at, at + stride * height);
  free(library, at);
  return result;
}

/** The pixels without the fourth byte, and with one byte per pixel if all are gray. */
function plain(bytes: Uint8Array, size: Size): Pixels {
  const count = size.width * size.height;
  const gray = new Uint8Array(count);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, count);
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
    data[to] = bytes[from] as number;
    data[to + 1] = bytes[from + 1] as number;
    data[to + 2] = bytes[from + 2] as number;
  }
  return { kind: "pixels", data, channels: 3, ...size };
}
