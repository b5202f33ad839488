import { sizes } from "#spec/limits";
import { a4At600, avif, scan } from "./files.ts";
import * as Pdfs from "./pdfs.ts";

/* The largest files that are read. */

export interface Large {
  name: string;
  mimeType: string;
  bytes(): Uint8Array | Promise<Uint8Array>;
  /** Most megabytes that both processes may have together; default is what the function has. */
  mostMb?: number;
}

/** A scan of ten pages, with an object that nothing uses, so that it is as large as a PDF may be. */
async function scannedPages(): Promise<Uint8Array> {
  const { width, height } = a4At600;
  const data = await scan(width, height);
  const dict = `/Type /XObject /Subtype /Image /Width ${width} /Height ${height} ${Pdfs.jpegDict}`;
  const pictures = Array.from({ length: 10 }, () => ({ dict, data }));
  const room = sizes.uploadPdfBytes - Pdfs.scans(pictures).length - 200;
  return Pdfs.scans([...pictures], [{ dict: "", data: Buffer.alloc(room, 32) }]);
}

const pdf = "application/pdf";

export const files: readonly Large[] = [
  { name: "ten A4 pages at 600 dpi in a PDF of 50 MiB", mimeType: pdf, bytes: scannedPages, mostMb: 900 },
  {
    name: "the same without its tables",
    mimeType: pdf,
    bytes: async () => Pdfs.lost(await scannedPages()),
    mostMb: 900,
  },
  { name: "100 megapixels of one bit in a PDF", mimeType: pdf, bytes: () => Pdfs.bits(10_000) },
  {
    name: "100 megapixels, progressive JPEG",
    mimeType: "image/jpeg",
    bytes: () => scan(10_000, 10_000, true),
  },
  { name: "30 megapixels, AVIF", mimeType: "image/avif", bytes: () => avif(5_000) },
];
