import { stringify } from "csv-stringify/sync";
import type * as Table from "./table.ts";

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

/** A table as text: its header, and the records of an item, with their line ends. */
interface Text {
  header: string;
  records(item: Table.Row): string;
}

/** The table as CSV. What a caller named is never an amount, and neither is what we say of an item. */
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
