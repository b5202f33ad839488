import { stringify } from "csv-stringify/sync";
import type { Field } from "#core/canonical/normalize";
import type { Item } from "./schema.ts";

/**
 * Tables for spreadsheets, after RFC 4180 with `\n` between records. A text that a spreadsheet would take for a
 * formula (`=`, `+`, `-`, `@`, tab) gets a `'` in front, and so does what stands behind a comma, semicolon, tab or new
 * line inside a text: a spreadsheet that splits at another separator than ours sees a cell there. An amount such as
 * `-5.00` among the results is no formula, and stays as it is printed.
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
  records(item: Row): string;
}

/** An item; of its warnings the codes are all that a table shows, also those of a newer server. */
type Row = Omit<Item, "warnings"> & { warnings: readonly { code: string }[] };

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
/** Behind the task's fields, where what came later moves nothing: false where rows are missing at a result's end. */
const lastColumns = ["warnings", "complete"];
const lineColumns = ["index", "custom_id", "file", "line"];
const lastLineColumns = ["complete"];

/**
 * One record an item: what became of it, then every field of the task that is not in a list, with dots in its name,
 * then the codes of its warnings, a space between them.
 */
export function itemTable(fields: readonly Field[]): Table {
  const paths = fields.map(({ path }) => path).filter((path) => !path.includes("[]"));
  return {
    header: headerOf(itemColumns, paths, lastColumns),
    records: (item) => {
      const { index, custom_id, file, status, request_id, schema_ok, error, result, warnings } = item;
      const codes = [...new Set(warnings.map(({ code }) => code))].join(" ");
      const about = [index, custom_id, file, status, request_id, schema_ok, error?.code, error?.message];
      const values = paths.map((path) => valueAt(result, path));
      return lines([[...about, ...values, codes, completeOf(item)]], about.length);
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
    header: headerOf(lineColumns, paths, lastLineColumns),
    records: (item) => {
      const { index, custom_id, file, result } = item;
      const entries = valueAt(result, list);
      if (!Array.isArray(entries)) return "";
      return lines(
        entries.map((entry, i) => [
          index,
          custom_id,
          file,
          i + 1,
          ...paths.map((path) => valueAt(entry, path)),
          completeOf(item),
        ]),
        lineColumns.length,
      );
    },
  };
}

function headerOf(first: readonly string[], paths: readonly string[], last: readonly string[]): string {
  const ours = [...first, ...last];
  return lines([[...first, ...paths.map((path) => columnOf(path, ours)), ...last]]);
}

/** Empty where nothing is missing, as the field is absent. */
const completeOf = ({ complete }: Row) => complete;

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
    records.map((record) => record.map((value, index) => cell(value, { mayBeAmount: index >= own }))),
  );
}

function cell(value: unknown, options: { mayBeAmount: boolean }): string | number {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return value;
  return safe(typeof value === "string" ? value : JSON.stringify(value), options);
}

/** Without one of these there is nothing to make safe. */
const suspicious = /[=+\-@＝＋－＠\0]|^[\t\r]/u;
/** What some spreadsheet splits a line at, whatever the file was written with. */
const separators = /([,;\t\r\n|])/;
/** White space and quotes do not keep a spreadsheet from seeing the formula behind them. */
const beginsFormula = /^([\s"]*)(?=[=+\-@＝＋－＠])/u;

/**
 * The text with a `'` in front of everything that could begin a formula: OWASP's advice ("CSV Injection") for the
 * beginning of a cell and for what other separators would make one. Linear in its length. A NUL ends a text for some
 * readers, and a file for others, so it is shown as U+FFFD.
 */
export function safe(text: string, { mayBeAmount }: { mayBeAmount: boolean }): string {
  // Most cells have nothing of the kind, and there are millions of them.
  if (!suspicious.test(text)) return text;
  const whole = text.replaceAll("\0", "\ufffd");
  if (mayBeAmount && printedNumber.test(whole)) return whole;
  const guarded = whole
    .split(separators)
    .map((piece, i) => {
      if (i % 2 === 1 || !beginsFormula.test(piece)) return piece;
      return mayBeAmount && i > 0 && printedNumber.test(piece.trim())
        ? piece
        : piece.replace(beginsFormula, "$1'");
    })
    .join("");
  return /^[\t\r]/.test(whole) ? `'${guarded}` : guarded;
}
