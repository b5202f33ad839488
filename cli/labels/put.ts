/** Sends a file of labels to the server, and shows the changes since the previous version. */
import * as fs from "node:fs";
import { basename } from "node:path";
import * as z from "zod";
import * as Upload from "#cli/batch/upload";
import type { Target } from "#cli/server/answer";
import * as Client from "#cli/server/client";
import { failureOf } from "#cli/server/refusal";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { AppError } from "#core/error";
import * as Changes from "#core/ground-truth/changes";
import * as Read from "#core/ground-truth/read";
import * as Wrong from "#core/ground-truth/wrong";
import { groundTruths } from "#spec/limits";
import * as Known from "./known.ts";

const Version = z.looseObject({ gt_id: z.string(), created_at: z.string() });
export const Created = Known.GroundTruth.extend({
  previous: Version.nullable(),
  unnamed: z.int(),
  duplicates: z.array(z.string()),
  duplicate_count: z.int(),
});
export type Created = z.output<typeof Created>;

interface Kept {
  ground_truth: Created;
  /** False: the newest version of this name already has these labels. */
  is_new: boolean;
  /** The changes since the previous version; null if there is none, or if nothing changed. */
  changes: Changes.Changes | null;
}

/**
 * Stores the labels of a file. They are checked here first, so that mistakes are reported before anything is sent.
 * Throws AppError for mistakes in them, UsageError, CallError.
 */
export async function put(
  context: Context,
  server: Target,
  wish: { name: string; file: string; imageKey: string },
): Promise<Kept> {
  const { imageKey } = wish;
  await check(wish.file, imageKey);
  const bytes = await Upload.bytesOf(wish.file);
  const upload = {
    kind: "ground_truth",
    mimeType: "application/x-ndjson",
    file: basename(wish.file),
  } as const;
  const { ref } = await Upload.upload(context, server, upload, bytes);
  const body = { name: wish.name, data_ref: ref, gt_image_key: imageKey };
  const path = "/v1/ground_truths";
  const answer = await Client.call(server, { method: "POST", path, body, signal: context.signal });
  if (answer.status !== 200 && answer.status !== 201) throw failureOf(answer);
  const created = Known.as(Created, answer.json);
  return {
    ground_truth: created,
    is_new: answer.status === 201,
    changes: await changesOf(context, server, created, records(wish.file, imageKey)),
  };
}

/** Throws AppError for mistakes in the records, and UsageError for a table or a folder. */
export async function check(file: string, imageKey: string): Promise<void> {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat?.isFile()) throw new UsageError(`${Text.shown(file)} is not a file`);
  if (stat.size > groundTruths.bytes) throw Wrong.tooLarge(groundTruths.bytes);
  try {
    for await (const _ of records(file, imageKey));
  } catch (error) {
    const isOther = error instanceof AppError && error.details?.reason === "gt_not_json";
    if (!isOther || !/\.(csv|tsv)$/i.test(file)) throw error;
    const name = Text.shown(basename(file));
    throw new UsageError(
      `${name} is a table: convert it first (npm run ocrlty -- gt convert csv ${name} --out labels.jsonl)`,
    );
  }
}

async function* records(file: string, imageKey: string): AsyncGenerator<Read.Raw> {
  yield* Read.records(fs.createReadStream(file), { imageKey });
}

async function changesOf(
  context: Context,
  server: Target,
  { previous }: Created,
  now: AsyncIterable<Read.Raw>,
): Promise<Changes.Changes | null> {
  if (previous === null) return null;
  const before = await Known.find(context, server, { which: previous.gt_id });
  return Changes.compare(labelsOf(Known.recordsOf(context, before)), labelsOf(now));
}

async function* labelsOf(records: AsyncIterable<Read.Raw>): AsyncGenerator<Read.Raw["record"]> {
  for await (const { record } of records) yield record;
}

const shownNames = 5;
const shownRecords = 20;
/** Changed labels of one record that are shown. */
const shownLabels = 20;

/** The report for the terminal. Values are labels of receipts, so they are escaped. */
export function report(kept: Kept): string {
  const { ground_truth: made, is_new, changes } = kept;
  const lines = [
    `${made.gt_id}  ${Text.shown(made.name)}: ${Text.counted(made.records, "record")}, sha256 ${made.sha256.slice(0, 12)}`,
    ...unusedOf(made),
  ];
  if (!is_new) lines.push("unchanged: these labels are kept already");
  if (changes === null) return `${lines.join("\n")}\n`;
  const { added, removed, changed } = changes;
  lines.push(
    sinceOf(kept),
    ...bounded(added, "added", (image) => [`  + ${Text.shown(image)}`]),
    ...bounded(removed, "removed", (image) => [`  - ${Text.shown(image)}`]),
    ...bounded(changed, "changed", changesIn),
  );
  return `${lines.join("\n")}\n`;
}

/** The report of a command that also stores a file: its version, and the records that are not used. */
export function told(kept: Kept): string[] {
  const { ground_truth: made, is_new, changes } = kept;
  const name = Text.shown(made.name);
  const version = made.previous === null ? "stored" : "stored as a new version";
  return [
    `labels: ${name} is ${is_new ? version : "stored already"}, ${made.gt_id}`,
    ...unusedOf(made),
    ...(changes === null ? [] : [sinceOf(kept)]),
  ];
}

const sinceOf = ({ ground_truth: { previous }, changes }: Kept): string =>
  `since ${previous?.gt_id}: ${changes?.added.length} added, ${changes?.removed.length} removed, ${changes?.changed.length} changed, ${changes?.same} the same`;

/** The records that no run can use. */
function unusedOf({ unnamed, duplicates, duplicate_count: count }: Created): string[] {
  const lines: string[] = [];
  if (unnamed > 0)
    lines.push(
      unnamed === 1
        ? "1 record does not name a picture, so it is not used (unnamed)"
        : `${unnamed} records do not name a picture, so they are not used (unnamed)`,
    );
  if (count > 0) lines.push(duplicatesOf(duplicates, count));
  return lines;
}

/** The line about names that several records have. @param names - the first of them; @param count - of all. */
export function duplicatesOf(names: readonly string[], count: number): string {
  const what = count === 1 ? "1 name has" : `${count} names have`;
  return `${what} several records, of which none is used (duplicate): ${Text.several(names, shownNames, count)}`;
}

/** The lines of the first entries, and the number of the others. */
function bounded<T>(entries: readonly T[], what: string, linesOf: (entry: T) => string[]): string[] {
  const rest = entries.length - shownRecords;
  return [
    ...entries.slice(0, shownRecords).flatMap(linesOf),
    ...(rest > 0 ? [`  … and ${rest} more ${what} (--json has all)`] : []),
  ];
}

function changesIn({ image, labels }: Changes.Changes["changed"][number]): string[] {
  const rest = labels.length - shownLabels;
  return [
    `  ${Text.shown(image)}`,
    ...labels
      .slice(0, shownLabels)
      .map(
        ({ path, before, after }) => `    ${Text.shown(path)}: ${shownValue(before)} -> ${shownValue(after)}`,
      ),
    ...(rest > 0 ? [`    … and ${rest} more labels (--json has all)`] : []),
  ];
}

const shownValue = (value: unknown): string =>
  value === undefined ? "(no label)" : Text.shown(JSON.stringify(value));
