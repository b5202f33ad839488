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
  /** Another record labels the same document, with as much of its path or more. */
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
 * Matches records to items by the most that their paths share: first those of equal paths, then those where one path is
 * the end of the other, beginning with the most folders. A pair is taken where neither has a second candidate of as many
 * folders. The order of items and records does not matter. Takes linear time in the number of both.
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
  const state: State = { settled: new Set(), unused: new Map(), pairs };
  for (const group of groupsByEnd(items, records)) pairEnd(group, state);
  for (const record of records) {
    if (state.settled.has(record) && !state.unused.has(record)) continue;
    const { index, image } = record;
    pairs.left.push({ kind: "record", index, image, unused: state.unused.get(record) ?? "no_item" });
  }
}

function take(item: Entry, record: Found, settled: Set<Entry>, { taken: all }: Pairs): void {
  settled.add(item).add(record);
  const before = all.get(item.index);
  if (before === undefined) all.set(item.index, [record]);
  else before.push(record);
}

interface State {
  /** Entries that have a partner, or whose partner is ambiguous: they are no candidates for other paths. */
  settled: Set<Entry>;
  unused: Map<Found, Unused>;
  pairs: Pairs;
}

/** Entries that share an end of their paths. */
interface EndGroup {
  depth: number;
  /** Entries that have exactly this path. */
  itemsSo: Entry[];
  recordsSo: Found[];
  /** Entries whose path ends with it. */
  itemsBelow: Entry[];
  recordsBelow: Found[];
}

function pairEnd(group: EndGroup, state: State): void {
  const { settled, unused, pairs } = state;
  const free = <T extends Entry>(entries: readonly T[]) => entries.filter((entry) => !settled.has(entry));
  const [itemsSo, itemsBelow] = [free(group.itemsSo), free(group.itemsBelow)];
  const [recordsSo, recordsBelow] = [free(group.recordsSo), free(group.recordsBelow)];
  const noteTaken = (records: readonly Found[]) => {
    for (const record of records) unused.set(record, "duplicate");
  };
  const pair = (candidates: readonly Entry[], records: readonly Found[]) => {
    const [item, record] = [candidates[0], records[0]];
    if (item === undefined || record === undefined) return;
    if (candidates.length === 1 && records.length === 1) {
      unused.delete(record);
      take(item, record, settled, pairs);
      return;
    }
    for (const each of records) {
      settled.add(each);
      unused.set(each, candidates.length > 1 ? "several_items" : "duplicate");
    }
    for (const each of candidates) {
      settled.add(each);
      pairs.ambiguous.add(each.index);
    }
  };
  // A record whose item is matched to another record labels the same document. A shorter end may still give it an item
  // of its own.
  if (group.itemsSo.length + group.itemsBelow.length > 0) noteTaken(recordsSo);
  if (group.itemsSo.length > 0) noteTaken(recordsBelow);
  if (recordsSo.length === 0) pair(itemsSo, recordsBelow);
  else if (recordsSo.length === 1 && itemsSo.length === 1) pair(itemsSo, recordsSo);
  else pair([...itemsSo, ...itemsBelow], recordsSo);
}

/** Entries by each end of their paths that is the whole path of some entry, the longest ends first. */
function groupsByEnd(items: readonly Entry[], records: readonly Found[]): EndGroup[] {
  const groups = new Map<string, EndGroup>();
  const none = () => ({ itemsSo: [], itemsBelow: [], recordsSo: [], recordsBelow: [] });
  for (const { path } of [...items, ...records])
    if (!groups.has(path)) groups.set(path, { depth: path.split("/").length, ...none() });
  const add = <T extends Entry>(entry: T, listOf: (group: EndGroup, isWhole: boolean) => T[]) => {
    for (const end of endsOf(entry.path)) {
      const group = groups.get(end);
      if (group !== undefined) listOf(group, end === entry.path).push(entry);
    }
  };
  for (const item of items) add(item, (group, isWhole) => (isWhole ? group.itemsSo : group.itemsBelow));
  for (const record of records)
    add(record, (group, isWhole) => (isWhole ? group.recordsSo : group.recordsBelow));
  return [...groups.values()].sort((a, b) => b.depth - a.depth);
}

/** The ends of `a/b/c`: itself, `b/c` and `c`. */
function endsOf(path: string): string[] {
  const ends = [path];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) ends.push(path.slice(at + 1));
  return ends.length > mostFolders ? [path, ...ends.slice(-mostFolders)] : ends;
}
