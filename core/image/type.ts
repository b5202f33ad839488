import type { MimeType } from "#spec/pictures";

/*
 * The type of a file by its leading bytes, and the type that its name suggests. The bytes always decide; a name or a
 * declared type is only a hint where the content is not available.
 */

/** The supported formats, as shown to people. */
export const names = "JPEG, PNG, HEIC, AVIF, WebP, TIFF, GIF and PDF";

/** By extension, without the dot and in lower case: all extensions in use for the supported types. */
const byExtension: Readonly<Record<string, MimeType>> = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  jpe: "image/jpeg",
  jfif: "image/jpeg",
  jif: "image/jpeg",
  jfi: "image/jpeg",
  pjpeg: "image/jpeg",
  pjp: "image/jpeg",
  // Multi-Picture Objects of cameras: a JPEG with more pictures after it.
  mpo: "image/jpeg",
  png: "image/png",
  apng: "image/png",
  webp: "image/webp",
  tif: "image/tiff",
  tiff: "image/tiff",
  gif: "image/gif",
  heic: "image/heic",
  heics: "image/heic",
  heif: "image/heif",
  heifs: "image/heif",
  // Canon's and Sony's name.
  hif: "image/heif",
  avif: "image/avif",
  pdf: "application/pdf",
};

export const extensions: readonly string[] = Object.keys(byExtension);

/** Extensions of receipts and invoices in unsupported formats. */
const unread: ReadonlySet<string> = new Set([
  ...["bmp", "dib", "jxl", "jp2", "jpx", "j2k", "jpm", "djvu", "djv"],
  ...["dng", "cr2", "cr3", "nef", "arw", "raf", "psd", "svg", "ps", "eps", "xps", "oxps"],
  ...["doc", "docx", "odt", "rtf", "pages"],
]);

/** Number of leading bytes that `sniff` and `looksUnread` need. */
export const headBytes = 128;

/** The extension of a name, without the dot and in lower case; "" without one. */
export function extensionOf(name: string): string {
  const last = name.slice(name.lastIndexOf("/") + 1);
  const dot = last.lastIndexOf(".");
  return dot <= 0 ? "" : last.slice(dot + 1).toLowerCase();
}

/** The type that a name suggests; undefined if it is not supported. */
export const promisedBy = (name: string): MimeType | undefined => {
  const extension = extensionOf(name);
  return Object.hasOwn(byExtension, extension) ? byExtension[extension] : undefined;
};

/** True if a name suggests a document in an unsupported format. */
export const promisesUnread = (name: string): boolean => unread.has(extensionOf(name));

const latin1 = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(headBytes, bytes.byteLength)).toString("latin1");

/** The supported type by its magic number; only this decides what a picture is. */
export function sniff(bytes: Uint8Array): MimeType | undefined {
  const head = latin1(bytes);
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP") return "image/webp";
  if (head.startsWith("GIF87a") || head.startsWith("GIF89a")) return "image/gif";
  // 42 is TIFF, 43 BigTIFF, in either byte order.
  if (/^(?:II[*+]\0|MM\0[*+])/.test(head)) return "image/tiff";
  return heif(head) ?? (isPdf(bytes) ? "application/pdf" : undefined);
}

/** Readers look for a PDF's header this far (ISO 32000-2, annex I): some writers and mails put bytes before it. */
const pdfHeaderWithin = 1024;

/** By its header, or, for a PDF whose beginning is lost, by its end. */
function isPdf(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = buffer.toString("latin1", 0, pdfHeaderWithin + 8);
  // A form contains a picture, but is not one itself.
  if (head.startsWith("%PDF") || /^(?!--)[\s\S]*%PDF-\d\.\d/.test(head)) return true;
  return /startxref\s+\d+\s+%%EOF\s*$/.test(buffer.toString("latin1", Math.max(0, bytes.byteLength - 64)));
}

const heicBrand = /^(?:hei[cmsx]|hev[cmsx])$/;
const avifBrand = /^avi[fs]$/;
const heifBrand = /^(?:mif[12]|msf1|miaf)$/;

/**
 * The type by the brands of the box `ftyp` (ISO/IEC 23008-12, annex B; AVIF 1.1, section 5). A file whose major brand
 * is another one is a video or a raw file, also where it is compatible with a picture's. A general brand does not tell
 * the codec; the compatible brands may.
 */
function heif(head: string): MimeType | undefined {
  if (head.slice(4, 8) !== "ftyp") return undefined;
  const end = Buffer.from(head.slice(0, 4), "latin1").readUInt32BE();
  const major = head.slice(8, 12);
  const compatible = head.slice(16, end).match(/.{4}/gs) ?? [];
  if (heicBrand.test(major)) return "image/heic";
  if (avifBrand.test(major)) return "image/avif";
  if (!heifBrand.test(major)) return undefined;
  if (compatible.some((brand) => avifBrand.test(brand))) return "image/avif";
  return compatible.some((brand) => heicBrand.test(brand)) ? "image/heic" : "image/heif";
}

/** After `ftyp`: camera raw files, and HEIF's compact form. */
const stillBrands = /^(?:crx |mif3)/;

/** PostScript, JPEG XL, JPEG 2000, Photoshop, DjVu, RTF. */
const magicOfUnread: readonly string[] = [
  ...["%!PS", "\xc5\xd0\xd3\xc6", "\0\0\0\x0cJXL \r\n\x87\n", "\xff\x0a"],
  ...["\0\0\0\x0cjP  \r\n\x87\n", "\xff\x4f\xff\x51", "8BPS", "AT&TFORM", "{\\rtf"],
];

/** True if the leading bytes are those of a picture or document in an unsupported format. */
export function looksUnread(bytes: Uint8Array): boolean {
  const head = latin1(bytes);
  if (head.slice(4, 8) === "ftyp") return stillBrands.test(head.slice(8, 12));
  // A Windows bitmap: behind its size four bytes that are zero.
  if (head.startsWith("BM") && head.slice(6, 10) === "\0\0\0\0") return true;
  return magicOfUnread.some((magic) => head.startsWith(magic));
}

/** A media type (RFC 9110, 8.3.1) that may stand in a header. */
const mediaType = /^[a-z0-9!#$%&'*+.^_`|~-]{1,60}\/[a-z0-9!#$%&'*+.^_`|~-]{1,60}$/;
/** Types with content that a browser would execute if the object were shown. */
const active = /html|xml|script|svg|xsl/;

/**
 * The media type for sending and storing bytes, from a caller's declaration: a media type as declared, or that of an
 * extension. Any other declaration is ignored.
 */
export function mediaTypeOf(hint: string | undefined): string {
  const said = (hint ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (mediaType.test(said) && !active.test(said)) return said;
  return promisedBy(`x.${said.replace(/^\./, "")}`) ?? "application/octet-stream";
}
