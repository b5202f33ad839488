/*
 * The directories of a TIFF or BigTIFF, by its tables alone: each directory is a page, a smaller copy of one, or a mask
 * (TIFF 6.0, section 2). Reading outside of the file throws a RangeError, as DataView does; callers decide what a broken
 * table means.
 */

export interface Tiff {
  view: DataView;
  little: boolean;
  /** BigTIFF: offsets of 8 bytes. */
  big: boolean;
}

/** One field of a directory. */
export interface Field {
  tag: number;
  /** TIFF's number of a type: 3 is 16 bits, 4 is 32, 5 a rational, 16 is 64. */
  type: number;
  count: number;
  /** Position of the field, of its value if that fits, and the value's size at most. */
  at: number;
  value: number;
  valueBytes: number;
}

export function open(bytes: Uint8Array): Tiff {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = view.getUint16(0) === 0x4949;
  return { view, little, big: view.getUint16(2, little) === 43 };
}

/** A whole number at this position, as large as the file's offsets. */
export const offsetAt = ({ view, little, big }: Tiff, at: number): number =>
  big ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little);

/** Positions of the directories, in the file's order; a chain that comes back to itself ends there. */
export function* directories(tiff: Tiff): Generator<number, void> {
  const seen = new Set<number>();
  for (let at = offsetAt(tiff, tiff.big ? 8 : 4); at !== 0 && !seen.has(at); at = nextOf(tiff, at)) {
    seen.add(at);
    yield at;
  }
}

/** The fields of the directory at this position. */
export function* fields(tiff: Tiff, directory: number): Generator<Field, void> {
  const { view, little, big } = tiff;
  const [countBytes, fieldBytes] = widths(tiff);
  const count = countAt(tiff, directory);
  for (let i = 0; i < count; i += 1) {
    const at = directory + countBytes + fieldBytes * i;
    yield {
      tag: view.getUint16(at, little),
      type: view.getUint16(at + 2, little),
      count: offsetAt(tiff, at + 4),
      at,
      value: at + (big ? 12 : 8),
      valueBytes: big ? 8 : 4,
    };
  }
}

const widths = ({ big }: Tiff): [countBytes: number, fieldBytes: number] => (big ? [8, 20] : [2, 12]);

const countAt = ({ view, little, big }: Tiff, directory: number): number =>
  big ? Number(view.getBigUint64(directory, little)) : view.getUint16(directory, little);

function nextOf(tiff: Tiff, directory: number): number {
  const [countBytes, fieldBytes] = widths(tiff);
  return offsetAt(tiff, directory + countBytes + fieldBytes * countAt(tiff, directory));
}
