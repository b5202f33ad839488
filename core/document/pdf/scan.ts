import type { File } from "../format/format.ts";
import type { Objects } from "./objects.ts";
import { kinds, type Loaded, objectsOf, visible } from "./page.ts";
import { heap, numbers, within } from "./pdfium.ts";
import { type Dict, Stream } from "./syntax.ts";
import type { Leaf } from "./tree.ts";

/*
 * A page that is one picture and nothing else, as scanners make it. Its JPEG is taken as it is: drawing would decode it in
 * WebAssembly and encode it once more.
 */

/** A page's only picture. */
export interface Scan {
  object: number;
  width: number;
  height: number;
  bitsPerPixel: number;
  /** From the unit square to the page, in points (ISO 32000-2, section 8.3.4). */
  matrix: readonly number[];
  /** The picture's clockwise rotation on the seen page; undefined if it is skewed or mirrored. */
  turned: 0 | 90 | 180 | 270 | undefined;
}

/** Text of this mode is not drawn; OCR layers use it (ISO 32000-2, table 104). */
const invisible = 3;
/** An OCR layer has thousands of texts, one a word. */
const mostObjects = 20_000;
/** Annotations that draw nothing: links, and windows of notes (fpdf_annot.h). */
const undrawn = [2, 16];
/** How far a picture may extend beyond the page, as a share of the side, because writers round. */
const margin = 0.01;
/** A picture that takes less of its page may be a photo in a document. */
const leastPart = 0.5;
const shapeTolerance = 0.02;

/** Undefined if anything else is drawn, or the picture does not fill the page. */
export function scanOf(loaded: Loaded): Scan | undefined {
  const { library, page } = loaded;
  const objects = objectsOf(loaded, mostObjects + 1);
  if (objects.length > mostObjects) return undefined;
  let picture: number | undefined;
  for (const object of objects) {
    const kind = library.FPDFPageObj_GetType(object);
    if (kind === kinds.image && picture === undefined) picture = object;
    else if (kind !== kinds.text || library.FPDFTextObj_GetTextRenderMode(object) !== invisible)
      return undefined;
  }
  if (picture === undefined || drawsAnnotations(loaded)) return undefined;
  if (library.FPDFPageObj_HasTransparency(picture) || isClipped(loaded, picture)) return undefined;
  const matrix = numbers(library, "float", 6, (at) => library.FPDFPageObj_GetMatrix(picture, at as number));
  if (matrix === undefined || !fills(loaded, matrix)) return undefined;
  const size = numbers(library, "int", 2, (w, h) =>
    library.FPDFImageObj_GetImagePixelSize(picture, w as number, h as number),
  );
  const [width = 0, height = 0] = size ?? [];
  const bitsPerPixel = within(library, 28, (at) =>
    library.FPDFImageObj_GetImageMetadata(picture, page, at)
      ? new DataView(heap(library).buffer, at, 28).getUint32(16, true)
      : 0,
  );
  return { object: picture, width, height, bitsPerPixel, matrix, turned: turnOf(loaded, matrix) };
}

function drawsAnnotations({ library, page }: Loaded): boolean {
  const count = library.FPDFPage_GetAnnotCount(page);
  if (count > 1000) return true;
  for (let i = 0; i < count; i += 1) {
    const annotation = library.FPDFPage_GetAnnot(page, i);
    const kind = library.FPDFAnnot_GetSubtype(annotation);
    library.FPDFPage_CloseAnnot(annotation);
    if (!undrawn.includes(kind)) return true;
  }
  return false;
}

/** A clip path of the whole page is common and cuts nothing. */
function isClipped(loaded: Loaded, object: number): boolean {
  const { library } = loaded;
  const clip = library.FPDFPageObj_GetClipPath(object);
  const paths = clip === 0 ? 0 : library.FPDFClipPath_CountPaths(clip);
  if (paths <= 0) return false;
  const page = visible(loaded);
  if (paths > 10 || page === undefined) return true;
  for (let i = 0; i < paths; i += 1) {
    const points = Array.from(
      { length: Math.min(6, library.FPDFClipPath_CountPathSegments(clip, i)) },
      (_, j) => {
        const segment = library.FPDFClipPath_GetPathSegment(clip, i, j);
        return (
          numbers(library, "float", 2, (x, y) =>
            library.FPDFPathSegment_GetPoint(segment, x as number, y as number),
          ) ?? []
        );
      },
    );
    const across = points.map(([x = 0]) => x);
    const up = points.map(([, y = 0]) => y);
    const slack = margin * Math.max(page.right - page.left, page.top - page.bottom);
    const isBox = points.length === 4 || points.length === 5;
    const cuts =
      Math.min(...across) > page.left + slack ||
      Math.max(...across) < page.right - slack ||
      Math.min(...up) > page.bottom + slack ||
      Math.max(...up) < page.top - slack;
    if (!isBox || cuts || new Set(across).size > 2 || new Set(up).size > 2) return true;
  }
  return false;
}

