import { crc32, inflateSync } from "node:zlib";
import * as Walk from "#core/image/walk";

/*
 * Prepares a PNG for our decoder.
 *
 * Text is removed: the decoder unpacks all of it before it reads a pixel, up to 8 MB per chunk and 1,000 chunks, so
 * that a file of 1 MB can take 6 GB (libpng's limits, sharp 0.35.5).
 *
 * EXIF is moved to where the specification wants it, because the decoder reads it nowhere else: a chunk `eXIf` before
 * the pixels that begins with the TIFF header. Tools also write it after the pixels, with the six bytes of JPEG's APP1
 * before it, or as text (ImageMagick, ExifTool before 2017). Without this, a phone's photo that was saved by such a
 * tool would be read sideways.
 */

/** EXIF with a preview picture is below 64 KiB, the limit of JPEG's segment. */
const mostExifBytes = 65_536;
const textChunks = new Set(["tEXt", "zTXt", "iTXt"]);
/** Signature and `IHDR`. */
const headBytes = 33;

/** The same picture without its text and with its EXIF in the right place; the same bytes if nothing has to change. */
export function forDecoder(bytes: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = [];
  let keptTo = headBytes;
  let end = 0;
  let parts = 0;
  let changed = false;
  let pixelsSeen = false;
  let own: Uint8Array | undefined;
  let fromText: Uint8Array | undefined;
  for (const chunk of Walk.pngChunks(bytes)) {
    parts++;
    end = chunk.end;
    if (chunk.name === "IDAT") pixelsSeen = true;
    const isExif = chunk.name === "eXIf";
    if (!isExif && !textChunks.has(chunk.name)) continue;
    if (isExif) own ??= exifOf(chunk.data);
    else fromText ??= rawProfile(chunk);
    // Written below, at the right place.
    kept.push(bytes.subarray(keptTo, chunk.start));
    keptTo = chunk.end;
    changed ||= !isExif || pixelsSeen || !isTiff(chunk.data);
  }
  // Chunks beyond the limit were not checked: they are left out, and the picture counts as broken.
  const tooMany = parts >= Walk.mostParts;
  if (!changed && !tooMany) return bytes;
  kept.push(bytes.subarray(keptTo, tooMany ? Math.max(keptTo, end) : bytes.byteLength));
  // A chunk `eXIf` is newer than EXIF in text.
  const exif = own ?? fromText;
  return Buffer.concat([
    bytes.subarray(0, headBytes),
    ...(exif === undefined ? [] : [exifChunk(exif)]),
    ...kept,
  ]);
}

function exifOf(data: Uint8Array): Uint8Array | undefined {
  if (data.length > mostExifBytes) return undefined;
  const exif = withoutName(data);
  return isTiff(exif) ? exif : undefined;
}

function exifChunk(tiff: Uint8Array): Buffer {
  const chunk = Buffer.alloc(12 + tiff.length);
  chunk.writeUInt32BE(tiff.length, 0);
  chunk.write("eXIf", 4, "latin1");
  chunk.set(tiff, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + tiff.length)), 8 + tiff.length);
  return chunk;
}

/**
 * EXIF that ImageMagick hides in text: key, then a line with the profile's name, one with its length, and hex
 * digits. Undefined for any other chunk, and for what is too large or not hex.
 */
function rawProfile({ name, data }: Walk.Chunk): Uint8Array | undefined {
  if (name !== "zTXt" && name !== "tEXt") return undefined;
  const keyEnd = data.indexOf(0);
  const key = Buffer.from(data.subarray(0, Math.max(0, Math.min(80, keyEnd)))).toString("latin1");
  if (key !== "Raw profile type exif" && key !== "Raw profile type APP1") return undefined;
  let text: Buffer;
  try {
    text =
      name === "tEXt"
        ? Buffer.from(data.subarray(keyEnd + 1))
        : inflateSync(data.subarray(keyEnd + 2), { maxOutputLength: 3 * mostExifBytes });
  } catch {
    return undefined;
  }
  const lines = text.toString("latin1").split("\n");
  const hex = lines.slice(3).join("");
  if (hex === "" || hex.length > 2 * (mostExifBytes + 6) || !/^[0-9a-f]+$/i.test(hex)) return undefined;
  return exifOf(Buffer.from(hex, "hex"));
}

function withoutName(exif: Uint8Array): Uint8Array {
  return Buffer.from(exif.subarray(0, 6)).toString("latin1") === "Exif\0\0" ? exif.subarray(6) : exif;
}

function isTiff(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 4)).toString("latin1");
  return head === "II*\0" || head === "MM\0*";
}
