import { crc32, deflateSync } from "node:zlib";

/** Builders for pictures that no encoder writes: odd parts, wrong checksums, 16 bits, tags of any value. */

const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export function pngChunk(name: string, data: Uint8Array | string = "", options: { badCrc?: boolean } = {}) {
  const body = typeof data === "string" ? Buffer.from(data, "latin1") : data;
  const chunk = Buffer.alloc(12 + body.length);
  chunk.writeUInt32BE(body.length, 0);
  chunk.write(name, 4, "latin1");
  chunk.set(body, 8);
  const crc = crc32(chunk.subarray(4, 8 + body.length));
  chunk.writeUInt32BE((options.badCrc ? ~crc : crc) >>> 0, 8 + body.length);
  return chunk;
}

export interface PngParts {
  width: number;
  height: number;
  bitDepth?: number;
  /** 0 gray, 2 color, 3 palette, 4 gray with alpha, 6 color with alpha. */
  colorType?: number;
  /** Samples of one pixel, each 0 to 255, scaled to 16 bits if that is the depth. */
  pixel?: (x: number, y: number) => number[];
  /** The compressed pixels, instead of `pixel`. */
  idat?: Uint8Array;
  /** Chunks between header and pixels, and between pixels and end. */
  before?: Buffer[];
  after?: Buffer[];
}

/** A PNG of 8 or 16 bits from its samples; other depths need `idat`. */
export function png(parts: PngParts): Buffer {
  const { width, height, bitDepth = 8, colorType = 0, pixel = () => [255], before = [], after = [] } = parts;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = bitDepth;
  header[9] = colorType;
  const rows: number[] = [];
  if (parts.idat === undefined) {
    for (let y = 0; y < height; y++) {
      rows.push(0);
      for (let x = 0; x < width; x++) {
        for (const sample of pixel(x, y)) rows.push(...(bitDepth === 16 ? [sample, sample] : [sample]));
      }
    }
  }
  const idat = parts.idat ?? deflateSync(Buffer.from(rows));
  return Buffer.concat([
    magic,
    pngChunk("IHDR", header),
    ...before,
    pngChunk("IDAT", idat),
    ...after,
    pngChunk("IEND"),
  ]);
}

/** A copy with one more segment after `SOI`. */
export function withJpegSegment(jpeg: Buffer, marker: number, data: Uint8Array | string): Buffer {
  const body = typeof data === "string" ? Buffer.from(data, "latin1") : data;
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(body.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), head, body, jpeg.subarray(2)]);
}

export interface Tags {
  orientation?: number;
  /** Numerator and denominator. */
  resolution?: { x: [number, number]; y: [number, number] };
}

/** A TIFF directory as EXIF carries it. */
export function exif({ orientation, resolution }: Tags, order: "II" | "MM" = "II"): Buffer {
  const little = order === "II";
  const entries: Buffer[] = [];
  const values: Buffer[] = [];
  const count = (orientation === undefined ? 0 : 1) + (resolution === undefined ? 0 : 2);
  const valuesAt = 8 + 2 + 12 * count + 4;
  const u16 = (buffer: Buffer, value: number, at: number) =>
    little ? buffer.writeUInt16LE(value, at) : buffer.writeUInt16BE(value, at);
  const u32 = (buffer: Buffer, value: number, at: number) =>
    little ? buffer.writeUInt32LE(value, at) : buffer.writeUInt32BE(value, at);
  const entry = (tag: number, type: number) => {
    const made = Buffer.alloc(12);
    u16(made, tag, 0);
    u16(made, type, 2);
    u32(made, 1, 4);
    entries.push(made);
    return made;
  };
  if (orientation !== undefined) u16(entry(274, 3), orientation, 8);
  for (const [tag, ratio] of [
    [282, resolution?.x],
    [283, resolution?.y],
  ] as const) {
    if (ratio === undefined) continue;
    u32(entry(tag, 5), valuesAt + 8 * values.length, 8);
    const value = Buffer.alloc(8);
    u32(value, ratio[0], 0);
    u32(value, ratio[1], 4);
    values.push(value);
  }
  const head = Buffer.alloc(10);
  head.write(order, 0, "latin1");
  u16(head, 42, 2);
  u32(head, 8, 4);
  u16(head, count, 8);
  return Buffer.concat([head, ...entries, Buffer.alloc(4), ...values]);
}

/** `pHYs`: dots a metre, or a bare ratio. */
export function physical(x: number, y: number, unit: 0 | 1 = 1): Buffer {
  const data = Buffer.alloc(9);
  data.writeUInt32BE(x, 0);
  data.writeUInt32BE(y, 4);
  data[8] = unit;
  return pngChunk("pHYs", data);
}

