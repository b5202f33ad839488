/** Converts labels of other data sets to our records, and our records to CORD's names, on this machine. */
import * as fs from "node:fs";
import { basename, join, resolve } from "node:path";
import * as Output from "#cli/files/output";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import {
  ConvertError,
  type Converted,
  type Given,
  isMembers,
  type Options,
  valuesIn,
} from "#core/ground-truth/convert/converted";
import * as Cord from "#core/ground-truth/convert/cord";
import * as Csv from "#core/ground-truth/convert/csv";
import * as Project from "#core/ground-truth/convert/project";
import * as ReceiptBench from "#core/ground-truth/convert/receiptbench";
import * as Sroie from "#core/ground-truth/convert/sroie";
import * as Picture from "#core/ground-truth/picture";
import * as Read from "#core/ground-truth/read";
import * as GroundTruthRecord from "#core/ground-truth/record";
import * as Task from "#core/task/task";
import { groundTruths } from "#spec/limits";
import * as Known from "./known.ts";
import * as Put from "./put.ts";

export const formats = ["cord", "sroie", "csv", "receiptbench", "records"] as const;
export type Format = (typeof formats)[number];

interface Wish extends Options {
  format: Format;
  paths: readonly string[];
  imageKey: string;
  task: string;
  to: "records" | "cord";
  out: string | undefined;
  /** Whether `out` may exist. */
  force: boolean | undefined;
}

/** The default task: receipt_v1 has a field for everything that is converted. */
export const defaultTask = "receipt_v1";

const extensions: Record<Format, readonly string[]> = {
  cord: [".json", ".jsonl"],
  sroie: [".txt", ".json"],
  csv: [".csv", ".tsv", ".txt"],
  receiptbench: [".json"],
  records: [".json", ".jsonl"],
};

/** The counts of a conversion. */
interface Summary {
  files: number;
  records: number;
  /** Values that have no place in what is written, by their paths. */
  left_out: Record<string, Count>;
  /** Members beside `fields`, by name; they are no labels and are not written either. */
  remarks_left_out: Record<string, Count>;
  /** The first names that several records have, and the number of such names; none of these records is used. */
  duplicates: string[];
  duplicate_count: number;
}

interface Count {
  values: number;
  records: number;
}

/** Names with several records that are listed. */
const namedDuplicates = 100;

/**
 * Converts files, and folders of them. Throws UsageError with all mistakes of a file, and AppError for records that cannot be
 * read.
 */
export async function convert(context: Context, wish: Wish): Promise<Summary> {
  const files = wish.paths.flatMap((path) =>
    filesAt(resolve(context.cwd, path), extensions[wish.format], path),
  );
  if (files.length === 0) throw new UsageError(`no ${extensions[wish.format].join(" or ")} there`);
  Output.check(context, [wish.out], { force: wish.force, inputs: files });
  const summary: Summary = {
    ...{ files: files.length, records: 0, left_out: {}, remarks_left_out: {} },
    ...{ duplicates: [], duplicate_count: 0 },
  };
  const out = wish.out === undefined ? undefined : resolve(context.cwd, wish.out);
  await Known.write(context, linesOf(files, wish, summary), out);
  return summary;
}

/** The files directly in a folder; a named file is used as is. */
function filesAt(path: string, endings: readonly string[], shown: string): string[] {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile()) return [path];
  if (!stat?.isDirectory()) throw new UsageError(`${Text.shown(shown)} is not there`);
  const names = fs
    .readdirSync(path)
    .filter((name) => endings.some((ending) => name.toLowerCase().endsWith(ending)));
  return names.sort().map((name) => join(path, name));
}

async function* linesOf(files: readonly string[], wish: Wish, summary: Summary): AsyncGenerator<string> {
  const task = Task.get(wish.task);
  if (task === undefined)
    throw new UsageError(`no such task: ${wish.task}; there are ${Task.ids().join(", ")}`);
  const seen = new Map<string, number>();
  for (const file of files)
    for await (const { file: image, fields, left, remarks } of convertedOf(file, wish)) {
      const projected = Project.project(fields, task.fields);
      const named = image === undefined ? {} : { file: image };
      const labels = wish.to === "cord" ? Project.back(projected.fields, receiptFields()) : projected.fields;
      const value = { ...remarks, ...named, fields: labels };
      const { record, issues } = GroundTruthRecord.parse(value, { index: summary.records });
      if (record === undefined)
        throw new UsageError(
          `${Text.shown(file)} has records that are wrong:\n  ${Text.list(issues.map(({ path, message }) => `${path} ${message}`))}`,
        );
      summary.records += 1;
      if (image !== undefined) addName(Picture.keyOf(image), seen, summary);
      const placeless = [...left, ...projected.left];
      if (wish.to === "records") yield `${JSON.stringify(value)}\n`;
      else {
        if (image === undefined)
          throw new UsageError(
            `${Text.shown(file)}: record ${summary.records} names no picture, and each line of CORD's metadata does`,
          );
        placeless.push(...Cord.unwritten(record.labels));
        count(valuesOf(remarks ?? {}), summary.remarks_left_out);
        yield Cord.line(image, GroundTruthRecord.plainMembers(record.labels));
      }
      count(placeless, summary.left_out);
    }
}

