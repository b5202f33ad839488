/** Writes results to a file or to stdout. */
import * as fs from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { type Command, Option } from "commander";
import * as z from "zod";
import type { Target } from "#cli/server/answer";
import * as Download from "#cli/server/download";
import { type Context, UsageError } from "#cli/terminal/context";
import * as TerminalTable from "#cli/terminal/table";
import * as Text from "#cli/terminal/text";
import { AppError } from "#core/error";
import * as Formats from "#core/export/formats";
import * as Given from "#core/export/given";
import * as Dialect from "#core/export/table/dialect";
import type * as Maker from "#core/export/table/maker";
import * as Table from "#core/export/table/table";
import * as Answers from "#core/run/results/answers";
import * as Convert from "#core/run/results/convert";
import { Item } from "#core/run/schema";
import * as Task from "#core/task/task";
import * as Exports from "./exports.ts";
import { patiently } from "./retry.ts";
import * as Run from "./run.ts";

export const formats = ["json", "jsonl", "csv", "line_items_csv", ...Formats.names] as const;
export type Format = (typeof formats)[number];

const byExtension: Readonly<Record<string, Format>> = {
  ".csv": "csv",
  ".tsv": "csv",
  ".jsonl": "jsonl",
  ".json": "json",
  ".xlsx": "xlsx",
};

/** The format by a file's extension. Throws UsageError. */
export function formatOf(file: string): Format {
  const format = byExtension[extname(file).toLowerCase()];
  if (format === undefined) throw new UsageError(`${file}: results are .csv, .tsv, .xlsx, .jsonl or .json`);
  return format;
}

/** Refuses a name whose extension belongs to another format. Throws UsageError. */
export function checkEnding(file: string, format: Format): void {
  const ending = extname(file).toLowerCase();
  const promised = byExtension[ending];
  const fits = Formats.isMade(format)
    ? ending === Formats.made[format].ending
    : promised === (format === "line_items_csv" ? "csv" : format);
  if (fits || (promised === undefined && ending !== "")) return;
  const own = Formats.isMade(format)
    ? Formats.made[format].ending
    : format.startsWith("json")
      ? `.${format}`
      : ".csv";
  throw new UsageError(`${file}: ${format} goes into a file that ends in ${own}`);
}

/** `results.csv` → `results.line_items.csv` */
function lineItemsFile(file: string): string {
  return join(dirname(file), `${basename(file, extname(file))}.line_items${extname(file)}`);
}

/** The files that `--out` names. */
export function filesOf(out: string): string[] {
  return formatOf(out) === "csv" ? [out, lineItemsFile(out)] : [out];
}

const downloadMs = 2 * 60_000;
const pathOf = (wanted: Run.Wanted, format: Format) => Run.pathOf(wanted, "/results", { format, as: "url" });
const isTable = (format: Format) => format === "csv" || format === "line_items_csv";

/** `--values`, `--dialect` and `--no-bom`, as commander gives them. */
export interface TableOptions {
  values?: Table.Values | undefined;
  dialect?: Dialect.Name | undefined;
  bom?: boolean | undefined;
  /** The parsed mapping of a ledger. */
  mapping?: unknown;
}

/** The mapping of a ledger from a file. Throws UsageError. */
export async function mappingOf(
  context: Pick<Context, "cwd">,
  format: Format,
  file: string | undefined,
): Promise<unknown> {
  const isLedger = Formats.isMade(format) && Formats.made[format].mapped;
  if (!isLedger) {
    if (file === undefined) return undefined;
    const ledgers = Formats.names.filter((name) => Formats.made[name].mapped).join(", ");
    throw new UsageError(`--mapping is for the formats ${ledgers}`);
  }
  if (file === undefined)
    throw new UsageError(`--format ${format} needs your accounts: --mapping FILE (docs/ledgers.md)`);
  let bytes: Buffer;
  try {
    bytes = fs.readFileSync(resolve(context.cwd, file));
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    throw new UsageError(
      code === "ENOENT" ? `${file} cannot be read: it does not exist` : `${file} cannot be read (${code})`,
    );
  }
  try {
    return await Given.parse(bytes, format);
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    const issues = thrown.details?.issues ?? [];
    const said = issues.map(({ path, message }) =>
      [path.replace(/^mapping\.?/, ""), message].filter(Boolean).join(": "),
    );
    throw new UsageError(Text.mistakes(Text.shown(file), said));
  }
}

