/*
 * The seam of a kind of document that sharp does not read (a PDF, a HEIC): a module that opens the file's bytes and gives
 * its pages as pixels. To add one:
 *
 * 1. a folder of its own below `core/document`, with a module whose `format` is a `Format`. It imports from this folder and from
 *    `core/image`, never from `core/document` itself, and loads what is large (WebAssembly) inside `open`;
 * 2. a line in `core/document/formats.ts`: the media type, and an `import()` of the module;
 * 3. the media type in `spec/pictures.ts`; how it is recognized, its extensions and its name in `core/image/type.ts`
 *    (taken off the lists of what is not read there and in `core/image/foreign.ts`).
 *
 * The module runs only in the decoder's process (`core/document/program.ts`), which is killed at its deadline and holds
 * no secret. Its main thread may be blocked: the parent kills from outside. It keeps what it opened for as long as orders
 * are about the same file: first the header of a page (its size and how many pages there are), then the page's pixels, as
 * often as the room in the model's context demands another size.
 *
 * Whatever it refuses is an AppError `invalid_image` with a `details.reason`; any other error is a fault of ours
 * (`internal`). It checks what a file declares (sizes, counts, depths) before it allocates.
 */

export interface Format {
  /**
   * Reads the file's tables, no page. The bytes stay as they are until `close`.
   * @throws AppError `invalid_image` (broken, encrypted).
   */
  open(bytes: Uint8Array, how: { password: string | undefined }): Promise<Opened>;
}

export interface Opened {
  /** At least 1. Chosen pages are within this number, whatever a file declares. */
  pages: number;
  /** True if the file was damaged and may be incomplete; false by default. */
  repaired?: boolean;
  /** The shape of a page, from 0 on. @throws AppError `invalid_image`. */
  shape(index: number): Promise<Shape> | Shape;
  /**
   * Draws a page, whole and upright, on white.
   * @param size - what is needed. The pixels may be larger, never of another shape (a pixel's rounding aside): sharp
   *   scales them down, which keeps thin strokes of a scan. They may be smaller where the file has no more.
   * @throws AppError `invalid_image`.
   */
  raster(index: number, size: Size): Promise<Raster>;
  /**
   * Files inside of the document, as bytes, bounded in number and size; missing if the kind of document cannot have
   * any.
   * @throws AppError `invalid_image`.
   */
  attachments?(): readonly { bytes: Uint8Array }[];
  /**
   * The text layer of a page, compared with its pixels if it is the page that was drawn last; missing if the kind of
   * document has none. It is evidence, never the answer.
   * @throws AppError `invalid_image`.
   */
  text?(index: number): Text;
  /** Frees what was opened. No other call follows. */
  close(): void;
}

export interface Size {
  width: number;
  height: number;
}

/** A page as a person sees it: turned, cropped, with square pixels. */
export interface Shape extends Size {
  /** "points": 1/72 inch, for a page that is drawn at any resolution. Fractions are fine. "pixels": whole numbers. */
  unit: "pixels" | "points";
  /** Megapixels of the largest picture on a page that is drawn, as declared; 0 by default. */
  megapixels?: number;
}

/** The words of a page's text layer, in the file's order. */
export interface Text {
  words: Word[];
  /** Indices of the words in fonts that the file does not hold, where nothing is drawn. */
  undrawn: number[];
  /** Indices of words that no reader of the page sees, with its fonts or without; looked for where any is `undrawn`. */
  hidden: number[];
}

/** A word with its box in parts of the seen page, from its top left corner: 0 to 1. */
export interface Word {
  text: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export type Raster = Pixels | File;

/** Rows from the top, without padding: 8 bits a sample, gray, sRGB, or sRGB with alpha. */
export interface Pixels extends Size {
  kind: "pixels";
  data: Uint8Array;
  channels: 1 | 3 | 4;
}

/** A picture in the file that is the whole page, unchanged: a scan's JPEG, which need not be encoded again. */
export interface File {
  kind: "file";
  bytes: Uint8Array;
  mimeType: "image/jpeg" | "image/png" | "image/tiff" | "image/webp";
  /** The EXIF orientation that replaces the one in the file. */
  orientation: 1 | 3 | 6 | 8;
}
