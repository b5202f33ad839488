import { guards, type PdfGuards } from "#spec/guards";
import type { Format, Opened, Raster, Shape, Size, Text as TextLayer } from "../format/format.ts";
import { type Attachment, attachments } from "./attachments.ts";
import * as Content from "./content.ts";
import { draw } from "./draw.ts";
import { fault, ofLimit } from "./faults.ts";
import { LimitFault } from "./objects.ts";
import { type Loaded, sizeOf, withPage } from "./page.ts";
import { allocate, free, heap, instance, isFault, type Pdfium } from "./pdfium.ts";
import * as Pictures from "./pictures.ts";
import * as Scan from "./scan.ts";
import * as Structure from "./structure.ts";
import { Ref } from "./syntax.ts";
import * as Text from "./text.ts";

/*
 * PDFs for the decoder's process. Actions in a document are never executed: no JavaScript, no link, no embedded file.
 */

export interface OpenedPdf extends Opened {
  /** The file was broken and may lack something. */
  repaired: boolean;
  /** Files inside of the document, as bytes. @throws AppError `invalid_image`. */
  attachments(): Attachment[];
  /** @throws AppError `invalid_image`. */
  text(index: number): TextLayer;
}

/** Numbers of FPDF_GetLastError (fpdfview.h). */
const errors = { password: 4, security: 5 } as const;
/** Scans of one bit a pixel are drawn with their own pixels, and shrunk by sharp: thin strokes become gray, not lost. */
const mostScanPixels = 40_000_000;

/** @throws AppError `invalid_image` with the reasons of ./faults.ts. */
export async function open(
  bytes: Uint8Array,
  { password, limits = guards.pdf }: { password?: string | undefined; limits?: PdfGuards },
): Promise<OpenedPdf> {
  const from = Structure.start(bytes);
  if (from === undefined) throw fault("pdf_broken");
  const structure = structureOf(bytes, from, limits);
  const library = await instance(limits.heapBytes);
  return guarded(() => {
    const document = load(library, completed(bytes, structure), password);
    const known = structure.encrypted ? (unlocked(library, document, limits) ?? structure) : structure;
    const declared = library.FPDF_GetPageCount(document);
    if (declared > limits.pages)
      throw fault("pdf_too_many_pages", { limit_pages: limits.pages, pages: declared });
    const isLie = known.leaves.length > 0 && known.leaves.length !== declared;
    const places = isLie ? loadable({ library, document }, declared) : undefined;
    const pages = places?.length ?? declared;
    if (pages < 1) throw fault("pdf_broken");
    return new Pdf({
      ...{ library, document, pages, places, limits },
      structure: { ...known, repaired: structure.repaired || isLie },
    });
  });
}

/** The module of PDFs for core/document. */
export const format: Format = { open };

function structureOf(bytes: Uint8Array, from: number, limits: PdfGuards): Structure.Structure {
  try {
    return Structure.read(bytes, from, limits);
  } catch (thrown) {
    if (thrown instanceof LimitFault) throw ofLimit(thrown.reason, limits);
    throw thrown;
  }
}

/** Adds a trailer if the file has lost its own; PDFium repairs everything else in a file that was cut off. */
function completed(bytes: Uint8Array, { objects, encrypted }: Structure.Structure): Uint8Array {
  const root = objects.trailer.get("Root");
  if (!objects.rebuilt || encrypted || !(root instanceof Ref)) return bytes;
  return Buffer.concat([bytes, Buffer.from(`\ntrailer\n<< /Root ${root.number} 0 R >>\n%%EOF\n`)]);
}

function load(library: Pdfium, bytes: Uint8Array, password: string | undefined): number {
  const at = allocate(library, bytes.byteLength);
  heap(library).set(bytes, at);
  const secret = Buffer.from(`${password ?? ""}\0`);
  const secretAt = allocate(library, secret.byteLength);
  heap(library).set(secret, secretAt);
  const document = library.pdfium.ccall(
    "FPDF_LoadMemDocument",
    "number",
    ["number", "number", "number"],
    [at, bytes.byteLength, secretAt],
  ) as number;
  heap(library).fill(0, secretAt, secretAt + secret.byteLength);
  free(library, secretAt);
  if (document !== 0) return document;
  const error = library.FPDF_GetLastError();
  if (error === errors.password) throw fault(password ? "pdf_wrong_password" : "pdf_encrypted");
  throw fault(error === errors.security ? "pdf_encryption_not_read" : "pdf_broken");
}

/** The structure of an encrypted document, read from an unencrypted copy. */
function unlocked(library: Pdfium, document: number, limits: PdfGuards): Structure.Structure | undefined {
  const writer = library.PDFiumExt_OpenFileWriter();
  const copied =
    library.EPDF_RemoveEncryption(document) && library.PDFiumExt_SaveAsCopy(document, writer) !== 0;
  const size = copied ? library.PDFiumExt_GetFileWriterSize(writer) : 0;
  if (size === 0) {
    library.PDFiumExt_CloseFileWriter(writer);
    return undefined;
  }
  const at = allocate(library, size);
  library.PDFiumExt_GetFileWriterData(writer, at, size);
  const copy = heap(library).slice(at, at + size);
  free(library, at);
  library.PDFiumExt_CloseFileWriter(writer);
  return structureOf(copy, 0, limits);
}

