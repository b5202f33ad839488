import type { MimeType } from "#spec/pictures";

/*
 * What a file is, by its leading bytes, and what its name promises. The bytes decide everywhere; a name or a declared
 * type is a hint, for those who cannot look inside.
 */

/** They as people call them. */
export const names = "JPEG, PNG, WebP, TIFF and GIF";

/** By extension, without the dot and in lower case: all that programs call files of the types that are read. */
const byExtension: Readonly<Record<string, MimeType>> = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  jpe: "image/jpeg",
  jfif: "image/jpeg",
  jif: "image/jpeg",
  jfi: "image/jpeg",
  pjpeg: "image/jpeg",
  pjp: "image/jpeg",
  // Multi-Picture Objects of cameras: a JPEG with more pictures behind it.
  mpo: "image/jpeg",
  png: "image/png",
  apng: "image/png",
  webp: "image/webp",
  tif: "image/tiff",
  tiff: "image/tiff",
  gif: "image/gif",
};

export const extensions: readonly string[] = Object.keys(byExtension);

/** Extensions of receipts and invoices in a form that is not read. */
const unread: ReadonlySet<string> = new Set([
  ...["pdf", "heic", "heif", "hif", "avif", "bmp", "dib", "jxl", "jp2", "jpx", "j2k", "jpm", "djvu", "djv"],
  ...["dng", "cr2", "cr3", "nef", "arw", "raf", "psd", "svg", "ps", "eps", "xps", "oxps"],
  ...["doc", "docx", "odt", "rtf", "pages"],
]);

/** Enough of a file's beginning for `sniff` and `looksUnread`. */
export const headBytes = 16;

/** The extension of a name, without the dot and in lower case; "" where there is none. */
export function extensionOf(name: string): string {
  const last = name.slice(name.lastIndexOf("/") + 1);
  const dot = last.lastIndexOf(".");
  return dot <= 0 ? "" : last.slice(dot + 1).toLowerCase();
}

/** The type that a name promises; undefined when it is none that is read. */
export const promisedBy = (name: string): MimeType | undefined => {
  const extension = extensionOf(name);
  return Object.hasOwn(byExtension, extension) ? byExtension[extension] : undefined;
};

/** Whether a name is that of a document in a form that is not read. */
export const promisesUnread = (name: string): boolean => unread.has(extensionOf(name));

const latin1 = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(headBytes, bytes.byteLength)).toString("latin1");

/** The type by its magic number, of the types that are read; the only judge of what a picture is. */
export function sniff(bytes: Uint8Array): MimeType | undefined {
  const head = latin1(bytes);
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP") return "image/webp";
  if (head.startsWith("GIF87a") || head.startsWith("GIF89a")) return "image/gif";
  // 42 is TIFF, 43 BigTIFF, in either byte order.
  if (/^(?:II[*+]\0|MM\0[*+])/.test(head)) return "image/tiff";
  return undefined;
}

/** Brands of HEIF files (ISO/IEC 23008-12) and of AVIF, as they stand behind `ftyp`. */
const stillBrands = /^(?:hei[cmsx]|hev[cmsx]|mif[12]|msf1|avi[fs]|crx )/;

/** PDF, PostScript, JPEG XL, JPEG 2000, Photoshop, DjVu, RTF. */
const magicOfUnread: readonly string[] = [
  ...["%PDF-", "\xef\xbb\xbf%PDF-", "%!PS", "\xc5\xd0\xd3\xc6", "\0\0\0\x0cJXL \r\n\x87\n", "\xff\x0a"],
  ...["\0\0\0\x0cjP  \r\n\x87\n", "\xff\x4f\xff\x51", "8BPS", "AT&TFORM", "{\\rtf"],
];

/** Whether leading bytes are those of a picture or a document in a form that is not read. */
export function looksUnread(bytes: Uint8Array): boolean {
  const head = latin1(bytes);
  if (head.slice(4, 8) === "ftyp") return stillBrands.test(head.slice(8, 12));
  // A Windows bitmap: behind its size four bytes that are zero.
  if (head.startsWith("BM") && head.slice(6, 10) === "\0\0\0\0") return true;
  return magicOfUnread.some((magic) => head.startsWith(magic));
}

/** A media type (RFC 9110, 8.3.1) that may stand in a header. */
const mediaType = /^[a-z0-9!#$%&'*+.^_`|~-]{1,60}\/[a-z0-9!#$%&'*+.^_`|~-]{1,60}$/;
/** What a browser would run, should the object ever be shown by one. */
const active = /html|xml|script|svg|xsl/;

/**
 * The media type to send and store bytes with, from what a caller declared: a media type as it was declared, an
 * extension as what it promises. What is neither says nothing.
 */
export function mediaTypeOf(hint: string | undefined): string {
  const said = (hint ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (mediaType.test(said) && !active.test(said)) return said;
  return promisedBy(`x.${said.replace(/^\./, "")}`) ?? "application/octet-stream";
}