/** The fields that converters name labels by. */
const receiptFields = () => Task.get(defaultTask)?.fields ?? [];

function addName(name: string, seen: Map<string, number>, summary: Summary): void {
  const times = (seen.get(name) ?? 0) + 1;
  seen.set(name, times);
  if (times !== 2) return;
  summary.duplicate_count += 1;
  if (summary.duplicates.length < namedDuplicates) summary.duplicates.push(name);
}

const valuesOf = (members: object): string[] =>
  Object.entries(members).flatMap(([name, value]) => valuesIn(name, value));

function count(paths: readonly string[], counts: Record<string, Count>): void {
  for (const [path, values] of Map.groupBy(paths, (each) => each)) {
    const before = counts[path] ?? { values: 0, records: 0 };
    counts[path] = { values: before.values + values.length, records: before.records + 1 };
  }
}

const shownPaths = 20;

/** Lines for the terminal about what a conversion left out, and about records that no run will use. */
export function notesOf(summary: Summary): string[] {
  const { duplicates, duplicate_count: several } = summary;
  return [
    ...leftOut(summary.left_out, "left out, because they have no place there", "value"),
    ...leftOut(summary.remarks_left_out, "left out as well, since they are no labels", "remark"),
    ...(several === 0 ? [] : [Put.duplicatesOf(duplicates, several)]),
  ];
}

function leftOut(counts: Readonly<Record<string, Count>>, why: string, what: string): string[] {
  const all = Object.entries(counts);
  const total = all.reduce((sum, [, { values }]) => sum + values, 0);
  if (total === 0) return [];
  const lines = all
    .slice(0, shownPaths)
    .map(
      ([path, { values, records }]) =>
        `  ${Text.shown(path)}: ${values} (in ${Text.counted(records, "record")})`,
    );
  const more =
    all.length > shownPaths ? [`  … and ${Text.counted(all.length - shownPaths, "more field")}`] : [];
  return [`${why}: ${Text.counted(total, what)}`, ...lines, ...more];
}

async function* convertedOf(
  file: string,
  wish: Wish,
): AsyncGenerator<Converted & { remarks?: Record<string, unknown> }> {
  if (wish.format === "records") {
    const { imageKey } = wish;
    for await (const { record, value } of Read.records(fs.createReadStream(file), { imageKey }))
      yield {
        file: record.image,
        fields: flat(record.labels),
        left: [],
        remarks: remarksOf(value, imageKey),
      };
    return;
  }
  const given: Given = { name: basename(file), text: textOf(file) };
  try {
    if (wish.format === "csv") yield* Csv.read(given, wish);
    else yield* { cord: Cord, sroie: Sroie, receiptbench: ReceiptBench }[wish.format].read(given, wish);
  } catch (error) {
    if (!(error instanceof ConvertError)) throw error;
    throw new UsageError(Text.mistakes(Text.shown(error.file), error.problems));
  }
}

/** The members beside `fields`, which are not scored. */
function remarksOf(value: Read.Raw["value"], imageKey: string): Record<string, unknown> {
  if (!isMembers(value.fields)) return {};
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== "fields" && name !== imageKey));
}

/** Labels by their full paths, as converters return them. */
function flat(labels: ReadonlyMap<string, GroundTruthRecord.Label>, path = ""): Record<string, unknown> {
  return Object.fromEntries(
    [...labels].flatMap(([name, label]) => {
      const at = path === "" ? name : `${path}.${name}`;
      if (label.kind === "group") return Object.entries(flat(label.members, at));
      return [[at, GroundTruthRecord.written(label)]];
    }),
  );
}

function textOf(file: string): string {
  if (fs.statSync(file).size > groundTruths.bytes)
    throw new UsageError(`${Text.shown(file)} has more than ${groundTruths.bytes / 1024 / 1024} MiB`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(fs.readFileSync(file));
  } catch {
    throw new UsageError(`${Text.shown(file)} is not UTF-8: save it as UTF-8`);
  }
}
