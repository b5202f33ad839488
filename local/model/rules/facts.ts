import * as Amounts from "#local/model/rules/amounts";
import * as Country from "#local/model/rules/country";
import * as Dates from "#local/model/rules/dates";
import * as Identifiers from "#local/model/rules/identifiers";
import type { Printed } from "#local/model/rules/items";
import * as Items from "#local/model/rules/items";
import * as Labeled from "#local/model/rules/labeled";
import * as Parties from "#local/model/rules/parties";
import * as Rows from "#local/model/rules/rows";
import * as Signs from "#local/model/rules/signs";
import * as TaxTable from "#local/model/rules/tax-table";
import * as Totals from "#local/model/rules/totals";
import type { Page } from "./page.ts";

/** One entry of a list, by canonical names. */
export type Entry = Map<string, Printed>;

/** Everything that the rules found on the paper, by canonical names; an absent fact was not found. */
export interface Facts {
  values: Map<string, Printed>;
  items: Entry[];
  taxes: Entry[];
  /** Recognized text, row by row. */
  rows: Printed[];
  /** Date and time in ISO form, for schemas that ask for `format: date` or `time`. */
  iso: Map<string, string>;
  /** Mean confidence of all lines: how sure "not on the paper" is. */
  confidence: number;
}

/** Reads the pages of one document. */
export function find(pages: Page[]): Facts {
  const read = Rows.group(pages);
  const country = Country.currencyOf(read);
  const rows = Signs.mend(read, country);
  const style = Amounts.detectStyle(rows);
  const segments = rows.map((row, index) => Amounts.segments(row, index, style));
  const table = TaxTable.find(
    segments,
    rows.map((row) => row.text),
  );
  const labels = Labeled.label(rows, segments, table, style);
  const items = Items.find(rows, segments, style, table.rows);
  const money = segments
    .flat()
    .filter((each) => each.kind === "number" && each.form === "money") as Amounts.Num[];
  const prices = items.map((item) => item.price.value);
  const totals = Totals.choose(labels, { style, table, money, prices });
  const dates = Dates.choose(rows, Dates.monthComesFirst(rows));
  const parties = Parties.find(rows, headEnd(rows, items, dates));
  const payment = Identifiers.payment(rows, labels, totals.cash, totals.card);

  const values = Identifiers.find(rows);
  const put = (key: string, value: Printed | undefined) => value && values.set(key, value);
  for (const [key, number] of Object.entries(totals)) put(key, printed(number));
  put("date", dates.date);
  put("time", dates.time);
  put("due_date", dates.due);
  put("method", payment.method);
  put("card_brand", payment.brand);
  put("card_last4", payment.last4);
  put("currency", currencyOf(rows, money, totals.total, country));
  for (const [party, facts] of Object.entries(parties)) {
    for (const [key, value] of Object.entries(facts)) put(`${party}.${key}`, value as Printed | undefined);
  }
  const iso = new Map<string, string>();
  for (const [key, stamp] of Object.entries({ date: dates.date, time: dates.time, due_date: dates.due })) {
    if (stamp) iso.set(key, stamp.iso);
  }
  const taxLines = table.lines.filter((line) => !line.isSum && line.tax);
  const confidences = rows.flatMap((row) => row.cells.map((cell) => cell.confidence));
  return {
    values,
    items: items.map(toEntry),
    taxes: taxLines.length > 0 ? taxLines.map(toTaxEntry) : taxRows(segments, labels),
    rows: rows.map((row) => ({
      text: row.text,
      confidence: Math.min(...row.cells.map((cell) => cell.confidence)),
    })),
    iso,
    confidence: confidences.reduce((sum, each) => sum + each, 0) / Math.max(1, confidences.length),
  };
}

/** The rows about the shop end at the date or the first item, but not at a date in the very first rows. */
function headEnd(rows: Rows.Row[], items: Items.Item[], dates: Dates.Dates): number {
  const firstItem = Math.min(rows.length, ...items.map((item) => item.row));
  // The name of an item may be printed above its price.
  const name = items[0]?.name?.text;
  const end = name && !rows[firstItem]?.text.includes(name) ? firstItem - 1 : firstItem;
  const date = dates.date?.row ?? rows.length;
  return Math.min(end, date < 3 ? rows.length : date + 1);
}

