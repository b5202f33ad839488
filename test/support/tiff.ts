/**
 * Joins TIFFs of one page (little-endian, as sharp writes them) to one of several: the pages' offsets are moved by where
 * each file begins, and their directories are chained.
 */
export function tiffOf(pages: readonly Buffer[]): Buffer {
  const starts: number[] = [];
  let length = 0;
  const parts = pages.map((page) => {
    starts.push(length);
    const padded = Buffer.alloc(page.length + (page.length % 2));
    page.copy(padded);
    length += padded.length;
    return padded;
  });
  const bytes = Buffer.concat(parts);
  // Where the chain's next offset is written.
  let link = 4;
  for (const start of starts) {
    const directory = start + (parts[starts.indexOf(start)] as Buffer).readUInt32LE(4);
    bytes.writeUInt32LE(directory, link);
    const count = bytes.readUInt16LE(directory);
    for (let i = 0; i < count; i += 1) move(bytes, directory + 2 + 12 * i, start);
    link = directory + 2 + 12 * count;
    bytes.writeUInt32LE(0, link);
  }
  return bytes;
}

/** Bytes of a value, by TIFF's number of its type. */
const sizes: Readonly<Record<number, number>> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 10: 8, 12: 8 };
/** StripOffsets and TileOffsets: values that are offsets themselves. */
const offsets = [273, 324];

function move(bytes: Buffer, field: number, by: number): void {
  const [tag, type, count] = [
    bytes.readUInt16LE(field),
    bytes.readUInt16LE(field + 2),
    bytes.readUInt32LE(field + 4),
  ];
  const size = sizes[type];
  if (size === undefined) throw new Error(`no size for type ${type}`);
  let values = field + 8;
  if (size * count > 4) {
    values = bytes.readUInt32LE(field + 8) + by;
    bytes.writeUInt32LE(values, field + 8);
  }
  if (!offsets.includes(tag)) return;
  for (let i = 0; i < count; i += 1) {
    const at = values + size * i;
    if (size === 4) bytes.writeUInt32LE(bytes.readUInt32LE(at) + by, at);
    else bytes.writeUInt16LE(bytes.readUInt16LE(at) + by, at);
  }
}
