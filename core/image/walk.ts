/*
 * The parts of a PNG and of a JPEG, by their headers alone: no pixel is decoded, and a walk reads a few bytes per part,
 * whatever the part contains. Both end silently where the bytes are invalid; `end` is then not the end of the file.
 */

export interface Chunk {
  /** Four letters, `IHDR`. */
  name: string;
  data: Uint8Array;
  /** Position of the chunk's length field, and of the byte behind its CRC. */
  start: number;
  end: number;
}

const pngMagicBytes = 8;
/** Encoders write a chunk for every 8 KiB of pixels; files with many empty parts are not followed to their end. */
export const mostParts = 20_000;

/** PNG chunks up to `IEND` (PNG 3rd edition, 5.3); a chunk that announces more bytes than there are ends the walk. */
export function* pngChunks(bytes: Uint8Array): Generator<Chunk, void> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let start = pngMagicBytes;
  for (let n = 0; n < mostParts && start + 12 <= bytes.byteLength; n++) {
    const length = view.getUint32(start);
    const end = start + 12 + length;
    if (end > bytes.byteLength) return;
    const name = String.fromCharCode(...bytes.subarray(start + 4, start + 8));
    yield { name, data: bytes.subarray(start + 8, end - 4), start, end };
    if (name === "IEND") return;
    start = end;
  }
}

export interface Segment {
  /** Second byte of the marker: 0xe0 for APP0. */
  marker: number;
  data: Uint8Array;
  /** Position behind the segment; for a scan (0xda) behind its entropy-coded bytes. */
  end: number;
}

export const marker = { eoi: 0xd9, sos: 0xda, app0: 0xe0, app1: 0xe1 } as const;

/**
 * JPEG segments (ITU T.81, B.1) after `SOI` up to and including `EOI`; entropy-coded bytes belong to their scan. A
 * marker that does not directly follow the segment before it ends the walk.
 */
export function* jpegSegments(bytes: Uint8Array): Generator<Segment, void> {
  let at = 2;
  for (let n = 0; n < mostParts && at + 2 <= bytes.byteLength; n++) {
    if (bytes[at] !== 0xff) return;
    const code = bytes[at + 1] as number;
    if (code === marker.eoi) {
      yield { marker: code, data: bytes.subarray(at, at), end: at + 2 };
      return;
    }
    if (at + 4 > bytes.byteLength) return;
    const length = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    let end = at + 2 + length;
    if (length < 2 || end > bytes.byteLength) return;
    const data = bytes.subarray(at + 4, end);
    if (code === marker.sos) end = scanEnd(bytes, end);
    yield { marker: code, data, end };
    at = end;
  }
}

/** Where entropy-coded bytes end: at a 0xff that is neither stuffed (00) nor a restart marker (d0 to d7). */
function scanEnd(bytes: Uint8Array, from: number): number {
  for (
    let at = bytes.indexOf(0xff, from);
    at >= 0 && at + 1 < bytes.byteLength;
    at = bytes.indexOf(0xff, at + 1)
  ) {
    const next = bytes[at + 1] as number;
    if (next !== 0x00 && !(next >= 0xd0 && next <= 0xd7)) return at;
  }
  return bytes.byteLength;
}
