import { createHash } from "node:crypto";
import * as Decoder from "#core/document/decoder";
import type { Found } from "#core/einvoice/einvoice";
import { AppError } from "#core/error";
import { maxAspectRatio, sizeWithin } from "#core/image/budget";
import type * as ByHeader from "#core/image/by-header";
import type { Cut } from "#core/image/cut";
import type { Header, Region } from "#core/image/encode";
import * as Pages from "#core/image/pages";
import { pixelAspect, squared } from "#core/image/pixel-shape";
import * as Structure from "#core/image/structure";
import { turnedSize } from "#core/image/turned";
import { names, sniff } from "#core/image/type";
import type { Look } from "#core/look/look";
import { type MimeType, mimeTypes } from "#spec/pictures";
import type { Size, Text } from "./format/format.ts";
import { checkMegapixels } from "./megapixels.ts";
import { pixelsOf } from "./resolution.ts";

/*
 * The noun for everything that callers send to be read:
 *
 * open(bytes) -> Document                          kind, number of pages and the first page, nothing decoded
 * page(Document, number) -> Page                   another page
 * look(Page) -> Look                              which way up it is, by a reduced copy
 * prepare(Page, { maxImageTokens }) -> Prepared    what the model server gets
 *
 * A picture is a document of one page, a TIFF or a PDF may have several; the code that asks the model works with pages
 * only. The budget itself: share, textTokens, imageTokens in #core/image/budget. A new kind of file:
 * ./format/format.ts.
 */

export type { MimeType } from "#spec/pictures";
export type { Text } from "./format/format.ts";

/** The received bytes, and the process that reads them. */
interface File {
  /** Empty if they were not read (`link`). */
  bytes: Uint8Array;
  /** Bytes of the whole file. */
  size: number;
  /** From the leading bytes; the type that a caller declared is ignored. */
  mimeType: MimeType;
  /** Null if they were not read. */
  sha256: string | null;
  /** A picture that needs no change and that the model server can fetch by itself. */
  link?: Link | undefined;
  /** The decoder that read the header and still holds the bytes. */
  decoder: Decoder.Decoder;
  /** The password of an encrypted document. Only the decoder gets it. */
  password?: string | undefined;
}

/** An object in the bucket, judged by its header alone (#core/image/by-header). */
export interface Link {
  /** The object's version as it was judged. */
  etag: string;
  /** A URL with which the model server can fetch it; a secret. */
  sign(): Promise<string>;
  /** The same file, read and opened; from then on its bytes are used. @throws AppError as `open` does, `storage_unavailable`. */
  read(): Promise<Document>;
  /** True from `read` on. */
  readonly isRead: boolean;
}

export interface Document extends File {
  /** The kind of its pages: pictures with a number of pixels, or drawn at any resolution. */
  kind: "picture" | "pdf";
  /** How many can be read, at least 1. */
  pages: number;
  /**
   * The number of frames of a GIF, WebP or APNG, or of pictures of an MPO, of which the first is read; else like
   * `pages`.
   */
  frames: number;
  first: Page;
  /** True if the file was damaged and may be incomplete. */
  repaired: boolean;
  /** Where each page is in the file. */
  places: readonly Pages.Place[];
}

export interface Page extends File {
  /** From 1 on, as people count. */
  number: number;
  /** The decoder's number of it, from 0. */
  index: number;
  /** As stored, before `orientation` is applied. */
  width: number;
  height: number;
  /** "points" (1/72 inch) for a page that is drawn at any resolution. */
  unit: "pixels" | "points";
  /** EXIF orientation, 1 to 8; 1 by default. */
  orientation: number;
  /** Width of a stored pixel divided by its height; 1 for a square one, 0.48 for a fax of standard resolution. */
  pixelAspect: number;
  /** Megapixels that the decoder may have to read, by which its CPU time is bounded. */
  megapixels: number;
  /** Only a part of the page: one of several receipts on it. The sizes are those of the page. */
  cut?: Cut | undefined;
}

