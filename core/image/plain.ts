import { crc32 } from "node:zlib";
import { profileOf } from "#core/image/srgb";
import * as Walk from "#core/image/walk";

/*
 * Decides which files may be sent unchanged. Readers differ in what they refuse: Pillow, which vLLM uses, refuses text
 * or a color profile of more than 1 MiB unpacked, a wrong CRC anywhere, and a missing end; libvips accepts all of
 * these. They also differ in what they apply: EXIF, XMP, profiles, animation. So a plain file is defined by what it may
 * contain, not by a list of known problems. All other files are encoded again.
 */

/**
 * True for a PNG that every reader decodes alike: at most 8 bits per sample, opaque, one frame, correct CRCs, complete
 * up to `IEND` with nothing after it, and apart from the pixels only short chunks of a fixed size and short Latin text.
 * One pass over the bytes (for the CRCs).
 */
export function isPlainPng(bytes: Uint8Array): boolean {
  let expected = 8;
  let header = false;
  let palette = false;
  let pixels: "none" | "open" | "closed" = "none";
  let ended = false;
  for (const chunk of Walk.pngChunks(bytes)) {
    const { name, data, start, end } = chunk;
    if (start !== expected || !hasRightCrc(bytes, chunk)) return false;
    expected = end;
    if (name === "IDAT") {
      if (!header || pixels === "closed") return false;
      pixels = "open";
      continue;
    }
    if (pixels === "open") pixels = "closed";
    if (name === "IHDR") {
      if (header || !isPlainHeader(data)) return false;
      header = true;
      palette = data[9] === 3;
    } else if (!header) {
      return false;
    } else if (name === "PLTE") {
      if (pixels !== "none" || data.length === 0 || data.length % 3 !== 0 || data.length > 768) return false;
      palette = false;
    } else if (name === "IEND") {
      ended = data.length === 0;
    } else if (!isHarmless(name, data)) {
      return false;
    }
  }
  return ended && !palette && pixels === "closed" && expected === bytes.byteLength;
}

/** `IHDR` of a gray, color or palette picture without alpha, at most 8 bits a sample, methods as the format knows them. */
export function isPlainHeader(data: Uint8Array): boolean {
  const [depth = 0, color = 0, compression, filter, interlace = 0] = data.subarray(8);
  const depths = { 0: [1, 2, 4, 8], 2: [8], 3: [1, 2, 4, 8] }[color];
  return (
    data.length === 13 &&
    depths !== undefined &&
    depths.includes(depth) &&
    compression === 0 &&
    filter === 0 &&
    interlace <= 1
  );
}

/** Sizes of chunks that may be skipped by a reader without effect; `pHYs` is checked for the shape of pixels. */
const fixedSizes: Record<string, number[]> = {
  gAMA: [4],
  cHRM: [32],
  sRGB: [1],
  sBIT: [1, 3],
  bKGD: [1, 2, 6],
  pHYs: [9],
  tIME: [7],
};
/** "Software: …", "Creation Time: …"; readers keep it in memory, so it has to be short. */
const shortTextBytes = 512;

/** True for a chunk beside the pixels that every reader may skip. */
export function isHarmless(name: string, data: Uint8Array): boolean {
  if (name === "tEXt") {
    const key = data.indexOf(0);
    // Tools hide whole EXIF and XMP blocks under keys like "Raw profile type exif".
    return (
      key > 0 && data.length <= shortTextBytes && !Buffer.from(data).subarray(0, key).includes("profile")
    );
  }
  return fixedSizes[name]?.includes(data.length) ?? false;
}

/** A wrong one makes Pillow refuse the file. */
export function hasRightCrc(bytes: Uint8Array, { start, end }: Walk.Chunk): boolean {
  const stored = new DataView(bytes.buffer, bytes.byteOffset + end - 4, 4).getUint32(0);
  return crc32(bytes.subarray(start + 4, end - 4)) === stored;
}

