import { stringify } from "csv-stringify/sync";
import type * as Table from "./table.ts";

/**
 * Tables for spreadsheets, after RFC 4180 with `\n` between records. A text that a spreadsheet would treat as a formula
 * (`=`, `+`, `-`, `@`, tab) is prefixed with `'`, and so is such text after a comma, semicolon, tab or line break
 * within a text: a spreadsheet that splits at another separator has a cell there. An amount such as `-5.00` among the
 * results is not a formula and stays as printed.
 */

/**
 * A printed number with a sign: digits and separators, with a currency sign or percent sign on either side, or up to
 * three letters after it. Letters before it need a space: `-AB12` is a cell reference.
 */
const printedNumber =
  /^[+-][ \u00a0]?(?:\p{Sc}[ \u00a0]?|\p{L}{1,3}\.?[ \u00a0])?\d[\d.,'’ \u00a0\u2009\u202f]*(?:[%\p{Sc}]|\p{L}{1,3}\.?)?$/u;

/** A table as text: its header, and the records of an item, each with its line end. */
interface Text {
  header: string;
  records(item: Table.Row): string;
}

/** The table as CSV. Texts chosen by the caller, and columns about the item, are never treated as amounts. */
export function of({ columns, entriesOf }: Table.Table): Text {
  return {
    header: stringify([columns.map(({ name }) => name)]),
    records: (item) =>
      stringify(
        entriesOf(item).map((entry) =>
          columns.map((column) => cell(column.valueOf(entry), { mayBeAmount: column.role !== "about" })),
        ),
      ),
  };
}

/** The whole table as text, item by item. */
export async function* stream(table: Table.Table, items: AsyncIterable<Table.Row>): AsyncGenerator<string> {
  const { header, records } = of(table);
  yield header;
  for await (const item of items) yield records(item);
}

function cell(value: unknown, options: { mayBeAmount: boolean }): string | number {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return value;
  return safe(typeof value === "string" ? value : JSON.stringify(value), options);
}

/** Texts without these characters are safe. */
const suspicious = /[=+\-@＝＋－＠\0]|^[\t\r]/u;
/** Characters at which some spreadsheets split a line, whatever the file's separator is. */
const separators = /([,;\t\r\n|])/;
/** White space and quotes before a formula do not stop a spreadsheet from evaluating it. */
const beginsFormula = /^([\s"]*)(?=[=+\-@＝＋－＠])/u;

/**
 * The text with a `'` before everything that may begin a formula, as OWASP advises ("CSV Injection"): at the beginning
 * of a cell and after other separators. Takes linear time. A NUL ends the text or the file for some readers, so it is
 * replaced by U+FFFD.
 */
export function safe(text: string, { mayBeAmount }: { mayBeAmount: boolean }): string {
  // Fast path: most of the possibly millions of cells are safe.
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
