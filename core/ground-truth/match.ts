import * as Pairs from "./pairs.ts";
import * as Picture from "./picture.ts";
import * as Record from "./record.ts";
import { Spill } from "./spill.ts";

/** An item of a run that labels are matched to, by its name. */
export interface Item {
  index: number;
  /** The item's `file`, else its `custom_id`; null without both. */
  name: string | null;
}

/** Why a record is not used: it names no picture, or a reason of `Pairs.Unused`. */
type Unused = "unnamed" | Pairs.Unused;

export type Matched<I extends Item> =
  /** Each item once, in the order of the indexes. */
  | {
      kind: "item";
      item: I;
      /** The labels of its documents in order, numbered from 1; several if the picture shows several papers. */
      documents: { document: number; record: Record.GroundTruth }[];
      /** Why there are none: no record names the item, or the matching record cannot be determined. */
      without?: "no_record" | "ambiguous";
    }
  /** Each record that no item uses, once. */
  | { kind: "record"; index: number; image: string | null; unused: Unused };

/**
 * Matches items and labels by the last part of their names; if several share it, by as many folders as both names have,
 * the most folders first. Every item and every record is returned exactly once. Ambiguous matches are not guessed.
 *
 * Memory holds the items and a few words about each matched record. The labels are in a temporary file, which is
 * removed when the iteration ends or is abandoned.
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

/** The target of a record's name: a file's own name may contain or end in `#2`, as in `a#2.jpg`. */
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

/** Reads a record back from the temporary file. */
async function restored({ index, image, place }: Pairs.Found, spill: Spill): Promise<Record.GroundTruth> {
  const { record } = Record.parse({ fields: JSON.parse(await spill.read(place)) }, { index });
  if (record === undefined) throw new Error("a record that was put aside could not be read again");
  return { ...record, image };
}