/** ImageMagick's way to keep EXIF in a PNG. */
export function rawProfile(block: Buffer): Buffer {
  const text = `\nexif\n${String(block.length).padStart(8)}\n${block.toString("hex")}\n`;
  return pngChunk(
    "zTXt",
    Buffer.concat([Buffer.from("Raw profile type exif\0\0", "latin1"), deflateSync(text)]),
  );
}

/** A gray TIFF of one 32-bit float per pixel, all of the same value. */
export function floatTiff(width: number, height: number, value: number): Buffer {
  const tags: [number, number][] = [
    [256, width],
    [257, height],
    [258, 32],
    [259, 1],
    [262, 1],
    [273, 0],
    [277, 1],
    [278, height],
    [279, width * height * 4],
    [339, 3],
  ];
  const pixelsAt = 8 + 2 + 12 * tags.length + 4;
  const made = Buffer.alloc(pixelsAt + width * height * 4);
  made.write("II*\0\x08\0\0\0", 0, "latin1");
  made.writeUInt16LE(tags.length, 8);
  for (const [n, [tag, number]] of tags.entries()) {
    const at = 10 + 12 * n;
    made.writeUInt16LE(tag, at);
    made.writeUInt16LE(4, at + 2);
    made.writeUInt32LE(1, at + 4);
    made.writeUInt32LE(tag === 273 ? pixelsAt : number, at + 8);
  }
  for (let at = pixelsAt; at < made.length; at += 4) made.writeFloatLE(value, at);
  return made;
}

/**
 * A gray progressive JPEG of 8 × 8 pixels, mid-gray, in as many scans as requested: each coefficient is sent in a
 * scan of its own, then refined bit by bit (ITU T.81, G.1), which is allowed and changes nothing.
 */
export function scannedJpeg(scans: number): Buffer {
  const segment = (marker: number, ...bytes: number[]) => {
    const head = Buffer.from([0xff, marker, 0, 0]);
    head.writeUInt16BE(bytes.length + 2, 2);
    return Buffer.concat([head, Buffer.from(bytes)]);
  };
  // One code of one bit: no difference, end of block.
  const table = (id: number) => segment(0xc4, id, 1, ...Array<number>(15).fill(0), 0);
  const scan = (from: number, to: number, bits: number) =>
    Buffer.concat([segment(0xda, 1, 1, 0, from, to, bits), Buffer.from([0x7f])]);
  const parts = [scan(0, 0, 0)];
  for (let low = 5; low >= 0; low--)
    for (let at = 1; at < 64; at++) parts.push(scan(at, at, ((low === 5 ? 0 : low + 1) << 4) | low));
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    segment(0xdb, 0, ...Array<number>(64).fill(1)),
    segment(0xc2, 8, 0, 8, 0, 8, 1, 1, 0x11, 0),
    table(0x00),
    table(0x10),
    ...parts.slice(0, scans),
    Buffer.from([0xff, 0xd9]),
  ]);
}

/**
 * A gray TIFF, uncompressed, of `pages` equal pages with one strip per row; `overlap`: every strip is the same bytes,
 * of that length.
 */
export function stripedTiff(options: {
  width: number;
  height: number;
  pages?: number;
  overlap?: number;
}): Buffer {
  const { width, height, pages = 1, overlap } = options;
  const pixels = Buffer.alloc(Math.max(width * height, overlap ?? 0), 200);
  const offsets = Buffer.alloc(4 * height);
  const lengths = Buffer.alloc(4 * height);
  for (let row = 0; row < height; row++) {
    offsets.writeUInt32LE(8 + (overlap === undefined ? row * width : 0), 4 * row);
    lengths.writeUInt32LE(overlap ?? width, 4 * row);
  }
  const tablesAt = 8 + pixels.length;
  const firstAt = tablesAt + offsets.length + lengths.length;
  const tags: [number, number, number][] = [
    [256, 1, width],
    [257, 1, height],
    [258, 1, 8],
    [259, 1, 1],
    [262, 1, 1],
    [273, height, tablesAt],
    [278, 1, 1],
    [279, height, tablesAt + offsets.length],
  ];
  const directoryBytes = 2 + 12 * tags.length + 4;
  const directories = Buffer.alloc(directoryBytes * pages);
  for (let page = 0; page < pages; page++) {
    const at = page * directoryBytes;
    directories.writeUInt16LE(tags.length, at);
    for (const [i, [tag, count, value]] of tags.entries()) {
      const field = at + 2 + 12 * i;
      directories.writeUInt16LE(tag, field);
      directories.writeUInt16LE(4, field + 2);
      directories.writeUInt32LE(count, field + 4);
      directories.writeUInt32LE(value, field + 8);
    }
    const next = page + 1 === pages ? 0 : firstAt + at + directoryBytes;
    directories.writeUInt32LE(next, at + directoryBytes - 4);
  }
  const head = Buffer.from("II*\0\0\0\0\0", "latin1");
  head.writeUInt32LE(firstAt, 4);
  return Buffer.concat([head, pixels, offsets, lengths, directories]);
}
