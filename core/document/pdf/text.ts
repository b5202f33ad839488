import type { Pixels, Text, Word } from "../format/format.ts";
import type { Loaded } from "./page.ts";
import { allocate, free, heap } from "./pdfium.ts";

/*
 * The text layer of a page. It is evidence, never the answer: it may contain layers that are switched off, and
 * replacement texts (ActualText), which no reader of the paper sees.
 */

interface Placed extends Word {
  /** Index of its first character. */
  first: number;
}

/** The most characters of a page that are read; a dense page has 10,000. */
const mostCharacters = 100_000;
/** Resolution of the boxes. */
const grid = 10_000;
/** The character at the end of a line where a word was divided (PDFium, fpdf_text.h). */
const dividingHyphens = [0xfffe, 0x02];
const invisible = 3;

/** @param pixels - the drawn page, to find words that were not drawn. */
export function layerOf(loaded: Loaded, pixels: Pixels | undefined): Text {
  const { library, page } = loaded;
  const text = library.FPDFText_LoadPage(page);
  if (text === 0) return { words: [], undrawn: [], hidden: [] };
  const words = placed(loaded, text);
  const found = pixels === undefined ? { undrawn: [], hidden: [] } : notSeen(loaded, text, { words, pixels });
  library.FPDFText_ClosePage(text);
  return { words: words.map(({ first: _, ...word }) => word), ...found };
}

function notSeen(
  loaded: Loaded,
  text: number,
  { words, pixels }: { words: readonly Placed[]; pixels: Pixels },
): Pick<Text, "undrawn" | "hidden"> {
  const indicesOf = (holds: (word: Placed) => boolean) =>
    words.flatMap((word, i) => (holds(word) ? [i] : []));
  const undrawn = indicesOf((word) => isBlank(pixels, word) && isForeign(loaded, text, word));
  if (undrawn.length === 0) return { undrawn, hidden: [] };
  const known = new Set(undrawn);
  const isHidden = (word: Placed) => isBlank(pixels, word) || isInvisible(loaded, text, word);
  return { undrawn, hidden: indicesOf(isHidden).filter((i) => !known.has(i)) };
}

function placed(loaded: Loaded, text: number): Placed[] {
  const { library } = loaded;
  const count = Math.min(mostCharacters, library.FPDFText_CountChars(text));
  const at = allocate(library, 40);
  const { tight, loose, codeOf } = characters(loaded, text, at);
  const words: Placed[] = [];
  let open: { text: string; first: number; box: Corners } | undefined;
  const close = () => {
    if (open !== undefined)
      words.push({ text: open.text, first: open.first, ...onPage(loaded, at, open.box) });
    open = undefined;
  };
  for (let i = 0; i < count; i += 1) {
    const code = codeOf(i);
    const letter = dividingHyphens.includes(code)
      ? "-"
      : code > 0x20 && code <= 0x10ffff
        ? String.fromCodePoint(code)
        : "";
    if (letter.trim() === "") {
      close();
      continue;
    }
    const character = tight(i) ?? loose(i);
    if (character === undefined) continue;
    const [left, bottom, right, top] = character;
    open ??= { text: "", first: i, box: [left, bottom, right, top] };
    open.text += letter;
    const { box } = open;
    open.box = [
      Math.min(box[0], left),
      Math.min(box[1], bottom),
      Math.max(box[2], right),
      Math.max(box[3], top),
    ];
  }
  close();
  free(library, at);
  return words;
}

type Corners = [left: number, bottom: number, right: number, top: number];