/** PDFium believes what a file says of how many pages it has. @returns the indexes of those that are there. */
function loadable({ library, document }: Pick<Parts, "library" | "document">, declared: number): number[] {
  return Array.from({ length: declared }, (_, index) => index).filter((index) => {
    const page = library.FPDF_LoadPage(document, index);
    if (page !== 0) library.FPDF_ClosePage(page);
    return page !== 0;
  });
}

/** Runs calls of PDFium. What it cannot do for lack of memory, or breaks at, is an error of the file. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof LimitFault) throw ofLimit(thrown.reason, guards.pdf);
    if (isFault(thrown)) throw fault("pdf_too_complex", {}, thrown);
    throw thrown;
  }
}

interface Parts {
  library: Pdfium;
  document: number;
  pages: number;
  /** PDFium's indexes of the pages, where it counts others beside them. */
  places: readonly number[] | undefined;
  structure: Structure.Structure;
  limits: PdfGuards;
}

class Pdf implements OpenedPdf {
  readonly pages: number;
  readonly repaired: boolean;
  readonly #parts: Parts;
  readonly #form: number;
  readonly #formInfo: number;
  readonly #shapes = new Map<number, Shape>();
  #last: { index: number; raster: Raster } | undefined;

  constructor(parts: Parts) {
    const { library, document } = parts;
    this.#parts = parts;
    this.pages = parts.pages;
    this.repaired = parts.structure.repaired;
    const hasForm = library.FPDF_GetFormType(document) > 0;
    this.#formInfo = hasForm ? library.PDFiumExt_OpenFormFillInfo() : 0;
    this.#form = hasForm ? library.PDFiumExt_InitFormFillEnvironment(document, this.#formInfo) : 0;
    // Viewers tint fields; on paper there is no tint.
    if (this.#form !== 0) library.FPDF_SetFormFieldHighlightAlpha(this.#form, 0);
  }

  shape(index: number): Shape {
    const known = this.#shapes.get(index) ?? this.#shapeOf(index);
    this.#shapes.set(index, known);
    return known;
  }

  #shapeOf(index: number): Shape {
    const { limits, structure } = this.#parts;
    const leaf = this.#leaf(index);
    if (leaf !== undefined) guarded(() => Content.checkLength(structure.objects, leaf, limits));
    const unit = leaf?.userUnit ?? 1;
    const { width, height } = this.#page(index, sizeOf);
    const shape: Shape = { width: width * unit, height: height * unit, unit: "points" };
    if (!(width > 0 && height > 0)) throw fault("pdf_broken");
    if (Math.max(shape.width, shape.height) > limits.pagePoints) throw fault("pdf_page_size");
    const largest = leaf === undefined ? 0 : guarded(() => Pictures.largest(structure.objects, leaf));
    if (largest > limits.imagePixels)
      throw fault("pdf_image_size", { limit_megapixels: limits.imagePixels / 1e6 });
    shape.megapixels = largest / 1e6;
    return shape;
  }

  async raster(index: number, size: Size): Promise<Raster> {
    const raster = this.#page(index, (loaded): Raster => {
      Content.checkCount(loaded, this.#parts.limits);
      const scan = Scan.scanOf(loaded);
      const file = scan && Scan.fileOf(loaded, scan, this.#parts.structure.objects, this.#leaf(index));
      return file ?? draw(loaded, scan?.bitsPerPixel === 1 ? ownPixels(scan, size) : size);
    });
    this.#last = { index, raster };
    return raster;
  }

  text(index: number): TextLayer {
    const raster = this.#last?.index === index ? this.#last.raster : undefined;
    const pixels = raster?.kind === "pixels" ? raster : undefined;
    return this.#page(index, (loaded) => Text.layerOf(loaded, pixels));
  }

  attachments(): Attachment[] {
    const { objects, leaves } = this.#parts.structure;
    return guarded(() => attachments(objects, leaves));
  }

  close(): void {
    const { library, document } = this.#parts;
    if (this.#form !== 0) library.PDFiumExt_ExitFormFillEnvironment(this.#form);
    if (this.#formInfo !== 0) library.PDFiumExt_CloseFormFillInfo(this.#formInfo);
    library.FPDF_CloseDocument(document);
  }

  #page<T>(index: number, use: (page: Loaded) => T): T {
    const { library, document, places } = this.#parts;
    const place = { index: places?.[index] ?? index, mediaBox: this.#leaf(index)?.mediaBox };
    return guarded(() => withPage({ library, document, form: this.#form }, place, use));
  }

  /** The page in the file's own structure, if that has as many pages as PDFium found, or some that PDFium does not count. */
  #leaf(index: number) {
    const { leaves } = this.#parts.structure;
    return leaves.length >= this.pages ? leaves[index] : undefined;
  }
}

/** The scan's own number of pixels if it is larger than needed, in the shape of `size`. */
function ownPixels(scan: Scan.Scan, size: Size): Size {
  const factor = Math.sqrt((scan.width * scan.height) / (size.width * size.height));
  const most = Math.sqrt(mostScanPixels / (size.width * size.height));
  const scale = Math.max(1, Math.min(factor, most));
  return { width: Math.round(size.width * scale), height: Math.round(size.height * scale) };
}
