import { parse } from "csv-parse/sync";
import * as Json from "#core/json";
import { ConvertError, type Converted, type Given, type Members, type Options } from "./converted.ts";

/** Possible cell separators; the one that occurs most often in the header is used. */
const separators = [",", ";", "\t"] as const;

/**
 * A table with a header: one column names the picture, the others are named by paths (`totals.total`). A column
 * `items[].price` is for tables with one line item per table row: consecutive rows of one picture are its items. An
 * empty cell is not scored, unless `options.absent` makes it a label "absent"; `?` is unreadable, and a cell that
 * begins with `{"any":` lists accepted values.
 * @param imageKey - the name of the column with the picture.
 * @throws ConvertError with the line.
 */
export function read(given: Given, options: Options & { imageKey: string }): Converted[] {
  const [names = [], ...lines] = rowsOf(given);
  const at = names.indexOf(options.imageKey);
  if (at < 0)
    throw new ConvertError(`${given.name}: has no column "${options.imageKey}" that names the picture`);
  const all: Converted[] = [];
  for (const [i, cells] of lines.entries()) {
    const image = cells[at]?.trim() ?? "";
    const { fields, rows } = lineOf(cells, { names, at, options, where: `${given.name}, row ${i + 2}` });
    const last = all.at(-1);
    const goesOn = Object.keys(rows).length > 0 && (image === "" || image === last?.file);
    const record = goesOn && last !== undefined ? last : { file: image || undefined, fields: {}, left: [] };
    if (record !== last) all.push(record);
    for (const [path, value] of Object.entries(fields)) record.fields[path] ??= value;
    for (const [list, row] of Object.entries(rows)) {
      const before = (record.fields[list] ?? []) as Members[];
      record.fields[list] = [...before, row];
    }
  }
  return all;
}

function rowsOf({ name, text }: Given): string[][] {
  const [first = ""] = text.split("\n", 1);
  const count = (separator: string) => first.split(separator).length;
  const delimiter = separators.reduce((best, each) => (count(each) > count(best) ? each : best));
  try {
    return parse(text, { bom: true, delimiter, skip_empty_lines: true, relax_column_count_less: true });
  } catch (error) {
    const { lines } = error as { lines?: number };
    throw new ConvertError(`${name}: is not CSV${lines === undefined ? "" : ` from line ${lines} on`}`);
  }
}

function lineOf(
  cells: readonly string[],
  { names, at, options, where }: { names: string[]; at: number; options: Options; where: string },
): { fields: Members; rows: Record<string, Members> } {
  const fields: Members = {};
  const rows: Record<string, Members> = {};
  for (const [i, name] of names.entries()) {
    const text = cells[i] ?? "";
    if (i === at || name.trim() === "" || (text.trim() === "" && !options.absent)) continue;
    const value = text.trim() === "" ? null : labelOf(text, where);
    const [list, cell] = name.split("[].");
    if (list === undefined || cell === undefined) fields[name] = value;
    else rows[list] = { ...rows[list], [cell]: value };
  }
  // A row with only empty cells is not an item, rather than an item whose values are all absent.
  const filled = Object.entries(rows).filter(([, row]) => Object.values(row).some((value) => value !== null));
  return { fields, rows: Object.fromEntries(filled) };
}

function labelOf(text: string, where: string): unknown {
  if (!/^\s*\{\s*"any"\s*:/.test(text)) return text;
  const { value, problem } = Json.read(text);
  if (problem !== undefined) throw new ConvertError(`${where}: ${problem}`);
  return value;
}
