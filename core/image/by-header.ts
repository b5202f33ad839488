import { maxAspectRatio } from "#core/image/budget";
import { pixelAspect } from "#core/image/pixel-shape";
import {
  hasRightCrc,
  isHarmless,
  isPlainFrame,
  isPlainHeader,
  isPlainSegment,
  segment,
} from "#core/image/plain";
import { profileOf } from "#core/image/srgb";
import * as Tiff from "#core/image/tiff";
import * as Walk from "#core/image/walk";
import { sizes } from "#spec/limits";

/*
 * Whether a picture that was not read whole needs no change: every reader, the model server's too, sees it as it would be
 * sent. Pixels are not looked at, so a damaged picture passes; the model server refuses it (Pillow: "image file is
 * truncated"), and then it is read here.
 */

/** The bytes of a picture that are read first, and the bytes that are read next if a header is longer. */
export const headBytes = 64 * 1024;
const moreBytes = 128 * 1024;

export interface Header {
  mimeType: "image/jpeg" | "image/png";
  /** As stored, before `orientation` is applied. */
  width: number;
  height: number;
  /** Of EXIF, 1 to 8, which the model server applies, too (vLLM 0.32). */
  orientation: number;
}

/** Another range that the judgment needs. */
interface More {
  from: number;
  bytes: number;
}

/** Bytes of the file, from its first one on. */
interface Head {
  head: Uint8Array;
  /** Of the whole file. */
  total: number;
  /** The range that was asked for (`More`). */
  more?: { from: number; bytes: Uint8Array } | undefined;
}

/**
 * Judges a picture by its first 64 KiB and at most one more range.
 * @returns its header; the range that is missing; undefined for one that has to be read whole: another format, a PNG of 16
 *   bits or with transparency, a progressive JPEG, a color profile other than sRGB, pixels that are not square, several
 *   pictures in a file, and whatever readers see differently.
 */
export function judge(of: Head): Header | More | undefined {
  if (of.total > sizes.uploadImageBytes) return undefined;
  const { head } = of;
  const found = head[0] === 0xff && head[1] === 0xd8 ? jpeg(of) : isPng(head) ? png(of) : undefined;
  if (found === undefined || "from" in found) return found;
  const { width, height } = found;
  if (width * height > sizes.imageMegapixels * 1_000_000 || width * height === 0) return undefined;
  return Math.max(width, height) > maxAspectRatio * Math.min(width, height) ? undefined : found;
}

const isPng = (head: Uint8Array) =>
  Buffer.from(head.subarray(0, 8)).toString("latin1") === "\x89PNG\r\n\x1a\n";

const exifName = "Exif\0\0";
const app2 = 0xe2;

function jpeg({ head, total, more }: Head): Header | More | undefined {
  const bytes = more === undefined ? head : Buffer.concat([head, more.bytes]);
  let frame: Uint8Array | undefined;
  let exif: Uint8Array | undefined;
  let turnsByXmp = false;
  for (const { marker, data, end } of Walk.jpegSegments(bytes)) {
    if (marker === Walk.marker.sos) {
      if (frame === undefined || end > total || profileOf(bytes) === "other") return undefined;
      return jpegHeader(bytes, frame, { exif, turnsByXmp });
    }
    if (marker === segment.sof0 || marker === segment.sof1) {
      if (frame !== undefined || !isPlainFrame(data)) return undefined;
      frame = data;
    } else if (marker === Walk.marker.app1 && startsWith(data, exifName)) {
      // Pillow joins several.
      if (exif !== undefined) return undefined;
      exif = data;
    } else if (marker === Walk.marker.app1) {
      turnsByXmp ||= Buffer.from(data).includes("tiff:Orientation");
    } else if (!isPlainSegment(marker, data) && !isSkipped(marker, data)) return undefined;
  }
  if (more !== undefined || head.length >= total) return undefined;
  return { from: head.length, bytes: Math.min(moreBytes, total - head.length) };
}

/** Application segments that readers skip, and color profiles. One that lists more pictures is not skipped by all. */
function isSkipped(marker: number, data: Uint8Array): boolean {
  if (marker === Walk.marker.app0 || marker === segment.app14) return false;
  return marker > Walk.marker.app1 && marker <= 0xef && !(marker === app2 && startsWith(data, "MPF\0"));
}