/** The picture is on the page and covers most of it; the rest is empty paper. */
function fills(loaded: Loaded, [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0]: readonly number[]): boolean {
  const page = visible(loaded);
  if (page === undefined) return false;
  const across = [e, e + a, e + c, e + a + c];
  const up = [f, f + b, f + d, f + b + d];
  const [left, right, bottom, top] = [
    Math.min(...across),
    Math.max(...across),
    Math.min(...up),
    Math.max(...up),
  ];
  const [wide, high] = [page.right - page.left, page.top - page.bottom];
  const isInside =
    left >= page.left - margin * wide &&
    right <= page.right + margin * wide &&
    bottom >= page.bottom - margin * high &&
    top <= page.top + margin * high;
  return isInside && (right - left) * (top - bottom) >= leastPart * wide * high;
}

function turnOf({ library, page }: Loaded, [a = 0, b = 0, c = 0, d = 0]: readonly number[]): Scan["turned"] {
  const side = Math.max(Math.abs(a), Math.abs(b));
  const isFlat =
    Math.min(Math.abs(a), Math.abs(b)) < 1e-3 * side &&
    Math.min(Math.abs(c), Math.abs(d)) < 1e-3 * Math.max(Math.abs(c), Math.abs(d));
  if (!isFlat || a * d - b * c <= 0) return undefined;
  const counterclockwise = Math.round(Math.atan2(b, a) / (Math.PI / 2));
  const quarters = (((library.FPDFPage_GetRotation(page) - counterclockwise) % 4) + 4) % 4;
  return ([0, 90, 180, 270] as const)[quarters];
}

const orientations = { 0: 1, 90: 6, 180: 3, 270: 8 } as const;

/** The scan's own JPEG; undefined if a reader of JPEG alone would see other colors or another shape than a viewer. */
export function fileOf(
  loaded: Loaded,
  scan: Scan,
  objects: Objects,
  leaf: Leaf | undefined,
): File | undefined {
  const { library } = loaded;
  if (scan.turned === undefined || leaf === undefined || !isPlain(objects, leaf, scan)) return undefined;
  if (library.FPDFImageObj_GetImageFilterCount(scan.object) !== 1) return undefined;
  if (!isSquare(scan)) return undefined;
  const length = library.FPDFImageObj_GetImageDataRaw(scan.object, 0, 0);
  const bytes = within(library, Math.max(1, length), (at) => {
    library.FPDFImageObj_GetImageDataRaw(scan.object, at, length);
    return heap(library).slice(at, at + length);
  });
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  return { kind: "file", bytes, mimeType: "image/jpeg", orientation: orientations[scan.turned] };
}

/** Its pixels are as wide as high on the page. */
function isSquare({ width, height, matrix: [a = 0, b = 0, c = 0, d = 0] }: Scan): boolean {
  const ratio = (Math.hypot(a, b) * height) / (Math.hypot(c, d) * width);
  return Math.abs(ratio - 1) <= shapeTolerance;
}

/** Keys that change what the JPEG shows. */
const changing = ["SMask", "Mask", "Decode", "ImageMask", "DecodeParms", "SMaskInData"];

function isPlain(objects: Objects, leaf: Leaf, scan: Scan): boolean {
  const pictures = [...(objects.dict(leaf.resources?.get("XObject"))?.values() ?? [])].flatMap((value) => {
    const found = objects.get(value);
    return found instanceof Stream && found.dict.get("Subtype") === "/Image" ? [found.dict] : [];
  });
  const same = pictures.filter(
    (dict) =>
      objects.get(dict.get("Width")) === scan.width && objects.get(dict.get("Height")) === scan.height,
  );
  const [dict] = same;
  if (dict === undefined || same.length > 1 || changing.some((key) => objects.get(dict.get(key)) !== null))
    return false;
  const filter = objects.get(dict.get("Filter"));
  return (
    [filter]
      .flat()
      .map((one) => objects.get(one))
      .join() === "/DCTDecode" && isUsualColor(objects, dict)
  );
}

function isUsualColor(objects: Objects, dict: Dict): boolean {
  const space = objects.get(dict.get("ColorSpace"));
  if (space === "/DeviceRGB" || space === "/DeviceGray") return true;
  if (!Array.isArray(space) || objects.get(space[0]) !== "/ICCBased") return false;
  const components = objects.get(objects.dict(space[1])?.get("N"));
  return components === 1 || components === 3;
}