function printed(number: Amounts.Num | undefined): Printed | undefined {
  return number && { text: number.shown, confidence: number.confidence };
}

function entry(values: Record<string, Printed | undefined>): Entry {
  return new Map(Object.entries(values).flatMap(([key, value]) => (value ? [[key, value] as const] : [])));
}

function toEntry(item: Items.Item): Entry {
  return entry({
    name: item.name,
    code: item.code,
    quantity: quantityOf(item),
    unit_price: printed(item.unitPrice),
    price: printed(item.price),
    rate: printed(item.rate),
  });
}

/** In `2 x 17.35` the sign is between two numbers; in `2x Coffee` it belongs to the quantity. */
function quantityOf({ quantity, unitPrice }: Items.Item): Printed | undefined {
  const isProduct = quantity && unitPrice && quantity.source.text === unitPrice.source.text;
  return isProduct ? { text: quantity.text, confidence: quantity.confidence } : printed(quantity);
}

/** `19% MwSt auf 272,30   51,74`: a rate with its tax outside of a summary. */
function taxRows(segments: Amounts.Segment[][], labels: Labeled.Labeled[]): Entry[] {
  return labels.flatMap(({ role, number }) => {
    if (role !== "tax") return [];
    const numbers = (segments[number.row] ?? []).filter((segment) => segment.kind === "number");
    const rate = numbers.find((each) => each.form === "percent");
    if (!rate) return [];
    const expected = (each: Amounts.Num) =>
      Math.abs((each.value * rate.value) / 100 - number.value) <= 0.02 + each.value * 0.001;
    const base = numbers.find((each) => each.form === "money" && each !== number && expected(each));
    return [entry({ rate: printed(rate), base: printed(base), amount: printed(number) })];
  });
}

function toTaxEntry(line: TaxTable.TaxLine): Entry {
  return entry({
    rate: printed(line.rate),
    base: printed(line.net),
    amount: printed(line.tax),
    gross: printed(line.gross),
  });
}

const CURRENCY_WORD = new RegExp(
  `(?<!\\p{L})(?:${Amounts.anyCase("RM|MYR|Rp|IDR|EURO?|USD|GBP|CHF|SGD")}|${Amounts.CODES})(?!\\p{L})|[€£$₹₺](?!\\p{L})`,
  "u",
);
/** Marks that several countries share: there the paper's words decide. */
const SHARED: Record<string, string[]> = {
  kr: ["SEK", "NOK", "DKK"],
  $: ["AUD", "NZD", "CAD", "MXN", "ARS"],
  rs: ["INR"],
  r: ["ZAR"],
};

/**
 * The mark beside the total, else the one that most amounts have, else a word on the paper, else the currency that
 * the country's own words agree on.
 */
function currencyOf(
  rows: Rows.Row[],
  money: Amounts.Num[],
  total: Amounts.Num | undefined,
  country: string | undefined,
): Printed | undefined {
  const found = markOf(rows, money, total);
  const shared = found && SHARED[found.text.toLowerCase()];
  if (country === undefined || (found && !shared?.includes(country))) return found;
  const confidences = rows.flatMap((row) => row.cells.map((cell) => cell.confidence));
  return { text: country, confidence: Math.min(...confidences) };
}

function markOf(rows: Rows.Row[], money: Amounts.Num[], total: Amounts.Num | undefined): Printed | undefined {
  if (total?.currency) return { text: total.currency, confidence: total.confidence };
  const marked = money.filter((number) => number.currency);
  const count = (text: string | undefined) => marked.filter((number) => number.currency === text).length;
  const most = [...marked].sort((a, b) => count(b.currency) - count(a.currency))[0];
  if (most?.currency) return { text: most.currency, confidence: most.confidence };
  for (const row of rows) {
    for (const cell of row.cells) {
      const match = CURRENCY_WORD.exec(cell.text);
      if (match) return { text: match[0], confidence: cell.confidence };
    }
  }
  return undefined;
}