export interface Prepared {
  /** Empty if there is a `url`. */
  bytes: Uint8Array;
  /** Where the model server gets it; a secret. */
  url?: string | undefined;
  mimeType: "image/jpeg" | "image/png";
  width: number;
  height: number;
  /** Null if the bytes were not read. */
  sha256: string | null;
  /** False if `bytes` are the caller's own. */
  changed: boolean;
  /** Clockwise degrees by which it was turned beyond EXIF, from above -180 to 180. */
  turned: number;
  /** Set only if print was searched for: true if the page has none. */
  blank?: true | undefined;
}

export interface PrepareOptions {
  maxImageTokens: number;
  jpegQuality?: number;
  patch?: number;
  /** Encode again in this format, even if the caller's own bytes could be sent. */
  encodeAs?: "jpeg" | "png" | undefined;
  /** The result of `look`; without it the picture is sent as EXIF turns it. */
  look?: Look | undefined;
  /** The part of the upright page that is wanted; default: all of it. */
  region?: Region | undefined;
  /** Whether to check that the page has any print. */
  seeksBlank?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** Starts the decoder's process, so that it is ready for the first picture. */
export const warm = (): void => Decoder.shared().warm();

export interface OpenOptions {
  /** A decoder to use instead of the instance's own. */
  decoder?: Decoder.Decoder | undefined;
  signal?: AbortSignal | undefined;
  password?: string | undefined;
}

/**
 * Opens a file by its leading bytes and its header: no pixel is decoded, so a decompression bomb costs milliseconds.
 * Bytes after the picture in the file (a ZIP, HTML) are neither read nor refused. Throws `invalid_image` (empty, broken
 * header, a first page longer than 200 times its width), `unsupported_media_type`, `image_too_large`
 * (`details.limit_megapixels`, `megapixels`), and as #core/image/structure, the decoder and the kind's own module do.
 */
export async function open(bytes: Uint8Array, how: OpenOptions = {}): Promise<Document> {
  if (bytes.byteLength === 0) throw invalid("empty", "the picture is empty");
  const mimeType = sniff(bytes);
  if (mimeType === undefined) throw await unsupported(bytes);
  Structure.check(bytes, mimeType);
  const { password } = how;
  const decoder = how.decoder ?? Decoder.shared();
  const file: File = { bytes, size: bytes.length, mimeType, sha256: sha256Of(bytes), decoder, password };
  const header = await headerOf(file, 0, how.signal);
  const isPicture = header.unit === "pixels";
  const counted = header.pages ?? 1;
  const places = isPicture ? Pages.places(bytes, mimeType, counted) : placesOf(counted);
  return {
    ...file,
    kind: isPicture ? "picture" : "pdf",
    pages: places.length,
    repaired: header.repaired === true,
    frames: isPicture ? Pages.count(bytes, mimeType, counted) : counted,
    first: pageOf(file, header, { number: 1, place: places[0] ?? { index: 0 } }),
    places,
  };
}

/** The document of a picture that was judged by its header and is not read unless it has to be. */
export function linked({ size, ...header }: ByHeader.Header & { size: number }, link: Link): Document {
  const file = { bytes: new Uint8Array(), size, mimeType: header.mimeType, sha256: null, link };
  const megapixels = (header.width * header.height) / 1_000_000;
  const at = { number: 1, index: 0, unit: "pixels", pixelAspect: 1, megapixels } as const;
  const first: Page = { ...file, ...header, ...at, decoder: Decoder.shared() };
  const decoder = first.decoder;
  return {
    ...file,
    decoder,
    kind: "picture",
    pages: 1,
    frames: 1,
    repaired: false,
    places: placesOf(1),
    first,
  };
}

/**
 * True for a page that the model server fetches by itself: it needs no change for so many tokens. Such a page is not
 * looked at, because that needs its pixels.
 */
export function isLinked(
  page: Page,
  { maxImageTokens, encodeAs }: Pick<PrepareOptions, "maxImageTokens" | "encodeAs">,
): page is Page & { link: Link } {
  if (page.link === undefined || page.link.isRead || encodeAs !== undefined) return false;
  const { width, height } = uprightSize(page, undefined);
  const within = sizeWithin(width, height, maxImageTokens);
  return within.width === width && within.height === height;
}

async function linkedTo(page: Page, link: Link): Promise<Prepared> {
  const mimeType = page.mimeType === "image/png" ? "image/png" : "image/jpeg";
  const sent = { bytes: page.bytes, mimeType, sha256: null, changed: false, turned: 0 } as const;
  return { ...sent, ...uprightSize(page, undefined), url: await link.sign() };
}

const placesOf = (pages: number): Pages.Place[] => Array.from({ length: pages }, (_, index) => ({ index }));

/**
 * A page of a document, by its header.
 * @param number - from 1 to `document.pages`; of a page alone, the number that it has in its file.
 * @throws AppError as `open` does for the first page.
 */
export async function page(
  document: Document,
  number: number,
  how: Pick<OpenOptions, "signal"> = {},
): Promise<Page> {
  if (number === document.first.number) return document.first;
  const place = document.places[number - 1];
  if (place === undefined) throw new RangeError("the document has no such page");
  if (place.directory !== undefined) Structure.checkPage(document.bytes, place.directory);
  const { bytes, size, mimeType, sha256, decoder, password } = document;
  const file = { bytes, size, mimeType, sha256, decoder, password };
  return pageOf(file, await headerOf(file, place.index, how.signal), { number, place });
}

/** A document that is a single page of this one, or a part of it, with the file and hash of the whole. */
export const alone = (document: Document, page: Page): Document => ({
  ...document,
  pages: 1,
  frames: 1,
  repaired: false,
  first: page,
  places: [],
});

async function headerOf(file: File, index: number, signal: AbortSignal | undefined): Promise<Header> {
  const { mimeType, decoder, password } = file;
  return await decoder.run({ op: "header", mimeType, index, password }, workOf(file, signal));
}

/** @throws AppError `invalid_image`, `image_too_large`. */
function pageOf(file: File, header: Header, at: { number: number; place: Pages.Place }): Page {
  const { width, height, unit, depth, exif } = header;
  if (!(width > 0 && height > 0)) throw invalid("broken_header", "the picture has no size");
  if (unit === "pixels") checkMegapixels(width, height);
  // For floats and 32 bits the value of white is not defined: such a picture might come out all black or all white.
  if (depth !== "uchar" && depth !== "ushort")
    throw invalid("sample_format", "the picture has neither 8 nor 16 bits a sample");
  const { index, directory } = at.place;
  const aspect = pixelAspect(file.bytes, file.mimeType, { exif, directory });
  const square = squared(width, height, aspect);
  if (Math.max(square.width, square.height) > maxAspectRatio * Math.min(square.width, square.height)) {
    throw new AppError(
      "invalid_image",
      `the picture is more than ${maxAspectRatio} times as long as wide: cut it into several`,
      {
        details: { reason: "aspect_ratio", limit_ratio: maxAspectRatio, width, height },
      },
    );
  }
  const orientation = header.orientation ?? 1;
  const megapixels = unit === "pixels" ? (width * height) / 1_000_000 : (header.megapixels ?? 0);
  const page = { ...file, number: at.number, index, width, height, unit, orientation };
  return { ...page, pixelAspect: aspect, megapixels };
}

/** The error for bytes that are not a supported picture, with the kind of file if it is recognized. */
async function unsupported(bytes: Uint8Array): Promise<AppError> {
  const { foreign } = await import("#core/image/foreign");
  const what = foreign(bytes);
  const told = what === undefined ? "these bytes are not a supported picture" : `this is ${what}`;
  return new AppError("unsupported_media_type", `${told} (read are ${names})`, {
    details: { supported: [...mimeTypes] },
  });
}

/**
 * Looks at the page once, before it is prepared (#core/look/look). A reduced copy is decoded, which replaces the test
 * decode of `prepare`: a broken or truncated file is `invalid_image` here already.
 */
export async function look(page: Page, how: Pick<OpenOptions, "signal"> = {}): Promise<Look> {
  const read = await readOf(page);
  return await read.decoder.run({ op: "look", ...targetOf(read) }, workOf(read, how.signal));
}

/** The options for a decoder. */
const workOf = (file: File & { megapixels?: number }, signal?: AbortSignal) => ({
  ...{ bytes: file.bytes, sha256: file.sha256 ?? "", megapixels: file.megapixels, signal },
});

/** The page with its bytes. @throws AppError as `Link.read` does. */
const readOf = async (page: Page): Promise<Page> =>
  page.link === undefined ? page : (await page.link.read()).first;

const targetOf = ({ mimeType, index, password, width, height, orientation, pixelAspect, cut }: Page) => ({
  mimeType,
  index,
  password,
  cut,
  image: { width, height, orientation, pixelAspect },
});

/**
 * The picture as the model server gets it: upright, square pixels, at most `maxImageTokens` (from `tokenBudget`), 8-bit
 * sRGB on white, JPEG without metadata.
 *
 * A plain JPEG or PNG (#core/image/plain: every reader decodes it alike) that is upright and within the budget is sent
 * byte for byte: no generation loss, and its sha256 is the caller's. One that is plain but for its metadata is sent without
 * them. `encodeAs` prevents both.
 *
 * Every picture is decoded completely, even if it is sent unchanged: a truncated file is `invalid_image`, never a
 * receipt without its last lines. Unusual but complete files (wrong scan parameters, bytes between markers) are
 * accepted. Only a picture that `isLinked` is not read.
 *
 * The same bytes and options give the same result. An abort rejects at once and ends the work. Throws `invalid_image`,
 * also for a picture that takes longer than the decoder's limit, or `inference_timeout` on an abort without a reason of
 * ours.
 */
export async function prepare(given: Page, options: PrepareOptions): Promise<Prepared> {
  if (isLinked(given, options)) return await linkedTo(given, given.link);
  const page = await readOf(given);
  const { bytes, sha256 } = page;
  const { signal, maxImageTokens, jpegQuality, patch, encodeAs, look, seeksBlank, region } = options;
  const turn = look === undefined ? 0 : turnOf(look);
  const encoded = await page.decoder.run(
    {
      op: "encode",
      ...targetOf(page),
      options: { maxImageTokens, jpegQuality, patch, encodeAs, turn, seeksBlank, region },
    },
    workOf(page, signal),
  );
  if (encoded.bytes === undefined) return { ...encoded, bytes, sha256, changed: false, turned: 0 };
  const sent = encoded.bytes;
  return { ...encoded, bytes: sent, sha256: sha256Of(sent), changed: true, turned: turn };
}

/** The pixels that the page has as it is sent, before it is made smaller: upright, with square pixels. */
export function uprightSize({ orientation, pixelAspect, ...page }: Page, look: Look | undefined): Size {
  const pixels = pixelsOf(page);
  const { width, height } = squared(pixels.width, pixels.height, pixelAspect);
  const size = orientation >= 5 ? { width: height, height: width } : { width, height };
  return turnedSize(size, look === undefined ? 0 : turnOf(look));
}

function turnOf({ turn, tilt }: Look): number {
  const clockwise = (turn ?? 0) - tilt;
  return clockwise > 180 ? clockwise - 360 : clockwise;
}

/**
 * The e-invoice that the document carries as XML, or the reason why it cannot be read; undefined if there is none. It
 * is parsed in the decoder's process.
 * @throws AppError as `open` does.
 */
export async function embedded(
  document: Document,
  how: Pick<OpenOptions, "signal"> = {},
): Promise<Found | undefined> {
  if (document.kind !== "pdf") return undefined;
  const { mimeType, decoder, password } = document;
  const job = { op: "embedded", mimeType, index: 0, password } as const;
  return (await decoder.run(job, workOf(document, how.signal))).invoice;
}

/**
 * The text layer of a page, compared with its pixels if it was the last that was prepared; undefined for pictures.
 * @throws AppError as `open` does.
 */
export async function text(page: Page, how: Pick<OpenOptions, "signal"> = {}): Promise<Text | undefined> {
  const { mimeType, index, password } = page;
  const job = { op: "text", mimeType, index, password } as const;
  return (await page.decoder.run(job, workOf(page, how.signal))).text;
}

function invalid(reason: string, message: string): AppError {
  return new AppError("invalid_image", message, { details: { reason } });
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
