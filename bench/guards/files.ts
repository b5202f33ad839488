import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { packageRoot } from "#local/home/home";
import { guards } from "#spec/guards";
import { box, gridData, heif, type ItemParts } from "#test/support/heif-parts";
import { png, scannedJpeg, stripedTiff } from "#test/support/picture-parts";
import * as Pdfs from "./pdfs.ts";

/*
 * Files just above each guard of spec/guards.ts, just below it, and large ones that people really send. None is of use to
 * anyone but this bench: what is above a guard is large in its tables alone, or draws a few seconds of lines.
 */

export interface Case {
  /** As in spec/guards.ts, or what people send. */
  guard: string;
  what: string;
  bytes(): Uint8Array | Promise<Uint8Array>;
  /** The reason of the error, or its code if it has no reason; "" if the file is read. */
  expected: string;
}

const { picture, heif: heic, pdf } = guards;
const tile: ItemParts = { type: "hvc1", size: [64, 64] };

function grid(rows: number, columns: number): Buffer {
  const size: [number, number] = [64 * columns, 64 * rows];
  const of = Array.from({ length: rows * columns }, (_, i) => i + 2);
  return heif([{ type: "grid", size, of, data: gridData(rows, columns, size) }, ...of.map(() => tile)]);
}

const nested = (depth: number): Buffer => (depth === 0 ? box("free") : box("udta", nested(depth - 1)));

const pictures: Case[] = [
  {
    guard: "picture.megapixels",
    what: "a PNG that declares more",
    bytes: () => png({ width: 10_000, height: 10_001, idat: Buffer.alloc(20) }),
    expected: "image_too_large",
  },
  {
    guard: "picture.jpegScans",
    what: "a JPEG of one scan more",
    bytes: () => scannedJpeg(picture.jpegScans + 1),
    expected: "too_many_scans",
  },
  {
    guard: "picture.tiffDirectories",
    what: "a TIFF of one page more",
    bytes: () => stripedTiff({ width: 8, height: 8, pages: picture.tiffDirectories + 1 }),
    expected: "too_many_pages",
  },
  {
    guard: "picture.tiffDirectories",
    what: "a TIFF of as many pages",
    bytes: () => stripedTiff({ width: 64, height: 64, pages: picture.tiffDirectories }),
    expected: "",
  },
  {
    guard: "heif.boxes",
    what: "a HEIC of so many boxes beside its own",
    bytes: () => heif([tile], { after: Array<Buffer>(heic.boxes).fill(box("free")) }),
    expected: "too_many_parts",
  },
  {
    guard: "heif.depth",
    what: "boxes in boxes, one level more",
    bytes: () => heif([tile], { after: [nested(heic.depth)] }),
    expected: "nested_too_deep",
  },
  {
    guard: "heif.items",
    what: "a HEIC of 32 × 32 tiles",
    bytes: () => grid(32, 32),
    expected: "too_many_parts",
  },
  {
    guard: "heif.decodedMegapixels",
    what: "three layers of 100 megapixels, by their tables",
    bytes: () =>
      heif([
        { type: "iovl", size: [8, 8], of: [2, 2, 2] },
        { type: "hvc1", size: [10_000, 10_000] },
      ]),
    expected: "too_much_to_decode",
  },
];

const white = (width: number, height: number) => ({
  create: { width, height, channels: 3 as const, background: "white" },
});

export const avif = async (height: number): Promise<Buffer> =>
  await sharp(white(6_000, height)).avif({ effort: 0, quality: 60 }).toBuffer();

const avifs: Case[] = [
  {
    guard: "heif.av1Megapixels",
    what: "an AVIF of more",
    bytes: () => avif(5_002),
    expected: "too_much_to_decode",
  },
  { guard: "heif.av1Megapixels", what: "an AVIF of as many", bytes: () => avif(5_000), expected: "" },
];

