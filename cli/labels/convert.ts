/** Converts labels of other data sets to our records, and our records to CORD's names, on this machine. */
import * as fs from "node:fs";
import { basename, join, resolve } from "node:path";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import { ConvertError, type Converted, type Given, type Options } from "#core/ground-truth/convert/converted";
import * as Cord from "#core/ground-truth/convert/cord";
import * as Csv from "#core/ground-truth/convert/csv";
import * as Project from "#core/ground-truth/convert/project";
import * as ReceiptBench from "#core/ground-truth/convert/receiptbench";
import * as Sroie from "#core/ground-truth/convert/sroie";
import * as Read from "#core/ground-truth/read";
import * as GroundTruthRecord from "#core/ground-truth/record";
import * as Task from "#core/task/task";
import { groundTruths } from "#spec/limits";
import * as Known from "./known.ts";

export const formats = ["cord", "sroie", "csv", "receiptbench", "records"] as const;
export type Format = (typeof formats)[number];

interface Wish extends Options {
  format: Format;
  paths: readonly string[];
  imageKey: string;
  task: string;
  to: "records" | "cord";
  out: string | undefined;
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

interface Told {
  files: number;
  records: number;
  /** Labels without a field, by path, with the number of records that have them. */
  left_out: Record<string, number>;
}

/** Converts files, and folders of them. Throws UsageError, and AppError for labels that cannot be read afterwards. */
export async function convert(context: Context, wish: Wish): Promise<Told> {
  const files = wish.paths.flatMap((path) =>
    filesAt(resolve(context.cwd, path), extensions[wish.format], path),
  );
  if (files.length === 0) throw new UsageError(`no ${extensions[wish.format].join(" or ")} there`);
  const told: Told = { files: files.length, records: 0, left_out: {} };
  const out = wish.out === undefined ? undefined : resolve(context.cwd, wish.out);
  await Known.write(context, linesOf(files, wish, told), out);
  return told;
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

async function* linesOf(files: readonly string[], wish: Wish, told: Told): AsyncGenerator<string> {
  const task = Task.get(wish.task);
  if (task === undefined)
    throw new UsageError(`no such task: ${wish.task}; there are ${Task.ids().join(", ")}`);
  const count = (paths: readonly string[]) => {
    for (const path of new Set(paths)) told.left_out[path] = (told.left_out[path] ?? 0) + 1;
  };
  for (const file of files)
    for await (const { file: image, fields, left } of convertedOf(file, wish)) {
      const projected = Project.project(fields, task.fields);
      count([...left, ...projected.left]);
      const value = { ...(image === undefined ? {} : { file: image }), fields: projected.fields };
      const { record, issues } = GroundTruthRecord.parse(value, { index: told.records });
      if (record === undefined)
        throw new UsageError(`${Text.shown(file)}: ${issues[0]?.path} ${issues[0]?.message}`);
      told.records += 1;
      yield wish.to === "cord"
        ? Cord.line(image ?? "", GroundTruthRecord.plainMembers(record.labels))
        : `${JSON.stringify(value)}\n`;
    }
}

async function* convertedOf(file: string, wish: Wish): AsyncGenerator<Converted> {
  if (wish.format === "records") {
    for await (const { record } of Read.records(fs.createReadStream(file), { imageKey: wish.imageKey }))
      yield { file: record.image, fields: flat(record.labels), left: [] };
    return;
  }
  const given: Given = { name: basename(file), text: textOf(file) };
  try {
    if (wish.format === "csv") yield* Csv.read(given, wish);
    else yield* { cord: Cord, sroie: Sroie, receiptbench: ReceiptBench }[wish.format].read(given, wish);
  } catch (error) {
    throw error instanceof ConvertError ? new UsageError(Text.shown(error.message)) : error;
  }
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
    throw new UsageError(`${Text.shown(file)} is not UTF-8`);
  }
}
