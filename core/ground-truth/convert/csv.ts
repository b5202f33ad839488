import { parse } from "csv-parse/sync";
import * as Json from "#core/json";
import * as Near from "#core/near";
import * as Picture from "../picture.ts";
import * as Columns from "./columns.ts";
import { ConvertError, type Converted, type Given, type Members, type Options } from "./converted.ts";

/** Possible separators of cells. */
const separators = [",", ";", "\t"] as const;

/** A row of the table, with the line of the file on which it begins, from 1. */
interface Line {
  cells: string[];
  line: number;
}

/** Where mistakes are collected. */
type Say = (problem: string) => void;

/**
 * A table with a header: one column names the picture, the others are named by paths (`totals.total`). A column
 * `items[].price` is for tables with one line item per table row: consecutive rows of one picture are its items. An
 * empty cell is not scored, unless `options.absent` makes it a label "absent"; `?` is unreadable, and a cell that
 * begins with `{"any":` lists accepted values. Rows without any text are skipped.
 * @param imageKey - the name of the column with the picture.
 * @throws ConvertError with every mistake and its line: a name that two columns have, a row with more or fewer cells than
 *   the header, a value in a column without a name, a row that names no picture, two values for one label of a picture, a
 *   picture whose rows do not follow one another, or that has several in a table without line items.
 */
export function read(given: Given, options: Options & { imageKey: string }): Converted[] {
  const [header, ...lines] = linesOf(given, options.imageKey);
  const { names, at } = headerOf(given.name, header?.cells ?? [], options.imageKey);
  const hasRows = names.some((name) => name.includes("[]."));
  const problems: string[] = [];
  const all: Converted[] = [];
  const begun = new Map<string, number>();
  for (const { cells, line } of lines) {
    const say: Say = (problem) => problems.push(`line ${line}: ${problem}`);
    if (cells.every((cell) => cell.trim() === "") || !isWhole(cells, names, say)) continue;
    const image = cells[at]?.trim() ?? "";
    const { fields, rows } = labelsOf(cells, { names, at, options, say });
    const last = all.at(-1);
    const goesOn = image === "" ? Object.keys(rows).length > 0 : hasRows && image === last?.file;
    if (goesOn && last !== undefined) {
      add(last.fields, { fields, rows }, say);
      continue;
    }
    if (image === "") {
      say(`names no picture: ${JSON.stringify(options.imageKey)} is empty`);
      continue;
    }
    const key = Picture.keyOf(image);
    const before = begun.get(key);
    if (before !== undefined)
      say(`is of the same picture as line ${before}: ${only[hasRows ? "rows" : "one"]}`);
    else begun.set(key, line);
    const record = { file: image, fields: {}, left: [] };
    all.push(record);
    add(record.fields, { fields, rows }, say);
  }
  if (problems.length > 0) throw new ConvertError(given.name, problems);
  return all;
}

/** The rule for the rows of one picture, in a table of line items and in any other table. */
const only = { rows: "the rows of a picture follow one another", one: "a picture has one row" } as const;

/** The separator that sets the picture's column apart, else the one that gives the header the most cells. */
function separatorOf(text: string, imageKey: string): string {
  const [header = ""] = text.replace("\ufeff", "").split(/\r?\n|\r/, 1);
  const cellsBy = (separator: string) => {
    // A separator within quotes is a part of a name.
    const cells = header.replaceAll(/"[^"]*"/g, (name) => name.replaceAll(separator, " ")).split(separator);
    const isSetApart = cells.some((cell) => cell.trim().replaceAll('"', "") === imageKey);
    return cells.length + (isSetApart ? header.length : 0);
  };
  return separators.reduce((best, each) => (cellsBy(each) > cellsBy(best) ? each : best));
}

function linesOf({ name, text }: Given, imageKey: string): Line[] {
  const delimiter = separatorOf(text, imageKey);
  try {
    const parsed = parse(text, {
      ...{ bom: true, delimiter, skip_empty_lines: true, relax_column_count: true, info: true },
    }) as unknown as { record: string[]; info: { lines: number } }[];
    return parsed.map(({ record, info }) => {
      const within = record.reduce((sum, cell) => sum + cell.split("\n").length - 1, 0);
      return { cells: record, line: info.lines - within };
    });
  } catch (error) {
    const { code, lines } = error as { code?: string; lines?: number };
    const at = code === "CSV_QUOTE_NOT_CLOSED" ? openQuote(text, delimiter) : lines;
    const where = at === undefined ? "" : ` from line ${at} on`;
    const why = code === undefined ? undefined : reasons[code];
    throw new ConvertError(name, `is not CSV${where}${why === undefined ? "" : `: ${why}`}`);
  }
}

