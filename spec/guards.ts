import { sizes } from "./limits.ts";

/**
 * The limits of what a file may demand from the decoder, in one place; `docs/documents.md` has the same as a table,
 * with the error and the test of each. All but `process` are checked against the file's own tables before anything is
 * decoded. Unless a comment says so, normal files stay far below them; files above them keep a decoder busy or use up
 * its memory. Tests lower them.
 */

interface PictureGuards {
  /** Width times height, as declared, in millions. */
  readonly megapixels: number;
  /**
   * Scans of a progressive JPEG: each is a pass over all pixels, and takes only a few bytes if it changes none. Source: D.
   * R. Commander, "Two Issues with the JPEG Standard" (libjpeg-turbo.org), section 2; libtiff also stops at 100
   * (`LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER`), libjpeg-turbo's own tests at 500. Encoders write about ten.
   */
  readonly jpegScans: number;
  /** Directories of a TIFF, each of which is compared with all before it. A thick stack of paper has a thousand. */
  readonly tiffDirectories: number;
}

/**
 * A phone's picture of 48 megapixels has 200 items, and its boxes are nested five deep. libheif's own limits are as high or
 * higher (`heif_security_limits`).
 */
export interface HeifGuards {
  readonly boxes: number;
  readonly depth: number;
  /** The most items, and the most cells of a grid. */
  readonly items: number;
  /** Megapixels of all coded parts of a picture together: twice the largest picture, which may have an alpha plane. */
  readonly decodedMegapixels: number;
  /** The same for AVIF, of which libheif takes 20 bytes a pixel. */
  readonly av1Megapixels: number;
}

export interface PdfGuards {
  /** Pages, as counted in the page tree or as declared by it. Longer documents are not read anyhow. */
  readonly pages: number;
  /** Objects: some 20 a page are usual. Searching for this many in a file without its tables takes 2 s. */
  readonly objects: number;
  /** Levels of the page tree: a balanced one of 10,000 pages has five. */
  readonly treeDepth: number;
  /** Longest side of a page in points, 50 meters: ISO 32000 recommends at most 14,400 units, times UserUnit. */
  readonly pagePoints: number;
  /** Pixels of one picture on a page, as for a picture that is sent. */
  readonly imagePixels: number;
  /** Bytes of the compressed parts of the structure after decompression. */
  readonly unfoldedBytes: number;
  /**
   * Bytes of the operators of one page after decompression, each form counted once. A dense page of text has 100 kB.
   */
  readonly contentBytes: number;
  /** Texts, lines and pictures of one page, those of its forms included. A dense page of text has 10,000. */
  readonly pageObjects: number;
  /** Bytes that PDFium may take: its memory cannot grow further, so it fails instead of the process. */
  readonly heapBytes: number;
}

/**
 * Limits of the decoder's process for each step: to open a file, look at a page and draw it once; or to draw it again.
 */
export interface ProcessGuards {
  /** CPU time for a page without pictures; with the time between two checks, 3 s. Only Linux reports it. */
  readonly cpuMs: number;
  /**
   * More CPU for each megapixel of the page, or of the largest picture on it. The slowest usual pictures take 160
   * (HEVC) and 250 (JPEG 2000 in a PDF, decoded twice) on the machine of docs/measurements.md.
   */
  readonly cpuMsPerMegapixel: number;
  /** Resident memory. Only Linux reports it. */
  readonly residentBytes: number;
  /** Time by the clock of each of these steps: a laptop shares its CPUs among 16 workers. */
  readonly wallMs: number;
}

interface Guards {
  readonly picture: PictureGuards;
  readonly heif: HeifGuards;
  readonly pdf: PdfGuards;
  readonly process: ProcessGuards;
}

export const guards: Guards = {
  picture: { megapixels: sizes.imageMegapixels, jpegScans: 100, tiffDirectories: 10_000 },
  heif: { boxes: 20_000, depth: 12, items: 1_000, decodedMegapixels: 220, av1Megapixels: 30 },
  pdf: {
    pages: 10_000,
    objects: 250_000,
    treeDepth: 100,
    pagePoints: 144_000,
    imagePixels: sizes.imageMegapixels * 1_000_000,
    unfoldedBytes: 128_000_000,
    contentBytes: 16_000_000,
    pageObjects: 200_000,
    heapBytes: 640_000_000,
  },
  process: {
    cpuMs: 2_800,
    cpuMsPerMegapixel: 300,
    residentBytes: 1_000_000_000,
    wallMs: 20_000,
  },
};
