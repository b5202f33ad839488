import type { Place } from "./spill.ts";

/** An item or a record in a group that shares the last part of the name. */
interface Entry {
  index: number;
  path: string;
}

/** A record with the number of its document and the place of its labels in the temporary file. */
export interface Found extends Entry {
  image: string;
  document: number;
  place: Place;
}

export interface Group {
  items: Entry[];
  records: Found[];
}

/** Why a record that names a picture is not used. */
export type Unused =
  /** No item of the run has such a name. */
  | "no_item"
  /** Another record labels the same document. */
  | "duplicate"
  /** Several items have its name in different folders, and the record does not give enough folders to choose. */
  | "several_items";

interface Pairs {
  /** The records of an item, by the item's index. */
  taken: Map<number, Found[]>;
  /** Items that records name without identifying a single item. */
  ambiguous: Set<number>;
  left: { kind: "record"; index: number; image: string; unused: Unused }[];
}

/** Folders beyond this depth are ignored when paths of different lengths are compared. */
const mostFolders = 32;

/**
 * Matches records to items: first those with equal paths, then those where one path is the end of the other, if each is
 * the only candidate for the other. The order of items and records does not matter. Takes linear time in the number of
 * both.
 */
export function of(groups: readonly Group[]): Pairs {
  const pairs: Pairs = { taken: new Map(), ambiguous: new Set(), left: [] };
  for (const { items, records } of groups) {
    const byDocument = Map.groupBy(records, ({ document }) => document);
    for (const labels of byDocument.values()) pairDocument(items, labels, pairs);
  }
  return pairs;
}

function pairDocument(items: readonly Entry[], records: readonly Found[], pairs: Pairs): void {
  // Folders decide only where several share the name: labels are often kept beside another copy of the pictures.
  const [item, secondItem] = items;
  const [record, secondRecord] = records;
  if (item !== undefined && record !== undefined && secondItem === undefined && secondRecord === undefined) {
    take(item, record, new Set(), pairs);
    return;
  }
  const same = Map.groupBy(items, ({ path }) => path);
  const samePath = Map.groupBy(records, ({ path }) => path);
  const taken = new Set<number>();
  const left: Found[] = [];
  for (const record of records) {
    const [item, ...more] = same.get(record.path) ?? [];
    if (item === undefined || more.length > 0 || samePath.get(record.path)?.length !== 1) left.push(record);
    else take(item, record, taken, pairs);
  }
  if (left.length > 0)
    pairByEnds(
      items.filter(({ index }) => !taken.has(index)),
      left,
      pairs,
    );
}

function take(item: Entry, record: Found, taken: Set<number>, { taken: all }: Pairs): void {
  taken.add(item.index);
  const before = all.get(item.index);
  if (before === undefined) all.set(item.index, [record]);
  else before.push(record);
}

function pairByEnds(items: readonly Entry[], records: readonly Found[], pairs: Pairs): void {
  const itemsOf = finder(items);
  const recordsOf = finder(records);
  const taken = new Set<number>();
  const left: Found[] = [];
  for (const record of records) {
    const [item, second] = itemsOf(record.path, 2);
    if (item !== undefined && second === undefined && recordsOf(item.path, 2).length === 1)
      take(item, record, taken, pairs);
    else left.push(record);
  }
  const said = new Map<string, Entry[]>();
  for (const { index, image, path } of left) {
    const meant = said.get(path) ?? itemsOf(path).filter((item) => !taken.has(item.index));
    if (!said.has(path)) for (const item of meant) pairs.ambiguous.add(item.index);
    said.set(path, meant);
    const unused =
      meant.length > 1
        ? "several_items"
        : meant.length === 1 || recordsOf(path, 2).length > 1
          ? "duplicate"
          : "no_item";
    pairs.left.push({ kind: "record", index, image, unused });
  }
}

/** Finds up to `most` entries whose path is the end of a given path, or the reverse. */
function finder<T extends Entry>(entries: readonly T[]): (path: string, most?: number) => T[] {
  const byEnd = new Map<string, T[]>();
  const byPath = new Map<string, T[]>();
  const add = (map: Map<string, T[]>, at: string, entry: T) => {
    const there = map.get(at);
    if (there === undefined) map.set(at, [entry]);
    else there.push(entry);
  };
  for (const entry of entries) {
    add(byPath, entry.path, entry);
    for (const end of endsOf(entry.path)) add(byEnd, end, entry);
  }
  return (path, most = Number.POSITIVE_INFINITY) => {
    const shorter = endsOf(path)
      .slice(1)
      .flatMap((end) => byPath.get(end)?.slice(0, most) ?? []);
    return [...(byEnd.get(path)?.slice(0, most) ?? []), ...shorter].slice(0, most);
  };
}

/** The ends of `a/b/c`: itself, `b/c` and `c`. */
function endsOf(path: string): string[] {
  const ends = [path];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) ends.push(path.slice(at + 1));
  return ends.length > mostFolders ? [path, ...ends.slice(-mostFolders)] : ends;
}