/** @param about.turnsByXmp - Pillow turns by XMP where EXIF has no orientation; other readers never do. */
function jpegHeader(
  bytes: Uint8Array,
  frame: Uint8Array,
  { exif, turnsByXmp }: { exif: Uint8Array | undefined; turnsByXmp: boolean },
): Header | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const turned = exif === undefined ? undefined : orientationOf(exif.subarray(exifName.length));
  if (turned === null || (turnsByXmp && turned === undefined)) return undefined;
  if (pixelAspect(bytes, "image/jpeg", { exif }) !== 1) return undefined;
  const [height, width] = [view.getUint16(1), view.getUint16(3)];
  return { mimeType: "image/jpeg", width, height, orientation: turned ?? 1 };
}

const orientationTag = 274;

/** The orientation in the first directory; undefined without one, null where readers may differ. */
function orientationOf(exif: Uint8Array): number | null | undefined {
  try {
    const tiff = Tiff.open(exif);
    const [first] = Tiff.directories(tiff);
    if (first === undefined) return undefined;
    const found = [...Tiff.fields(tiff, first)].filter(({ tag }) => tag === orientationTag);
    const [field] = found;
    if (field === undefined) return undefined;
    const value = tiff.view.getUint16(field.value, tiff.little);
    const isUsual = found.length === 1 && field.type === 3 && field.count === 1 && value >= 1 && value <= 8;
    return isUsual ? value : null;
  } catch (thrown) {
    // A table that points outside of the segment.
    if (thrown instanceof RangeError) return null;
    throw thrown;
  }
}

/**
 * Chunks may also follow the pixels, so these have to be seen as well: where the last `IDAT` of the head reaches so far
 * that one more range has all the rest.
 */
function png({ head, total, more }: Head): Header | More | undefined {
  let header: Header | undefined;
  let hasPalette = true;
  let hasPixels = false;
  let at = 8;
  for (const chunk of Walk.pngChunks(head)) {
    const { name, data } = chunk;
    if (chunk.start !== at || !hasRightCrc(head, chunk)) return undefined;
    at = chunk.end;
    if (name === "IHDR" && header === undefined && isPlainHeader(data)) {
      header = pngHeader(data);
      hasPalette = data[9] !== 3;
    } else if (header === undefined) return undefined;
    else if (name === "PLTE" && !hasPixels && data.length > 0 && data.length % 3 === 0) hasPalette = true;
    else if (name === "IDAT") hasPixels = true;
    else if (name === "IEND")
      return hasPixels && hasPalette && at === total ? square(head, header) : undefined;
    else if (!isHarmless(name, data)) return undefined;
  }
  if (header === undefined || !hasPalette || at + 8 > head.length || head.length >= total) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const isPixels = Buffer.from(head.subarray(at + 4, at + 8)).toString("latin1") === "IDAT";
  const from = at + 12 + view.getUint32(at);
  if (!isPixels || from >= total || total - from > moreBytes) return undefined;
  if (more === undefined) return { from, bytes: total - from };
  return more.from === from && endsPlainly(more.bytes) ? square(head, header) : undefined;
}

/** The chunks behind an `IDAT`, up to the end of the file. */
function endsPlainly(bytes: Uint8Array): boolean {
  const whole = Buffer.concat([Buffer.alloc(8), bytes]);
  let at = 8;
  for (const chunk of Walk.pngChunks(whole)) {
    if (chunk.start !== at || !hasRightCrc(whole, chunk)) return false;
    at = chunk.end;
    if (chunk.name === "IEND") return at === whole.length;
    if (chunk.name !== "IDAT" && !isHarmless(chunk.name, chunk.data)) return false;
  }
  return false;
}

function pngHeader(data: Uint8Array): Header {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return { mimeType: "image/png", width: view.getUint32(0), height: view.getUint32(4), orientation: 1 };
}

const square = (head: Uint8Array, header: Header): Header | undefined =>
  pixelAspect(head, "image/png", {}) === 1 ? header : undefined;

const startsWith = (data: Uint8Array, text: string): boolean =>
  Buffer.from(data.subarray(0, text.length)).toString("latin1") === text;
