/** Builders for HEIF files that no encoder writes: tables without pixels, for checks before decoding. */

const u16 = (value: number) => Buffer.from([value >> 8, value & 255]);
export const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export function box(type: string, ...parts: (Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)),
  );
  return Buffer.concat([u32(8 + body.length), Buffer.from(type, "latin1"), body]);
}

/** A box with version and flags. */
const full = (type: string, version: number, ...parts: Uint8Array[]) =>
  box(type, u32(version * 2 ** 24), ...parts);

export interface ItemParts {
  type: string;
  /** The pixels that its `ispe` states. */
  size: [width: number, height: number];
  /** Further properties, whole boxes. */
  properties?: Buffer[];
  /** Numbers, from 1, of the items that it consists of. */
  of?: number[];
  /** Its own bytes, such as the rows and columns of a grid. */
  data?: Buffer;
}

export const brands = (major: string, ...compatible: string[]) =>
  box("ftyp", major, u32(0), compatible.join(""));

/** Rows and columns of a grid (ISO/IEC 23008-12, 6.6.2.3.2). */
export const gridData = (rows: number, columns: number, [width, height]: [number, number]) =>
  Buffer.concat([Buffer.from([0, 1, rows - 1, columns - 1]), u32(width), u32(height)]);

/** A file of these items, numbered from 1; the first is the primary one. */
export function heif(items: readonly ItemParts[], more: { meta?: Buffer[]; after?: Buffer[] } = {}): Buffer {
  const infos = items.map(({ type }, i) => full("infe", 2, u16(i + 1), u16(0), Buffer.from(`${type}\0`)));
  const properties = items.map(({ size: [width, height], properties: others = [] }) => [
    full("ispe", 0, u32(width), u32(height)),
    ...others,
  ]);
  let next = 1;
  const links = properties.map((own, i) =>
    Buffer.concat([u16(i + 1), Buffer.from([own.length]), ...own.map(() => u16(next++))]),
  );
  const data = items.map((item) => item.data ?? Buffer.alloc(1));
  let at = 0;
  const places = data.map((bytes, i) => {
    // In the box idat: method 1, one extent.
    const place = Buffer.concat([u16(i + 1), u16(1), u16(0), u16(1), u32(at), u32(bytes.length)]);
    at += bytes.length;
    return place;
  });
  const made = items.flatMap(({ of }, i) =>
    of === undefined ? [] : [box("dimg", u16(i + 1), u16(of.length), ...of.map(u16))],
  );
  const meta = full(
    "meta",
    0,
    full("hdlr", 0, u32(0), Buffer.from("pict"), Buffer.alloc(13)),
    full("pitm", 0, u16(1)),
    full("iinf", 0, u16(items.length), ...infos),
    box(
      "iprp",
      box("ipco", ...properties.flat()),
      // Flag 1: the numbers of properties have two bytes.
      box("ipma", u32(1), u32(items.length), ...links),
    ),
    full("iref", 0, ...made),
    full("iloc", 1, Buffer.from([0x44, 0]), u16(items.length), ...places),
    box("idat", ...data),
    ...(more.meta ?? []),
  );
  return Buffer.concat([brands("heic", "mif1", "heic"), meta, ...(more.after ?? [])]);
}
