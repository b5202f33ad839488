/** The receipts that every model reads: pictures of a folder that a file of labels names. */
import * as fs from "node:fs";
import { basename, resolve } from "node:path";
import type { Entry } from "#cli/batch/entry";
import * as Folder from "#cli/batch/folder";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import * as Layout from "#core/evaluation/compare/layout";
import * as Statistics from "#core/evaluation/statistics/statistics";
import * as Match from "#core/ground-truth/match";
import * as Read from "#core/ground-truth/read";
import type * as Record from "#core/ground-truth/record";
import type * as Task from "#core/task/task";

interface Wish {
  readonly dir: string;
  readonly labels: string;
  readonly imageKey: string;
  readonly limit: number | undefined;
  /** True if the models are compared; then there must be enough receipts. */
  readonly isCompared: boolean;
}

export interface Receipts {
  /** Those with labels, in natural order. */
  readonly entries: readonly Entry[];
  /** The file of labels. */
  readonly file: string;
  /** Labeled papers on the pictures. */
  readonly documents: number;
}

/**
 * Reads the folder and the labels, and says what is left out of either. Throws UsageError if nothing can be measured, and if
 * no number of mistakes could give a verdict; AppError for mistakes in the labels.
 */
export async function collect(context: Context, task: Task.Task, wish: Wish): Promise<Receipts> {
  const file = resolve(context.cwd, wish.labels);
  if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile())
    throw new UsageError(`--gt: ${Text.shown(wish.labels)} is not a file`);
  const dir = resolve(context.cwd, wish.dir);
  if (!fs.statSync(dir, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`${Text.shown(wish.dir)} is not a folder of pictures`);
  const { entries } = Folder.collect(dir, { label: wish.dir, say: context.say });
  const found = await matched(entries, recordsOf(file, wish.imageKey), wish.limit);
  tell(context, found, wish);
  const paths = new Set(Layout.of(task.fields).fields.map(({ path }) => path));
  const fields = [...found.paths].filter((path) => paths.has(path));
  if (found.entries.length === 0) throw new UsageError(noneOf(found, entries, wish));
  if (fields.length === 0)
    throw new UsageError(`the labels have no field that ${task.id} reads: --task takes another task`);
  const least = Statistics.leastDiscordant(fields.length);
  if (wish.isCompared && found.documents < least)
    throw new UsageError(
      `${Text.counted(found.documents, "labeled receipt")} cannot tell two models apart: among ${Text.counted(fields.length, "field")} at least ${least} must change sides (docs/evaluation.md). Add labels, or take --no-verdict for the figures alone`,
    );
  return { entries: found.entries, file, documents: found.documents };
}

interface Found {
  entries: Entry[];
  documents: number;
  /** Labeled fields that are scored. */
  paths: Set<string>;
  /** Pictures without labels, and records without a picture. */
  unlabeled: string[];
  unused: string[];
}

async function* recordsOf(file: string, imageKey: string): AsyncGenerator<Record.GroundTruth> {
  for await (const { record } of Read.records(fs.createReadStream(file), { imageKey })) yield record;
}

async function matched(
  entries: readonly Entry[],
  records: AsyncIterable<Record.GroundTruth>,
  limit = Number.POSITIVE_INFINITY,
): Promise<Found> {
  const found: Found = { entries: [], documents: 0, paths: new Set(), unlabeled: [], unused: [] };
  const items = entries.map((entry, index) => ({ index, name: entry.line.file ?? null, entry }));
  for await (const each of Match.match(items, records)) {
    if (each.kind === "record") found.unused.push(each.image ?? `record ${each.index + 1}`);
    else if (each.documents.length === 0) found.unlabeled.push(each.item.name ?? "");
    else if (found.entries.length < limit) {
      found.entries.push(each.item.entry);
      found.documents += each.documents.length;
      for (const { record } of each.documents) addPaths(found.paths, record.labels);
    }
  }
  return found;
}

/** Adds the paths of all labeled values, as fields have them: `total`, `totals.total`, `items[].price`. */
function addPaths(into: Set<string>, labels: ReadonlyMap<string, Record.Label>, before = ""): void {
  for (const [name, label] of labels) addLabel(into, `${before}${name}`, label);
}

function addLabel(into: Set<string>, path: string, label: Record.Label): void {
  if (label.kind === "group") addPaths(into, label.members, `${path}.`);
  else if (label.kind === "rows") for (const row of label.rows) addLabel(into, `${path}[]`, row);
  else if (label.kind !== "unreadable") into.add(path);
}

function tell({ say }: Context, { unlabeled, unused }: Found, { dir, labels }: Wish): void {
  if (unlabeled.length > 0)
    say(`${Text.counted(unlabeled.length, "picture")} without labels, not read: ${some(unlabeled)}`);
  if (unused.length > 0)
    say(
      `${Text.counted(unused.length, "record")} of ${basename(labels)} without a picture in ${dir}: ${some(unused)}`,
    );
}

const some = (names: readonly string[]): string => Text.several(names, 5);

function noneOf({ unused }: Found, entries: readonly Entry[], { dir, labels, imageKey }: Wish): string {
  const [record, picture] = [unused[0] ?? "no record", entries[0]?.line.file ?? "no picture"];
  return `no record of ${labels} names a picture of ${dir}: the labels begin with ${Text.shown(record)}, the folder with ${Text.shown(picture)}. --image-key says which member names the picture (now ${imageKey})`;
}