const pdfs: Case[] = [
  {
    guard: "pdf.pages",
    what: "one page more",
    bytes: () => Pdfs.empty(pdf.pages + 1),
    expected: "pdf_too_many_pages",
  },
  {
    guard: "pdf.pages",
    what: "two billion pages declared, one there",
    bytes: () => Pdfs.empty(1, 2 ** 31 - 1),
    expected: "pdf_too_many_pages",
  },
  { guard: "pdf.pages", what: "as many pages", bytes: () => Pdfs.empty(pdf.pages), expected: "" },
  {
    guard: "pdf.objects",
    what: "one object more",
    bytes: () => Pdfs.objects(pdf.objects + 1),
    expected: "pdf_too_many_objects",
  },
  {
    guard: "pdf.objects",
    what: "as many objects",
    bytes: () => Pdfs.objects(pdf.objects - 1),
    expected: "",
  },
  {
    guard: "pdf.objects",
    what: "as many objects, without tables",
    bytes: () => Pdfs.lost(Pdfs.objects(pdf.objects - 1)),
    expected: "",
  },
  {
    guard: "pdf.treeDepth",
    what: "two levels more",
    bytes: () => Pdfs.tree(pdf.treeDepth + 2),
    expected: "pdf_page_tree",
  },
  {
    guard: "pdf.treeDepth",
    what: "a circle",
    bytes: () => Pdfs.tree(4, { circle: true }),
    expected: "pdf_page_tree",
  },
  {
    guard: "pdf.pagePoints",
    what: "a page of one point more",
    bytes: () => Pdfs.sized(pdf.pagePoints + 1),
    expected: "pdf_page_size",
  },
  {
    guard: "pdf.imagePixels",
    what: "a picture that declares more",
    bytes: () => Pdfs.picture({ width: 10_000, height: 10_001, data: Buffer.alloc(9), dict: Pdfs.jpegDict }),
    expected: "pdf_image_size",
  },
  {
    guard: "pdf.contentBytes",
    what: "more operators",
    bytes: () => Pdfs.content(pdf.contentBytes + 1_000),
    expected: "pdf_page_content",
  },
  {
    guard: "pdf.contentBytes",
    what: "as many operators",
    bytes: () => Pdfs.content(pdf.contentBytes - 1_000),
    expected: "",
  },
  {
    guard: "pdf.pageObjects",
    what: "one line more",
    bytes: () => Pdfs.strokes(pdf.pageObjects + 1),
    expected: "pdf_page_content",
  },
  {
    guard: "pdf.pageObjects",
    what: "a form of ten words, 20,000 times",
    bytes: () => Pdfs.forms(20_000),
    expected: "pdf_page_content",
  },
  {
    guard: "process.cpuMs",
    what: "100,000 lines across a page",
    bytes: () => Pdfs.strokes(100_000),
    expected: "decoding_took_too_long",
  },
];

/** An A4 or larger scan with the noise of paper. */
export async function scan(width: number, height: number, progressive = false): Promise<Buffer> {
  const noise = { type: "gaussian", mean: 235, sigma: 6 } as const;
  const step = height / 70;
  const lines = Array.from(
    { length: 60 },
    (_, i) =>
      `<text x="200" y="${300 + step * i}" font-size="${step * 0.8}">Item ${i} of a receipt 12.50</text>`,
  );
  const print = Buffer.from(`<svg width="${width}" height="${height}">${lines.join("")}</svg>`);
  return await sharp({
    create: { width, height, channels: 3, background: "white", noise },
    limitInputPixels: false,
  })
    .composite([{ input: print }])
    .jpeg({ quality: 85, progressive })
    .toBuffer();
}

export const a4At600 = { width: 4960, height: 7016 };

const sent: Case[] = [
  { guard: "people send", what: "a contract of 50 pages", bytes: () => Pdfs.contract(50), expected: "" },
  { guard: "people send", what: "a page of 10,000 words", bytes: () => Pdfs.words(10_000), expected: "" },
  {
    guard: "people send",
    what: "A4 at 600 dpi, JPEG",
    bytes: () => scan(a4At600.width, a4At600.height),
    expected: "",
  },
  {
    guard: "people send",
    what: "A4 at 600 dpi, JPEG in a PDF",
    bytes: async () =>
      Pdfs.picture({
        ...a4At600,
        data: await scan(a4At600.width, a4At600.height),
        dict: Pdfs.jpegDict,
      }),
    expected: "",
  },
  { guard: "people send", what: "10 such pages", bytes: () => scannedPages(10), expected: "" },
  {
    guard: "people send",
    what: "10 such pages, without tables",
    bytes: async () => Pdfs.lost(await scannedPages(10)),
    expected: "",
  },
  { guard: "people send", what: "100 MP, JPEG", bytes: () => scan(10_000, 10_000), expected: "" },
  {
    guard: "people send",
    what: "100 MP, progressive JPEG",
    bytes: () => scan(10_000, 10_000, true),
    expected: "",
  },
  {
    guard: "people send",
    what: "100 MP of one bit in a PDF",
    bytes: () => Pdfs.bits(10_000),
    expected: "",
  },
  { guard: "people send", what: "100 MP in color in a PDF", bytes: () => Pdfs.samples(10_000), expected: "" },
];

/** A scan of so many pages, each a JPEG of its own. */
async function scannedPages(count: number): Promise<Uint8Array> {
  const data = await scan(a4At600.width, a4At600.height);
  const dict = `/Type /XObject /Subtype /Image /Width ${a4At600.width} /Height ${a4At600.height} ${Pdfs.jpegDict}`;
  return Pdfs.scans(Array.from({ length: count }, () => ({ dict, data })));
}

/** Files of `samples/` and of ../shared/data, where that is there. */
function real(): Case[] {
  const folders = ["samples", "../shared/data/pdf", "../shared/data/formats"];
  return folders.flatMap((folder) => {
    const path = join(packageRoot, folder);
    if (!existsSync(path)) return [];
    return readdirSync(path)
      .filter((name) => /\.(pdf|heic|tif|webp)$/.test(name))
      .map((name) => ({
        guard: "people send",
        what: name,
        bytes: () => readFileSync(join(path, name)),
        expected: "",
      }));
  });
}

export const cases = (): Case[] => [...pictures, ...avifs, ...pdfs, ...sent, ...real()];