/** The line of the quote that is never closed; the parser names the last line of the file. */
function openQuote(text: string, delimiter: string): number {
  let line = 1;
  let opened: number | undefined;
  let isStart = true;
  for (const char of text) {
    // A doubled quote closes and opens again.
    if (char === '"' && (isStart || opened !== undefined)) opened = opened === undefined ? line : undefined;
    isStart = char === delimiter || char === "\n" || char === "\r" || char === "\ufeff" || char === '"';
    if (char === "\n") line += 1;
  }
  return opened ?? line;
}

const reasons: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "a quote that begins there is never closed",
  CSV_INVALID_CLOSING_QUOTE: 'a quote within a cell is written twice (""), and the cell stands in quotes',
  INVALID_OPENING_QUOTE: 'a quote within a cell is written twice (""), and the cell stands in quotes',
};

function headerOf(
  name: string,
  header: readonly string[],
  imageKey: string,
): { names: string[]; at: number } {
  const names = header.map((each) => each.trim());
  const problems = Columns.problems(names);
  const at = names.indexOf(imageKey);
  if (at < 0) {
    const others = names.filter(Boolean);
    const meant =
      others.length === 1 ? `: its only column is \`${others[0]}\`` : Near.choice(imageKey, others);
    problems.push(`no column ${JSON.stringify(imageKey)} names the picture${meant}`);
  } else if (names.filter(Boolean).length < 2) problems.push("no column has labels");
  if (problems.length > 0) throw new ConvertError(name, problems);
  return { names, at };
}

/** Whether each value of a row stands below a name. Spreadsheets write empty cells behind the last column. */
function isWhole(cells: readonly string[], names: readonly string[], say: Say): boolean {
  if (cells.length < names.length) {
    say(`has ${cells.length} cells, and the header has ${names.length}`);
    return false;
  }
  const beyond = cells.slice(names.length).some((cell) => cell.trim() !== "");
  if (beyond) say(`has ${cells.length} cells, and the header has ${names.length}`);
  const unnamed = names.findIndex((name, i) => name === "" && cells[i]?.trim() !== "");
  if (unnamed >= 0) say(`column ${unnamed + 1} has a value, and no name in the header`);
  return !beyond && unnamed < 0;
}

interface Labels {
  fields: Members;
  /** The cells of a row, for each list. */
  rows: Record<string, Members>;
}

function labelsOf(
  cells: readonly string[],
  { names, at, options, say }: { names: readonly string[]; at: number; options: Options; say: Say },
): Labels {
  const fields: Members = {};
  const rows: Record<string, Members> = {};
  for (const [i, name] of names.entries()) {
    const text = cells[i] ?? "";
    if (i === at || name === "" || (text.trim() === "" && !options.absent)) continue;
    const value = text.trim() === "" ? null : labelOf(text, (problem) => say(`${name} ${problem}`));
    const [list, cell] = name.split("[].");
    if (list === undefined || cell === undefined) fields[name] = value;
    else rows[list] = { ...rows[list], [cell]: value };
  }
  // A row with only empty cells is not an item, rather than an item whose values are all absent.
  const filled = Object.entries(rows).filter(([, row]) => Object.values(row).some((value) => value !== null));
  return { fields, rows: Object.fromEntries(filled) };
}

function labelOf(text: string, say: Say): unknown {
  if (!/^\s*\{\s*"any"\s*:/.test(text)) return text;
  const { value, problem } = Json.read(text);
  if (problem !== undefined) say(problem);
  return value;
}

/** Adds a row's labels to those that earlier rows of the same picture have. */
function add(record: Members, { fields, rows }: Labels, say: Say): void {
  for (const [path, value] of Object.entries(fields)) {
    const before = record[path];
    if (before === undefined || before === null) record[path] = value;
    else if (value !== null && JSON.stringify(value) !== JSON.stringify(before))
      say(`${path} has another value than in an earlier row of the same picture`);
  }
  for (const [list, row] of Object.entries(rows))
    record[list] = [...((record[list] ?? []) as Members[]), row];
}
