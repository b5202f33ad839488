/*
 * Names the kind of file that was sent instead of a picture, and what to do, for the error's message. Only the first
 * bytes are read, and the message contains none of them.
 */

/** Number of bytes that are enough to identify the file. */
export const lookBytes = 1024;

const asJpeg = "convert it to JPEG or PNG";
const base64 = "base64 as text, not the bytes that it stands for: decode it once";

const zip = "PK\x03\x04";

/** By first bytes, as Latin-1: a prefix, or a text among them. */
const magic: readonly (readonly [string | readonly string[] | RegExp, string])[] = [
  [/^.{4}ftypcrx /s, `a camera's raw file: ${asJpeg}`],
  [/^.{4}ftypmif3/s, `a HEIF picture in its compact form: ${asJpeg}`],
  [
    /^.{4}(?:ftypqt {2}|moov|mdat|wide)/s,
    "a QuickTime video, such as the moving part of a Live Photo: send the photo itself, its HEIC or JPEG",
  ],
  [/^.{4}ftyp/s, "a video: send single pictures of it"],
  [/^PK.*\bword\//s, "a Word document: print it as a PDF"],
  [/^PK.*\bxl\//s, "an Excel workbook: print it as a PDF"],
  [zip, "a ZIP archive, or an Office document, which is one: unpack it, or send its pages as pictures"],
  ["\x1f\x8b", "compressed with gzip: send it unpacked"],
  [
    ["7z\xbc\xaf", "Rar!", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd"],
    "an archive: unpack it, and send the pictures",
  ],
  ["\xd0\xcf\x11\xe0", "an old Office document or a mail of Outlook: send its pages as pictures"],
  [/^BM.{4}\0{4}/s, `a Windows bitmap: ${asJpeg}`],
  [["\0\0\0\x0cJXL ", "\xff\x0a"], `a JPEG XL picture: ${asJpeg}`],
  [["\0\0\0\x0cjP  ", "\xff\x4f\xff\x51"], `a JPEG 2000 picture: ${asJpeg}`],
  ["8BPS", `a Photoshop file: ${asJpeg}`],
  ["\0\0\x01\0", `an icon: ${asJpeg}`],
  ["AT&TFORM", "a DjVu document: send its pages as pictures"],
  [["%!PS", "\xc5\xd0\xd3\xc6"], "PostScript: send its pages as pictures"],
  ["{\\rtf", "an RTF document: send its pages as pictures"],
  [["RIFF", "ID3", "OggS", "fLaC"], "a sound or video file"],
  ["\x89PNG", "a PNG whose line ends were changed on the way: send it as binary"],
  [
    ["\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbdPNG"],
    "a file that was read as text on its way, and is broken: read and send it as binary",
  ],
  [/^\0+$/, "nothing but zeros: a copy or download of it broke off"],
  [["\xff\xfe", "\xfe\xff"], "text in UTF-16"],
];

const fits = (text: string, what: string | readonly string[] | RegExp): boolean =>
  what instanceof RegExp ? what.test(text) : [what].flat().some((start) => text.startsWith(start));

/** For text files, after a byte order mark and white space. */
const texts: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:<\?xml[\s\S]*?)?(?:<!--[\s\S]*?-->\s*)?(?:<!DOCTYPE svg[\s\S]*?)?<svg\b/i,
    "an SVG drawing: render it as a PNG",
  ],
  [/^<(?:!doctype html|html)\b/i, "an HTML page, such as a login or error page in the place of the picture"],
  [/^<(?:\?xml|[A-Za-z])/, "XML, such as a bucket's error or an e-invoice: send a picture of the document"],
  [/^data:[^,]{0,100},/i, "a data: URL as text: in JSON, image_base64 takes it"],
  [/^https?:\/\//i, "an address as text: send what is behind it"],
  [/^version https:\/\/git-lfs/, "a pointer of Git LFS: get the file with git lfs pull"],
  [/^(?:\/9j\/|iVBORw0KGgo|R0lGOD|UklGR|SUkq|TU0AK|JVBERi0)/, base64],
  [/^[{[]/, "JSON"],
  [/^--\S+\r?\ncontent-disposition/i, "a form, sent as a file: let curl -F or FormData set the Content-Type"],
];

/** Such as "a PDF: send each page …"; undefined for unknown bytes. */
export function foreign(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(lookBytes, bytes.byteLength));
  const latin1 = head.toString("latin1");
  const known = magic.find(([what]) => fits(latin1, what));
  if (known !== undefined) return known[1];
  // A character may be cut at the end of the bytes that are read.
  const text = head.toString("utf8").replace(/^\ufeff?\s*/, "");
  const isText = !/(?![\t\n\v\f\r])\p{Cc}|\ufffd/u.test(text.slice(0, -3));
  if (!isText || text === "") return undefined;
  return texts.find(([pattern]) => pattern.test(text))?.[1] ?? "text";
}
