import { stringify } from "csv-stringify/sync";
import * as Decimal from "#core/canonical/money/decimal";
import * as Csv from "#core/export/table/csv";
import type { Source } from "#core/export/table/maker";
import * as Book from "./book.ts";
import type * as Mapping from "./mapping.ts";
import * as Paper from "./paper.ts";

/** Bills as tables: one line per tax rate of a paper, with the amount including tax. Shared by Xero and QuickBooks. */

interface Bill extends Book.Entry {
  vendor: string;
  number: string;
  /** In the mapping's date format. */
  billDate: string;
  dueDate: string;
}

interface Settings extends Mapping.Common {
  date_format: "DD/MM/YYYY" | "MM/DD/YYYY" | "YYYY-MM-DD";
  payment_days?: number | undefined;
  number_from?: "custom_id" | "file" | "request_id" | undefined;
}

interface Format {
  format: string;
  columns: readonly string[];
  /** The cells of a line by column name. */
  cells(bill: Bill, booking: Book.Booking): Record<string, string>;
  mostBills?: number;
  longest: { vendor: number; number: number };
}

/** Number of decimals in both formats, as in most ledgers. */
const places = 2;

/** Several documents of one file have its name in common. */
function numberFrom(item: Book.Entry["item"], from: "custom_id" | "file" | "request_id"): string | undefined {
  const given = item[from] ?? undefined;
  return given === undefined || item.document === undefined ? given : `${given}-${item.document}`;
}

/** The table of the bills. */
export async function* table(
  source: Source,
  { format, columns, cells, mostBills, longest }: Format,
): AsyncGenerator<string> {
  const settings = source.mapping as Settings;
  const entries = Book.entries(source, {
    ...{ format, mapping: settings, needs: ["vendor"], places },
    ...(mostBills === undefined ? {} : { most: { entries: mostBills } }),
    // Lines with the same number and vendor would be merged into one bill.
    sameAs: ({ number, vendor = "" }) => [[...number].slice(0, longest.number).join(""), vendor],
    check: (paper, item) => {
      if (Decimal.sign(paper.total) < 0)
        throw new Paper.LeftOut("credit_note", "its total is negative, and this file holds bills");
      if (settings.number_from !== undefined) paper.number ??= numberFrom(item, settings.number_from);
      if (paper.number === undefined)
        throw new Paper.LeftOut(
          "no_number",
          "no number was read, and the mapping's `number_from` gives none",
        );
      if (paper.due === undefined && settings.payment_days === undefined)
        throw new Paper.LeftOut("no_due_date", "no due date was read, and the mapping has no `payment_days`");
    },
  });
  const first = await entries.next();
  yield stringify([columns]);
  const lines = (entry: Book.Entry) => {
    const due = entry.due ?? daysAfter(entry.date, settings.payment_days ?? 0);
    const { note } = source;
    const cut = (text: string, most: number, what: string) =>
      safe(Book.fitting(text, most, { what, name: entry.name, note }), `${entry.name}: ${what}`, note);
    const bill: Bill = {
      ...entry,
      vendor: cut(entry.vendor ?? "", longest.vendor, "the vendor's name"),
      number: cut(entry.number ?? "", longest.number, "the number"),
      billDate: written(entry.date, settings.date_format),
      dueDate: written(due, settings.date_format),
    };
    return stringify(
      entry.bookings.map((booking) => {
        const row = cells(bill, booking);
        return columns.map((column) => row[column] ?? "");
      }),
    );
  };
  if (!first.done) yield lines(first.value);
  for await (const entry of entries) yield lines(entry);
}

/** Escapes text that a spreadsheet, in which such files are often opened, would treat as a formula. */
function safe(text: string, what: string, note: Source["note"]): string {
  const written = Csv.safe(text, { mayBeAmount: false });
  if (written !== text)
    note(`${what} is written as ${written}, so that no spreadsheet takes it for a formula`);
  return written;
}

export const amount = (value: Decimal.Decimal) => Book.fixed(value, places);

/** The description of a line. */
export function described({ what, entry }: Book.Booking): string {
  if (what !== "expense") return what === "tip" ? "Tip" : "Rounding";
  return entry === undefined || entry.rate === "none" ? "Expense" : `Expense, tax ${entry.rate} %`;
}

function written(iso: string, format: Settings["date_format"]): string {
  const [year = "", month = "", day = ""] = iso.split("-");
  return format.replace("YYYY", year).replace("MM", month).replace("DD", day);
}

const dayMs = 86_400_000;
function daysAfter(iso: string, days: number): string {
  return new Date(Date.parse(`${iso}T00:00:00Z`) + days * dayMs).toISOString().slice(0, 10);
}