/** The characters of a text: their codes and boxes in points of the page. `at` is room for 32 bytes. */
function characters({ library }: Loaded, text: number, at: number) {
  // Without the library's wrappers, which take longer than the calls.
  const raw = library.pdfium as unknown as Record<string, (...numbers: number[]) => number>;
  const {
    _FPDFText_GetCharBox: tightOf,
    _FPDFText_GetLooseCharBox: looseOf,
    _FPDFText_GetUnicode: code,
  } = raw;
  if (tightOf === undefined || looseOf === undefined || code === undefined)
    throw new Error("PDFium lacks its functions of text");
  let doubles = new Float64Array(heap(library).buffer, at, 4);
  return {
    codeOf: (i: number) => code(text, i),
    /** Undefined for a character without a glyph: its box has no height. */
    tight(i: number): Corners | undefined {
      if (!tightOf(text, i, at, at + 8, at + 16, at + 24)) return undefined;
      if (doubles.buffer !== heap(library).buffer) doubles = new Float64Array(heap(library).buffer, at, 4);
      const [left = 0, right = 0, bottom = 0, top = 0] = doubles;
      return top - bottom > 0.1 ? [left, bottom, right, top] : undefined;
    },
    /** As high as the font. */
    loose(i: number): Corners | undefined {
      if (!looseOf(text, i, at)) return undefined;
      const [left = 0, top = 0, right = 0, bottom = 0] = new Float32Array(heap(library).buffer, at, 4);
      return [left, Math.min(bottom, top), right, Math.max(bottom, top)];
    },
  };
}

/** A box on the page, as shares of the seen page: turned and cropped. */
function onPage({ library, page }: Loaded, at: number, [left, bottom, right, top]: Corners) {
  const point = (x: number, y: number) => {
    library.FPDF_PageToDevice(page, 0, 0, grid, grid, 0, x, y, at, at + 4);
    const view = new DataView(heap(library).buffer, at, 8);
    return [view.getInt32(0, true) / grid, view.getInt32(4, true) / grid] as const;
  };
  const [a, b] = [point(left, bottom), point(right, top)];
  const [x, y] = [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
  const round = (value: number) => Math.round(value * grid) / grid;
  return { x, y, width: round(Math.abs(a[0] - b[0])), height: round(Math.abs(a[1] - b[1])) };
}

/** Differences of brightness below this are no ink. */
const inkContrast = 24;

/** True if nothing is drawn in the word's box; false outside of the page and for boxes without area. */
function isBlank({ data, width, height, channels }: Pixels, word: Word): boolean {
  const left = Math.max(0, Math.floor(word.x * width));
  const right = Math.min(width, Math.ceil((word.x + word.width) * width));
  // A box may reach into the lines above and below.
  const top = Math.max(0, Math.floor((word.y + word.height / 4) * height));
  const bottom = Math.min(height, Math.ceil((word.y + (word.height * 3) / 4) * height));
  if (right - left < 2 || bottom - top < 2) return false;
  let [least, most] = [255, 0];
  for (let y = top; y < bottom; y += 1) {
    for (let at = (y * width + left) * channels; at < (y * width + right) * channels; at += 1) {
      const value = data[at] as number;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    if (most - least > inkContrast) return false;
  }
  return true;
}

/** True for text of an OCR layer, and for hidden text. */
function isInvisible({ library }: Loaded, text: number, { first }: Placed): boolean {
  const object = library.FPDFText_GetTextObject(text, first);
  return object !== 0 && library.FPDFTextObj_GetTextRenderMode(object) === invisible;
}

/** True if its font is not in the file and it is visible text: neither invisible nor white nor transparent. */
function isForeign(loaded: Loaded, text: number, word: Placed): boolean {
  const { library } = loaded;
  const { first } = word;
  const object = library.FPDFText_GetTextObject(text, first);
  if (object === 0 || isInvisible(loaded, text, word)) return false;
  const font = library.FPDFTextObj_GetFont(object);
  if (font === 0 || library.FPDFFont_GetIsEmbedded(font) !== 0) return false;
  const at = allocate(library, 16);
  const known = library.FPDFText_GetFillColor(text, first, at, at + 4, at + 8, at + 12);
  const view = new DataView(heap(library).buffer, at, 16);
  const [red = 0, green = 0, blue = 0, alpha = 0] = [0, 4, 8, 12].map((offset) =>
    view.getUint32(offset, true),
  );
  free(library, at);
  return known && alpha > inkContrast && Math.min(red, green, blue) < 255 - inkContrast;
}
