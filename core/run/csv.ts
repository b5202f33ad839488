import { stringify } from "csv-stringify/sync";
import type { Field } from "#core/canonical/normalize";
import type { Item } from "./schema.ts";

/**
 * Tables for spreadsheets, after RFC 4180 with `\n` between records. A text that a spreadsheet would take for a
 * formula (`=`, `+`, `-`, `@`, tab) gets a `'` in front; an amount such as `-5.00` among the results is none, and stays as it is printed.
 */

/**
 * A number as it is printed, with a sign in front: digits and what stands between them, before or after it a currency
 * sign or percent, or after it up to three letters. Letters in front need a space: `-AB12` is a cell of the sheet.
 */
const printedNumber =
  /^[+-][ \u00a0]?(?:\p{Sc}[ \u00a0]?|\p{L}{1,3}\.?[ \u00a0])?\d[\d.,'’ \u00a0\u2009\u202f]*(?:[%\p{Sc}]|\p{L}{1,3}\.?)?$/u;

/** A table's columns: its header, and the records of an item, as text with their line ends. */
export interface Table {
  header: string;
  records(item: Item): string;
}

const itemColumns = [
  "index",
  "custom_id",
  "file",
  "status",
  "request_id",
  "schema_ok",
  "error_code",
  "error_message",
];
const lineColumns = ["index", "custom_id", "file", "line"];

/** One record an item: what became of it, then every field of the task that is not in a list, with dots in its name. */
export function itemTable(fields: readonly Field[]): Table {
  const paths = fields.map(({ path }) => path).filter((path) => !path.includes("[]"));
  return {
    header: lines([[...itemColumns, ...paths.map((path) => columnOf(path, itemColumns))]]),
    records: (item) => {
      const { index, custom_id, file, status, request_id, schema_ok, error, result } = item;
      const about = [index, custom_id, file, status, request_id, schema_ok, error?.code, error?.message];
      return lines([[...about, ...paths.map((path) => valueAt(result, path))]], about.length);
    },
  };
}

/**
 * One record for each entry of the task's list of objects, the first one where it has several; `line` counts from 1
 * within the item. Undefined for a task without one.
 */
export function lineTable(fields: readonly Field[]): Table | undefined {
  const list = fields.find(({ path }) => path.includes("[]."))?.path.split("[].")[0];
  if (list === undefined) return undefined;
  const paths = fields
    .filter(({ path }) => path.startsWith(`${list}[].`))
    .map(({ path }) => path.slice(list.length + "[].".length));
  return {
    header: lines([[...lineColumns, ...paths.map((path) => columnOf(path, lineColumns))]]),
    records: ({ index, custom_id, file, result }) => {
      const entries = valueAt(result, list);
      if (!Array.isArray(entries)) return "";
      return lines(
        entries.map((entry, i) => [
          index,
          custom_id,
          file,
          i + 1,
          ...paths.map((path) => valueAt(entry, path)),
        ]),
        lineColumns.length,
      );
    },
  };
}

/** A field that is called like one of our columns says where it comes from. */
const columnOf = (path: string, ours: readonly string[]) => (ours.includes(path) ? `result.${path}` : path);

/** An answer that breaks its schema may be of any shape. */
function valueAt(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>(
      (at, step) =>
        typeof at === "object" && at !== null && Object.hasOwn(at, step)
          ? (at as Record<string, unknown>)[step]
          : undefined,
      value,
    );
}

/** @param own - our columns come first, so many: what a caller named is never an amount. */
function lines(records: unknown[][], own = Number.POSITIVE_INFINITY): string {
  return stringify(
    records.map((record) => record.map(cell)),
    {
      escape_formulas: true,
      cast: {
        string: (value, { index }) =>
          index >= own && printedNumber.test(value) ? { value, escape_formulas: false } : value,
      },
    },
  );
}

function cell(value: unknown): string | number {
  if (value === null || value === undefined) return "";
  if (typeof value === "string" || typeof value === "number") return value;
  return JSON.stringify(value);
}
