import * as Pairs from "./pairs.ts";
import * as Picture from "./picture.ts";
import * as Record from "./record.ts";
import { Spill } from "./spill.ts";

/** What labels are looked for: an item of a run, by its name. */
export interface Item {
  index: number;
  /** `file` of the item, else its `custom_id`; null where it has neither. */
  name: string | null;
}

/** Why a record is not used: it names no picture, or as `Pairs.Unused` says. */
type Unused = "unnamed" | Pairs.Unused;

export type Matched<I extends Item> =
  /** Every item once, in the order of their indexes. */
  | {
      kind: "item";
      item: I;
      /** The labels of its documents, from 1 on, in their order; several where the picture shows several papers. */
      documents: { document: number; record: Record.GroundTruth }[];
      /** Where there are none: no record names it, or records do, and which one is meant cannot be told. */
      without?: "no_record" | "ambiguous";
    }
  /** Every record that no item takes, once. */
  | { kind: "record"; index: number; image: string | null; unused: Unused };

/**
 * Brings together what was read and what is labelled, by the last part of their names; where several share it, by as
 * much of their folders as both have. Nothing is passed over: every item and every record comes out once. What cannot be
 * told apart is not guessed.
 *
 * Holds the items and a few words about each record that has an item; the labels wait in a temporary file, which goes when
 * the iteration ends or is left.
 * @param items - in any order; @param records - of one ground truth.
 */
export async function* match<I extends Item>(
  items: AsyncIterable<I> | Iterable<I>,
  records: AsyncIterable<Record.GroundTruth> | Iterable<Record.GroundTruth>,
): AsyncGenerator<Matched<I>> {
  const all: I[] = [];
  const groups = new Map<string, Pairs.Group>();
  for await (const item of items) {
    all.push(item);
    if (item.name === null) continue;
    const { base, path } = Picture.nameOf(item.name);
    const group = groups.get(base);
    if (group === undefined) groups.set(base, { items: [{ index: item.index, path }], records: [] });
    else group.items.push({ index: item.index, path });
  }
  const spill = await Spill.open();
  try {
    for await (const record of records) {
      const { index, image } = record;
      const target = image === undefined ? undefined : targetOf(image, groups);
      if (image === undefined || target === undefined) {
        const unused = image === undefined ? "unnamed" : "no_item";
        yield { kind: "record", index, image: image ?? null, unused };
        continue;
      }
      const place = await spill.add(JSON.stringify(Record.writtenMembers(record.labels)));
      target.group.records.push({ index, image, path: target.path, document: target.document, place });
    }
    const { taken, ambiguous, left } = Pairs.of([...groups.values()]);
    yield* left;
    for (const item of all.sort((a, b) => a.index - b.index)) {
      const found = taken.get(item.index) ?? [];
      const documents = [];
      for (const each of found.sort((a, b) => a.document - b.document))
        documents.push({ document: each.document, record: await restored(each, spill) });
      const without = ambiguous.has(item.index) ? "ambiguous" : "no_record";
      yield { kind: "item", item, documents, ...(documents.length === 0 ? { without } : {}) };
    }
  } finally {
    await spill.close();
  }
}

/** What a record's name means here: a file may well be called `a#2.jpg`, or even end so. */
function targetOf(
  image: string,
  groups: ReadonlyMap<string, Pairs.Group>,
): { group: Pairs.Group; path: string; document: number } | undefined {
  const whole = Picture.nameOf(image);
  const as = groups.get(whole.base);
  if (as !== undefined) return { group: as, path: whole.path, document: 1 };
  const part = Picture.documentOf(whole);
  const group = part && groups.get(part.name.base);
  return group && part && { group, path: part.name.path, document: part.document };
}

/** The record as it was before it was put aside: what was written is what is read. */
async function restored({ index, image, place }: Pairs.Found, spill: Spill): Promise<Record.GroundTruth> {
  const { record } = Record.parse({ fields: JSON.parse(await spill.read(place)) }, { index });
  if (record === undefined) throw new Error("a record that was put aside could not be read again");
  return { ...record, image };
}