/** Options for commands that write tables to a file. */
export function tableOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--values <which>",
        "for tables and workbooks: printed values, normalized ones, or both (default)",
      ).choices(Table.values),
    )
    .addOption(
      new Option(
        "--dialect <name>",
        "what separates the cells of a .csv (default: comma; tab for .tsv)",
      ).choices(Dialect.names),
    )
    .option(
      "--no-bom",
      "write tables without the byte order mark from which Excel knows that they are UTF-8",
    );
}

/** How a table is written to this file. */
function dialectOf(file: string, { dialect, bom = true }: TableOptions): Dialect.Dialect {
  const named = extname(file).toLowerCase() === ".tsv" ? "tab" : "comma";
  return { name: dialect ?? named, byteOrderMark: bom };
}

/** A result file of a run, and how its values are written. */
interface Asked {
  readonly wanted: Run.Wanted;
  readonly format: Format;
  readonly options: TableOptions;
}

/** Formats that the server writes for every run are passed on; other formats are made here from the items. */
async function open(
  context: Context,
  server: Target,
  { wanted, format, options }: Asked,
  leaveOut?: (item: Maker.LeftOut) => void,
): Promise<Readable> {
  const { values = "both", mapping } = options;
  const isLedger = Formats.isMade(format) && Formats.made[format].mapped;
  if (isLedger && values !== "both") throw new UsageError("--values is for tables and workbooks");
  if (Formats.isMade(format) || (isTable(format) && values !== "both"))
    return Exports.open(context, server, wanted, {
      ...{ format, shown: values, mapping },
      ...(leaveOut === undefined ? {} : { leaveOut }),
    });
  if (values !== "both")
    throw new UsageError("--values is for tables and workbooks: json and jsonl hold both");
  return Download.open(context, server, pathOf(wanted, format));
}

/**
 * One result file of an ended run. Throws CallError and UsageError.
 * @returns the items that cannot be booked: they are not in the file.
 */
export async function save(
  context: Context,
  server: Target,
  asked: Asked & { readonly file: string },
): Promise<Maker.LeftOut[]> {
  const { format, file, options } = asked;
  return await patiently(context, downloadMs, async () => {
    // Only for this attempt.
    const leftOut: Maker.LeftOut[] = [];
    const source = await open(context, server, asked, (item) => void leftOut.push(item));
    const text = isTable(format) ? Convert.stream(source, dialectOf(file, options)) : source;
    await Download.writeWhole(context, text, resolve(context.cwd, file));
    return leftOut;
  });
}

/**
 * Writes the results of an ended run to the files that `out` names: beside a .csv also the line items, if the task has
 * any.
 * @returns the files that were written.
 */
export async function saveAll(
  context: Context,
  server: Target,
  run: Run.Run,
  { out, options }: { out: string; options: TableOptions },
): Promise<string[]> {
  const wanted = { runId: run.run_id };
  await save(context, server, { wanted, format: formatOf(out), file: out, options });
  if (formatOf(out) !== "csv" || !(await hasLineItems(context, server, run.task_id))) return [out];
  const lines = lineItemsFile(out);
  await save(context, server, { wanted, format: "line_items_csv", file: lines, options });
  return [out, lines];
}

async function hasLineItems(context: Context, server: Target, taskId: string): Promise<boolean> {
  return (await fieldsOf(context, server, taskId)).some((path) => path.includes("[]."));
}

/** Paths of a task's fields, in the order of its schema: `total`, `items[].price`. */
export async function fieldsOf(context: Context, server: Target, taskId: string): Promise<string[]> {
  return (await Exports.fieldsOf(context, server, taskId)).map(({ path }) => path);
}

/**
 * Prints the results of an ended run on stdout; a table there has no byte order mark, because programs in a pipe do not
 * expect one.
 */
export async function print(context: Context, server: Target, asked: Asked): Promise<void> {
  const { format, options } = asked;
  if (Formats.isMade(format)) throw new UsageError(`${format} goes into a file: name it with --out`);
  const { dialect = "comma" } = options;
  const opened = await patiently(context, downloadMs, () => open(context, server, asked));
  const source = isTable(format) ? Convert.stream(opened, { name: dialect, byteOrderMark: false }) : opened;
  source.setEncoding("utf8");
  for await (const chunk of source) context.out(String(chunk));
}

/** The rows from which a table's column widths are computed. */
const measured = 200;
/** As many fields as a terminal is wide. */
const shownFields = 5;

