import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import * as Match from "#core/ground-truth/match";
import type { GroundTruth } from "#core/ground-truth/record";
import * as Lines from "#core/lines";
import type { Log } from "#core/log";
import * as Files from "#core/run/results/files";
import type { RunRow } from "#core/run/run.sql";
import type { Item } from "#core/run/schema";
import type * as Slices from "../slices.ts";

type Place = Pick<RunRow, "keyId" | "runId" | "createdAt">;

/** The items of a run that has ended, from its results file, in the order of their indexes. */
export async function* items(bucket: Bucket.Bucket, log: Log, run: Place): AsyncGenerator<Item> {
  const object = await Bucket.read(bucket, log, Files.places(run).jsonl);
  if (object === undefined)
    throw new AppError("conflict", "the run has no results to measure", {
      details: { reason: "no_results" },
    });
  for await (const line of Lines.of(object.body)) yield JSON.parse(line.toString("utf8")) as Item;
}

/**
 * The values by which an item is assigned to slices. Results of an older version may lack tags, or facts about the
 * picture.
 */
export function aboutOf(item: Item): Slices.About {
  const { file, custom_id, tags, quality }: Omit<Item, "tags"> & Pick<Slices.About, "tags"> = item;
  return { file: file ?? custom_id, tags, quality };
}

/** What the first pass keeps of each item: names for the matching, times for the cost. */
export interface Light extends Match.Item {
  status: Item["status"];
  totalMs: number | null;
}

export async function lights(source: AsyncIterable<Item>): Promise<Light[]> {
  const found: Light[] = [];
  for await (const { index, file, custom_id, status, timings_ms } of source)
    found.push({ index, name: file ?? custom_id, status, totalMs: timings_ms.total });
  return found;
}

/** An item with the labels of its documents, or a record that no item uses. */
type Joined =
  | {
      kind: "item";
      item: Item;
      documents: { document: number; record: GroundTruth }[];
      without?: "no_record" | "ambiguous";
    }
  | Extract<Match.Matched<Light>, { kind: "record" }>;

/**
 * Joins the items of a run with the records of its labels: first the records without an item, then every item in the
 * order of the indexes. The results are read a second time in parallel, so that memory holds names only.
 */
export async function* join(
  all: readonly Light[],
  records: AsyncIterable<GroundTruth>,
  again: AsyncIterator<Item>,
): AsyncGenerator<Joined> {
  try {
    for await (const matched of Match.match(all, records)) {
      if (matched.kind === "record") {
        yield matched;
        continue;
      }
      const { value, done } = await again.next();
      if (done || value.index !== matched.item.index)
        throw new AppError("internal", "the run's results are not in the order of its items");
      yield { ...matched, item: value };
    }
  } finally {
    await again.return?.();
  }
}