export const segment = {
  sof0: 0xc0,
  sof1: 0xc1,
  sof2: 0xc2,
  dht: 0xc4,
  dqt: 0xdb,
  dri: 0xdd,
  app14: 0xee,
  com: 0xfe,
} as const;
/** APP15. */
const lastApplication = 0xef;
/** Progressive files of cameras and tools have about ten scans; each one costs a decoder a whole pass. */
const mostScans = 64;

/**
 * True for a JPEG that every reader decodes alike: baseline, extended or progressive with Huffman codes, 8 bits, gray
 * or three components, no application segments except JFIF and Adobe's color mark, and nothing after `EOI`. Readers
 * differ in how they treat EXIF, XMP, profiles, MPF and Photoshop's blocks.
 */
export function isPlainJpeg(bytes: Uint8Array): boolean {
  let frame = false;
  let scans = 0;
  let last: Walk.Segment | undefined;
  for (const each of Walk.jpegSegments(bytes)) {
    last = each;
    const { marker, data } = each;
    if (marker === Walk.marker.eoi) break;
    if (marker === segment.sof0 || marker === segment.sof1 || marker === segment.sof2) {
      if (frame || !isPlainFrame(data)) return false;
      frame = true;
    } else if (marker === Walk.marker.sos) {
      scans++;
      if (!frame || scans > mostScans) return false;
    } else if (!isPlainSegment(marker, data)) {
      return false;
    }
  }
  return scans > 0 && last?.marker === Walk.marker.eoi && last.end === bytes.byteLength;
}

/** Precision, height (0: given later, by DNL), width, number of components, three bytes for each. */
export function isPlainFrame(data: Uint8Array): boolean {
  const [precision, heightHigh, heightLow, , , components = 0] = data;
  const sized = heightHigh !== 0 || heightLow !== 0;
  return (
    precision === 8 && sized && (components === 1 || components === 3) && data.length === 6 + 3 * components
  );
}

/**
 * The same picture as a plain JPEG, its scans byte for byte: EXIF, XMP, Photoshop's blocks, thumbnails, comments and
 * what follows its end are left out. Undefined where that would change what is seen (a profile other than sRGB, an
 * unusual color mark), and where the walk over its parts does not reach the end. The caller must handle an EXIF
 * orientation.
 */
export function withoutMetadata(bytes: Uint8Array): Uint8Array | undefined {
  if (profileOf(bytes) === "other") return undefined;
  const kept: Uint8Array[] = [bytes.subarray(0, 2)];
  let start = 2;
  for (const { marker, data, end } of Walk.jpegSegments(bytes)) {
    const isApplication = marker >= Walk.marker.app0 && marker <= lastApplication;
    if (marker === segment.app14 && !isPlainSegment(marker, data)) return undefined;
    const isDescribing = isApplication && !isPlainSegment(marker, data);
    if (!isDescribing && marker !== segment.com) kept.push(bytes.subarray(start, end));
    start = end;
  }
  const made = Buffer.concat(kept);
  return isPlainJpeg(made) ? made : undefined;
}

/** True for tables, comments, JFIF and Adobe's color mark. */
export function isPlainSegment(marker: number, data: Uint8Array): boolean {
  switch (marker) {
    case segment.dht:
    case segment.dqt:
    case segment.dri:
    case segment.com:
      return true;
    case Walk.marker.app0:
      // JFIF 1.02, page 5: 14 bytes and a thumbnail of three bytes a pixel. Pillow refuses a shorter one.
      return startsWith(data, "JFIF\0") && data.length === 14 + 3 * (data[12] ?? 0) * (data[13] ?? 0);
    case segment.app14:
      // The last byte: 0 for RGB, 1 for YCbCr.
      return startsWith(data, "Adobe") && data.length === 12 && (data[11] === 0 || data[11] === 1);
    default:
      return false;
  }
}

function startsWith(data: Uint8Array, text: string): boolean {
  return Buffer.from(data.buffer, data.byteOffset, Math.min(data.byteLength, text.length)).equals(
    Buffer.from(text, "latin1"),
  );
}
