/*
 * Decoded pixels as an uncompressed TIFF in memory: libvips reads it with its ICC profile, like a file, while it takes
 * no profile for bare samples.
 */

/** Samples of 8 bits, three or four of each pixel. */
export interface Samples {
  width: number;
  height: number;
  channels: 3 | 4;
  /** The samples are multiplied by the fourth, which is their opacity. */
  premultiplied: boolean;
  /** Bytes from a row to the next. */
  stride: number;
  data: Uint8Array;
}

const stripRows = 64;
const short = 3;
const long = 4;
const undefinedBytes = 7;

/** An RGB TIFF of one strip per 64 rows; transparent samples are laid on white. */
export function pack(samples: Samples, icc: Uint8Array | undefined): Buffer {
  const { width, height } = samples;
  const rowBytes = 3 * width;
  const strips = Math.ceil(height / stripRows);
  const stripBytes = (i: number) => rowBytes * Math.min(stripRows, height - i * stripRows);
  const counts = Array.from({ length: strips }, (_, i) => stripBytes(i));
  const tags = (pixelsAt: number): [tag: number, type: number, values: readonly number[] | Uint8Array][] => [
    [256, long, [width]],
    [257, long, [height]],
    [258, short, [8, 8, 8]],
    [259, short, [1]],
    [262, short, [2]],
    [273, long, counts.map((_, i) => pixelsAt + i * rowBytes * stripRows)],
    [277, short, [3]],
    [278, long, [stripRows]],
    [279, long, counts],
    ...(icc === undefined ? [] : [[34675, undefinedBytes, icc] as [number, number, Uint8Array]]),
  ];
  // Places do not change the length.
  const pixelsAt = head(tags(0)).length;
  const bytes = Buffer.allocUnsafeSlow(pixelsAt + rowBytes * height);
  bytes.set(head(tags(pixelsAt)));
  fill(bytes.subarray(pixelsAt), samples);
  return bytes;
}

function head(tags: readonly [number, number, readonly number[] | Uint8Array][]): Buffer {
  const directory = Buffer.alloc(8 + 2 + 12 * tags.length + 4);
  directory.write("II*\0\x08\0\0\0", 0, "latin1");
  directory.writeUInt16LE(tags.length, 8);
  const far: Buffer[] = [];
  let end = directory.length;
  for (const [i, [tag, type, values]] of tags.entries()) {
    const at = 10 + 12 * i;
    const value = packed(type, values);
    directory.writeUInt16LE(tag, at);
    directory.writeUInt16LE(type, at + 2);
    directory.writeUInt32LE(values.length, at + 4);
    if (value.length <= 4) directory.set(value, at + 8);
    else {
      directory.writeUInt32LE(end, at + 8);
      // Offsets are even (TIFF 6.0, section 2).
      const even = value.length % 2 === 0 ? value : Buffer.concat([value, Buffer.alloc(1)]);
      far.push(even);
      end += even.length;
    }
  }
  return Buffer.concat([directory, ...far]);
}

function packed(type: number, values: readonly number[] | Uint8Array): Buffer {
  if (type === undefinedBytes) return Buffer.from(values);
  const size = type === short ? 2 : 4;
  const made = Buffer.alloc(size * values.length);
  for (const [i, value] of values.entries()) made.writeUIntLE(value, size * i, size);
  return made;
}

function fill(target: Uint8Array, { width, height, channels, premultiplied, stride, data }: Samples): void {
  for (let y = 0; y < height; y += 1) {
    const row = data.subarray(y * stride, y * stride + width * channels);
    const to = target.subarray(y * width * 3, (y + 1) * width * 3);
    if (channels === 3) {
      to.set(row);
      continue;
    }
    for (let from = 0, at = 0; from < row.length; from += 4, at += 3) {
      const alpha = row[from + 3] as number;
      const white = 255 - alpha;
      const share = premultiplied ? 1 : alpha / 255;
      // Uint8Array cuts fractions off.
      for (let i = 0; i < 3; i += 1)
        to[at + i] = Math.min(255, (row[from + i] as number) * share + white + 0.5);
    }
  }
}
