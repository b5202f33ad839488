import type { MimeType } from "#spec/pictures";
import * as Tiff from "./tiff.ts";
import * as Walk from "./walk.ts";

/*
 * Finds the pages or frames of a file that a person would want read. libvips counts what it can open, which may be
 * less (frames of an APNG, pictures after the first of an MPO) or more (previews and masks of a TIFF).
 */

/** A file with more directories is not a scan but a loop or an attack. */
const mostPages = 100_000;

/** Where a page is in its file. */
export interface Place {
  /** The page's number for the decoder, from 0. */
  index: number;
  /** In a TIFF, the position of the page's tables. */
  directory?: number;
}

/**
 * The pages that can be read: those of a TIFF, else one. If the file's own tables do not tell, the decoder's count is
 * used.
 * @param decoder - the decoder's count, from the header.
 */
export function places(bytes: Uint8Array, mimeType: MimeType, decoder: number): Place[] {
  if (mimeType !== "image/tiff" || decoder <= 1) return [{ index: 0 }];
  try {
    const pages = pagesOfTiff(bytes);
    if (pages.length > 0) return pages;
  } catch (thrown) {
    // A table that points outside of the file.
    if (!(thrown instanceof RangeError)) throw thrown;
  }
  return Array.from({ length: decoder }, (_, index) => ({ index }));
}

/**
 * Pages of a TIFF, frames of a GIF, WebP or APNG, pictures of an MPO; at least 1. Only those of `places` are read.
 * @param decoder - the decoder's count, from the header.
 */
export function count(bytes: Uint8Array, mimeType: MimeType, decoder: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (mimeType === "image/png") return framesOfPng(view);
    if (mimeType === "image/jpeg") return picturesOfMpo(view, bytes);
    if (mimeType === "image/tiff") return places(bytes, mimeType, decoder).length;
  } catch (thrown) {
    // A table that points outside of the file.
    if (!(thrown instanceof RangeError)) throw thrown;
  }
  return Math.max(1, decoder);
}

const nameAt = (view: DataView, at: number) =>
  String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));

/**
 * An APNG announces its frames in a chunk `acTL` before the first `IDAT` (PNG 3rd edition, 11.3.6.1). If no `fcTL`
 * precedes `IDAT`, the picture in `IDAT` is not one of the frames.
 */
function framesOfPng(view: DataView): number {
  let frames = 0;
  let isFrame = false;
  for (let at = 8; at + 12 <= view.byteLength; at += 12 + view.getUint32(at)) {
    const name = nameAt(view, at + 4);
    if (name === "acTL") frames = view.getUint32(at + 8);
    else if (name === "fcTL") isFrame = true;
    else if (name === "IDAT") break;
  }
  return Math.max(1, frames === 0 || isFrame ? frames : frames + 1);
}

/** The application segment of Multi-Picture Objects. */
const app2 = 0xe2;
/** Tags of CIPA DC-007: number of pictures, and their list. */
const [mpEntries, entryBytes] = [0xb002, 16];

/**
 * The pictures of a Multi-Picture Object (CIPA DC-007-2009, 5.2.3): its first and those of the types panorama,
 * disparity and multi-angle. Thumbnails show the same picture again. Programs that join pages (Pillow) leave the type
 * undefined, as phones do for their gain maps and depths: a page is as large as the first, and says nothing of a gain.
 */
function picturesOfMpo(view: DataView, bytes: Uint8Array): number {
  for (let at = 2; at + 4 <= view.byteLength && view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    // The scan begins: no tables of the whole file follow.
    if (marker === 0xda || marker === 0xd9) break;
    const length = view.getUint16(at + 2);
    if (marker === app2 && length > 14 && nameAt(view, at + 4) === "MPF\0") {
      const [, ...others] = mpPictures(view, at + 8, at + 2 + length);
      const first = frameOf(bytes);
      const isPage = ({ type, start }: MpPicture) => {
        if (type !== 0) return type >> 16 === 2;
        const frame = start > 0 && start < bytes.length ? frameOf(bytes.subarray(start)) : undefined;
        return frame !== undefined && !frame.isGain && frame.size === first?.size;
      };
      return 1 + others.filter(isPage).length;
    }
    at += 2 + length;
  }
  return 1;
}

interface MpPicture {
  type: number;
  /** Where its bytes begin in the file. */
  start: number;
}

/** Signatures of gain maps: Adobe's and Google's, Apple's, and ISO 21496-1. */
const gains = ["hdrgm:", "HDRGainMap", "ts:21496:-1"];

/** Width and height of a JPEG's frame, as raw bytes; undefined without a frame. */
function frameOf(bytes: Uint8Array): { size: string; isGain: boolean } | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  let isGain = false;
  for (const { marker, data } of Walk.jpegSegments(bytes)) {
    if (marker === Walk.marker.app1 || marker === app2)
      isGain ||= gains.some((word) => Buffer.from(data).includes(word, 0, "latin1"));
    // SOF0 to SOF15 without the tables that stand among them: sample precision, then the size.
    const isFrame = (marker & 0xf0) === 0xc0 && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return { size: Buffer.from(data.subarray(1, 5)).toString("hex"), isGain };
    if (marker === Walk.marker.sos) return undefined;
  }
  return undefined;
}

/** The pictures that the index of an MPO lists. */
function* mpPictures(view: DataView, start: number, end: number): Generator<MpPicture> {
  const little = view.getUint16(start) === 0x4949;
  const directory = start + view.getUint32(start + 4, little);
  const fields = view.getUint16(directory, little);
  for (let i = 0; i < fields; i += 1) {
    const field = directory + 2 + 12 * i;
    if (view.getUint16(field, little) !== mpEntries) continue;
    const bytes = view.getUint32(field + 4, little);
    const list = start + view.getUint32(field + 8, little);
    for (let entry = list; entry + entryBytes <= Math.min(list + bytes, end); entry += entryBytes)
      yield {
        type: view.getUint32(entry, little) & 0xffffff,
        start: start + view.getUint32(entry + 8, little),
      };
  }
}

/** Tag 254, NewSubfileType: bit 0 is a smaller copy of another page, bit 2 a mask (TIFF 6.0, page 36). */
const newSubfileType = 254;
const notAPage = 0b101;

/**
 * The pages of a TIFF by its chain of directories; the first one counts always. `index` is the decoder's number of the
 * page, `directory` the position of its tables in the file.
 * @throws RangeError for a table that points outside of the file.
 */
function pagesOfTiff(bytes: Uint8Array): Place[] {
  const tiff = Tiff.open(bytes);
  const pages: Place[] = [];
  let index = 0;
  for (const directory of Tiff.directories(tiff)) {
    if (index >= mostPages) break;
    if (index === 0 || isPage(tiff, directory)) pages.push({ index, directory });
    index += 1;
  }
  return pages;
}

function isPage(tiff: Tiff.Tiff, directory: number): boolean {
  const { view, little } = tiff;
  for (const { tag, type, value } of Tiff.fields(tiff, directory)) {
    // Tags are in ascending order.
    if (tag > newSubfileType) break;
    if (tag !== newSubfileType) continue;
    return ((type === 3 ? view.getUint16(value, little) : view.getUint32(value, little)) & notAPage) === 0;
  }
  return true;
}
