import type { HeifGuards } from "#spec/guards";
import { boxes, Fields, refused, tooMany } from "./boxes.ts";

/*
 * The items of a HEIF file (ISO/IEC 14496-12, 8.11, and ISO/IEC 23008-12): coded pictures, grids made of them, previews
 * and metadata, with their properties and with the references between them.
 */

interface Property {
  type: string;
  data: Uint8Array;
}

export interface Item {
  id: number;
  /** "hvc1", "av01", "grid", "Exif". */
  type: string;
  /** Not to be shown by itself, such as a tile. */
  hidden: boolean;
  /** In the order in which they are applied. */
  properties: Property[];
  /** Its parts, all bytes of the file. */
  extents: Uint8Array[];
}

interface Reference {
  /** "dimg": `from` is made of `to`; "thmb", "auxl": `from` is a preview or a plane of `to`. */
  type: string;
  from: number;
  to: number[];
}

export interface Items {
  primary: number;
  byId: ReadonlyMap<number, Item>;
  references: readonly Reference[];
  /** Groups of items of which one is shown: "altr", "ster". */
  groups: readonly { type: string; ids: number[] }[];
}

/**
 * Reads the box `meta` of a file. @throws AppError `no_still_picture`, `too_many_parts`, `damaged`; RangeError for tables
 * that lead out of their box.
 */
export function read(file: Uint8Array, bounds: HeifGuards): Items {
  const meta = [...boxes(file)].find(({ type }) => type === "meta");
  if (meta === undefined)
    throw refused(
      "no_still_picture",
      "the file is a sequence of pictures without a still one: send single pictures",
    );
  const parts = new Map([...boxes(meta.data.subarray(4))].map(({ type, data }) => [type, data]));
  const pitm = new Fields(needed(parts, "pitm"));
  const primary = pitm.uint(pitm.full().version === 0 ? 2 : 4);
  const byId = entries(needed(parts, "iinf"), bounds);
  properties(needed(parts, "iprp"), byId);
  const iloc = parts.get("iloc");
  if (iloc !== undefined) locations(iloc, byId, { file, idat: parts.get("idat") ?? new Uint8Array() });
  const [iref, grpl] = [parts.get("iref"), parts.get("grpl")];
  return {
    primary,
    byId,
    references: iref === undefined ? [] : references(iref),
    groups: grpl === undefined ? [] : groups(grpl),
  };
}

function needed(parts: ReadonlyMap<string, Uint8Array>, type: string): Uint8Array {
  const data = parts.get(type);
  if (data === undefined) throw new RangeError(`no ${type}`);
  return data;
}

function entries(iinf: Uint8Array, bounds: HeifGuards): Map<number, Item> {
  const table = new Fields(iinf);
  const count = table.uint(table.full().version === 0 ? 2 : 4);
  if (count > bounds.items) throw tooMany("parts", bounds.items);
  const byId = new Map<number, Item>();
  for (const { type, data } of boxes(table.rest())) {
    if (type !== "infe") continue;
    const fields = new Fields(data);
    const { version, flags } = fields.full();
    // Older entries have no type; no picture has one.
    if (version < 2) continue;
    const id = fields.uint(version === 2 ? 2 : 4);
    // The number of a protection scheme.
    fields.uint(2);
    byId.set(id, { id, type: fields.name(), hidden: (flags & 1) === 1, properties: [], extents: [] });
    if (byId.size > bounds.items) throw tooMany("parts", bounds.items);
  }
  return byId;
}

function properties(iprp: Uint8Array, byId: ReadonlyMap<number, Item>): void {
  const all: Property[] = [];
  const parts = [...boxes(iprp)];
  for (const { type, data } of parts) if (type === "ipco") all.push(...boxes(data));
  for (const { type, data } of parts) {
    if (type !== "ipma") continue;
    const fields = new Fields(data);
    const { version, flags } = fields.full();
    const count = fields.uint(4);
    for (let i = 0; i < count; i += 1) {
      const item = byId.get(fields.uint(version === 0 ? 2 : 4));
      const links = fields.uint(1);
      for (let j = 0; j < links; j += 1) {
        // The highest bit says that a reader must know the property.
        const index = flags & 1 ? fields.uint(2) & 0x7fff : fields.uint(1) & 0x7f;
        const property = all[index - 1];
        if (property !== undefined) item?.properties.push(property);
      }
    }
  }
}

function locations(
  iloc: Uint8Array,
  byId: ReadonlyMap<number, Item>,
  source: { file: Uint8Array; idat: Uint8Array },
): void {
  const fields = new Fields(iloc);
  const { version } = fields.full();
  const sizes = fields.uint(2);
  const [offsetBytes, lengthBytes, baseBytes] = [sizes >> 12, (sizes >> 8) & 15, (sizes >> 4) & 15];
  const indexBytes = version === 0 ? 0 : sizes & 15;
  const count = fields.uint(version < 2 ? 2 : 4);
  for (let i = 0; i < count; i += 1) {
    const item = byId.get(fields.uint(version < 2 ? 2 : 4));
    const method = version === 0 ? 0 : fields.uint(2) & 15;
    // Which file the item is in: always this one.
    fields.uint(2);
    const base = fields.uint(baseBytes);
    const extents = fields.uint(2);
    for (let j = 0; j < extents; j += 1) {
      fields.uint(indexBytes);
      const start = base + fields.uint(offsetBytes);
      const length = fields.uint(lengthBytes);
      const bytes = method === 1 ? source.idat : source.file;
      const end = length === 0 ? bytes.byteLength : start + length;
      if (end > bytes.byteLength) throw refused("damaged", "the picture is damaged or cut off");
      if (method <= 1) item?.extents.push(bytes.subarray(start, end));
    }
  }
}

function references(iref: Uint8Array): Reference[] {
  const table = new Fields(iref);
  const idBytes = table.full().version === 0 ? 2 : 4;
  return [...boxes(table.rest())].map(({ type, data }) => {
    const fields = new Fields(data);
    const from = fields.uint(idBytes);
    const to = Array.from({ length: fields.uint(2) }, () => fields.uint(idBytes));
    return { type, from, to };
  });
}

function groups(grpl: Uint8Array): Items["groups"] {
  return [...boxes(grpl)].map(({ type, data }) => {
    const fields = new Fields(data);
    fields.full();
    fields.uint(4);
    const ids: number[] = [];
    for (let left = fields.uint(4); left > 0; left -= 1) ids.push(fields.uint(4));
    return { type, ids };
  });
}