/** The results of an ended run as a table: an item's name, its status, its first values. */
export async function printTable(context: Context, server: Target, run: Run.Run): Promise<void> {
  const fields = await fieldsOf(context, server, run.task_id);
  const source = await patiently(context, downloadMs, () =>
    Download.open(context, server, pathOf({ runId: run.run_id }, "jsonl")),
  );
  await printItems(context, itemsOf(source), fields);
}

async function* itemsOf(source: Readable): AsyncGenerator<Run.Item> {
  // Not readline: its iteration loses lines that came before it began, and errors of the stream.
  source.setEncoding("utf8");
  let rest = "";
  for await (const chunk of source) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield Run.Item.parse(JSON.parse(line));
  }
}

/** Items as a table, with the first single values of the task. */
export async function printItems(
  context: Pick<Context, "out" | "columns">,
  items: AsyncIterable<Run.Item>,
  fields: readonly string[],
): Promise<void> {
  const columns = fields.filter((path) => !/[.[]/.test(path)).slice(0, shownFields);
  const rows: string[][] = [["ITEM", "STATUS", ...columns.map((column) => column.toUpperCase())]];
  let layout: TerminalTable.Layout | undefined;
  const flush = () => {
    layout ??= TerminalTable.layout(rows, context);
    for (const row of rows) context.out(TerminalTable.line(row, layout));
    rows.length = 0;
  };
  for await (const item of items) {
    rows.push(rowOf(item, columns));
    if (layout !== undefined || rows.length > measured) flush();
  }
  flush();
}

function rowOf(item: Run.Item, columns: readonly string[]): string[] {
  const name = item.file ?? item.custom_id ?? String(item.index);
  if (item.error) return [name, `${item.status} (${item.error.code})`];
  const notes = [
    ...(item.schema_ok === false ? ["breaks the schema"] : []),
    ...new Set(item.warnings?.map(({ code }) => code)),
  ];
  const status = notes.length > 0 ? `${item.status} (${notes.join(", ")})` : item.status;
  return [name, status, ...columns.map((column) => cell(item.result?.[column]))];
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "-";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The item from a server that may lack newer fields or have more warnings. */
const AnyItem = Item.partial()
  .required({ index: true, request_id: true, status: true, custom_id: true, file: true })
  .extend({ warnings: z.array(z.looseObject({ code: z.string() })).default([]) });

/**
 * The items that have ended so far, in the format that the file's name asks for; values come from the list of items,
 * where large results are null. Returns their number. Throws CallError and UsageError.
 */
export async function savePartial(
  context: Context,
  server: Target,
  run: Pick<Run.Run, "run_id" | "task_id" | "created_at">,
  { out, options }: { out: string; options: TableOptions },
): Promise<number> {
  const format = formatOf(out);
  const asked = { format, shown: options.values ?? "both" };
  let count = 0;
  async function* items(): AsyncGenerator<z.output<typeof AnyItem>> {
    const all = Run.list(server, Run.pathOf({ runId: run.run_id }, "/items"), {
      signal: context.signal,
      schema: AnyItem,
    });
    for await (const item of all) {
      if (!["succeeded", "failed", "canceled"].includes(item.status)) continue;
      count += 1;
      yield item;
    }
  }
  async function* text(): AsyncGenerator<string> {
    if (format === "json") yield `{"run_id":${JSON.stringify(run.run_id)},"partial":true,"items":[`;
    for await (const item of items()) {
      if (format === "jsonl") yield `${JSON.stringify(item)}\n`;
      else yield `${count === 1 ? "" : ","}\n${JSON.stringify(item)}`;
    }
    if (format === "json") yield "\n]}\n";
  }
  // Fields that an older server does not return are computed, as for an older file; for its warnings only the codes
  // are shown.
  const about = { runId: run.run_id, taskId: run.task_id, createdAt: new Date(run.created_at) };
  async function* whole(): AsyncGenerator<Item> {
    for await (const item of items()) yield Answers.completed(about, item as Item);
  }
  const source =
    format === "json" || format === "jsonl"
      ? Readable.from(text())
      : Exports.of(
          context,
          { run: about, fields: Task.get(run.task_id)?.fields ?? [], items: whole() },
          { ...asked, format },
        );
  const written = isTable(format) ? Convert.stream(source, dialectOf(out, options)) : source;
  await Download.writeWhole(context, written, out);
  return count;
}
