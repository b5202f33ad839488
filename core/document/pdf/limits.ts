/*
 * Bounds of a PDF, checked before anything is drawn. No writer comes near them; files that do keep a reader busy or take
 * its memory. Tests lower them.
 */
export interface Limits {
  /** Pages, as counted in the page tree or as declared by it. Longer documents are not read anyhow. */
  readonly pages: number;
  /** Objects: some 20 a page are usual. */
  readonly objects: number;
  /** Levels of the page tree: a balanced one of 10,000 pages has five. */
  readonly treeDepth: number;
  /** Longest side of a page in points, 50 meters: ISO 32000 recommends at most 14,400 units, times UserUnit. */
  readonly pagePoints: number;
  /** Pixels of one picture on a page, as for a picture that is sent. */
  readonly imagePixels: number;
  /** Bytes that compressed parts of the structure unfold to. */
  readonly unfoldedBytes: number;
  /** Bytes that PDFium may take: its memory cannot grow further, so it fails instead of the process. */
  readonly heapBytes: number;
}

export const limits: Limits = {
  pages: 10_000,
  objects: 500_000,
  treeDepth: 100,
  pagePoints: 144_000,
  imagePixels: 100_000_000,
  unfoldedBytes: 128_000_000,
  heapBytes: 640_000_000,
};
