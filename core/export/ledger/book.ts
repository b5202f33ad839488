import * as Decimal from "#core/canonical/money/decimal";
import type { Source } from "#core/export/table/maker";
import { type Apart, documentsOf } from "#core/run/documents";
import type { Item } from "#core/run/schema";
import type * as Mapping from "./mapping.ts";
import * as Paper from "./paper.ts";

/**
 * Turns a run's papers into ledger entries: each paper is booked whole, or left out and reported with the reason.
 * Formats declare their requirements and limits, and write the file.
 */

export interface Entry extends Paper.Paper {
  item: Apart<Item>;
  /** The item's name in messages. */
  name: string;
  /** The vendor's name in the ledger, else as printed. */
  vendor: string | undefined;
  counterAccount: string | undefined;
  /** In the order of the paper, each with its account and code. */
  bookings: Booking[];
}

export interface Booking extends Paper.Line {
  account: string;
  code: string;
}

interface Options {
  format: string;
  mapping: Mapping.Common & { counter_account?: string };
  /** Required in addition to a total and a date, which every ledger needs. */
  needs: readonly ("vendor" | "number")[];
  /** Largest number of decimals of an amount; undefined: any. */
  places?: number;
  /** Maximum number of digits before the decimal sign. */
  digits?: number;
  /** The format's own checks, which may also add values; throws `Paper.LeftOut`. */
  check?(paper: Paper.Paper, item: Apart<Item>): void;
  /** A key by which two papers count as the same. A paper without a number equals no other. */
  sameAs(paper: Paper.Paper & { number: string; vendor: string | undefined }): readonly string[];
  /** Limits of one file. */
  most?: { entries?: number; bookings?: number };
}

/** @throws AppError `invalid_request` if the run's task does not read a field that the format needs. */
export async function* entries(source: Source, options: Options): AsyncGenerator<Entry> {
  const { mapping, most, needs } = options;
  const roles = Paper.rolesOf(source.fields, {
    ...{ format: options.format, taskId: source.run.taskId },
    needs: ["total", "date", ...needs],
  });
  const rules = mapping.vendors.map((rule) => ({ ...rule, folded: folded(rule.match) }));
  const seen = new Set<string>();
  const { from, to = Number.POSITIVE_INFINITY } = mapping.items;
  const count = { entries: 0, bookings: 0 };
  for await (const item of apart(source.items)) {
    if (item.index < from || item.index > to) continue;
    try {
      const paper = Paper.read(item, roles, mapping);
      const { vendor } = paper;
      const printed = vendor === undefined ? undefined : folded(vendor);
      const rule = rules.find(({ folded: part }) => printed?.includes(part));
      const entry = entryOf(item, paper, rule, options);
      once(entry, seen, options);
      if (
        count.entries + 1 > (most?.entries ?? Number.POSITIVE_INFINITY) ||
        count.bookings + entry.bookings.length > (most?.bookings ?? Number.POSITIVE_INFINITY)
      )
        throw new Paper.LeftOut(
          "file_full",
          "the file holds no more: another with `items` in the mapping does",
        );
      count.entries += 1;
      count.bookings += entry.bookings.length;
      yield entry;
    } catch (thrown) {
      if (!(thrown instanceof Paper.LeftOut)) throw thrown;
      const { reason, message } = thrown;
      const { index, document, custom_id, file } = item;
      const numbered = document === undefined ? {} : { document };
      source.leaveOut({ index, ...numbered, custom_id, file, reason, message });
    }
  }
}

/** Each document of a file is a paper of its own. */
async function* apart(items: AsyncIterable<Item>): AsyncGenerator<Apart<Item>> {
  for await (const item of items) yield* documentsOf(item);
}

const folded = (text: string) => text.normalize("NFKC").toLowerCase();

function entryOf(
  item: Apart<Item>,
  paper: Paper.Paper,
  rule: Mapping.Vendor | undefined,
  { mapping, needs, places, digits, check }: Options,
): Entry {
  check?.(paper, item);
  const vendor = rule?.name ?? paper.vendor;
  if (needs.includes("vendor") && vendor === undefined)
    throw new Paper.LeftOut("no_vendor", "no vendor was read");
  if (needs.includes("number") && paper.number === undefined)
    throw new Paper.LeftOut("no_number", "no number was read, and the mapping has no `number_from`");
  const account = rule?.account ?? mapping.account;
  const bookings = paper.lines
    .filter(({ gross }) => Decimal.sign(gross) !== 0)
    .map((line): Booking => {
      const to = line.what === "expense" ? account : line.entry?.account;
      if (to === undefined)
        throw new Paper.LeftOut("no_account", "no rule of the mapping says where the expense goes");
      return { ...line, account: to, code: line.entry?.code ?? "" };
    });
  for (const amount of bookings.flatMap(({ gross, tax }) => [gross, tax ?? Decimal.zero])) {
    if (places !== undefined && Decimal.compare(Decimal.round(amount, places), amount) !== 0)
      throw new Paper.LeftOut(
        "too_many_decimals",
        `${Decimal.format(amount)} has more than ${places} decimals`,
      );
    const whole = Decimal.format(Decimal.abs(amount)).split(".")[0] ?? "";
    if (digits !== undefined && whole.length > digits)
      throw new Paper.LeftOut("amount_too_large", `${Decimal.format(amount)} has more than ${digits} digits`);
  }
  const counterAccount = rule?.counter_account ?? mapping.counter_account;
  const document = item.document === undefined ? "" : `, document ${item.document}`;
  const name = `item ${item.index}${document}${item.file || item.custom_id ? ` (${item.file ?? item.custom_id})` : ""}`;
  return { ...paper, item, name, vendor, counterAccount, bookings };
}

/**
 * A paper that was photographed twice is booked once. Without a number it may be another paper of the same day and
 * price, so both are booked.
 */
function once(entry: Entry, seen: Set<string>, { sameAs }: Options): void {
  const { number } = entry;
  if (number === undefined) return;
  const key = JSON.stringify(sameAs({ ...entry, number }).map(folded));
  if (seen.has(key))
    throw new Paper.LeftOut("duplicate", `number ${number} of this vendor is in the file already`);
  seen.add(key);
}

/** The key of a paper. It includes the date, because another invoice may have the same number in another year. */
export const samePaper: Options["sameAs"] = ({ number, vendor = "", date, total }) => [
  ...[number, vendor, date],
  Decimal.format(total),
];

/** The amount with exactly this many decimals, at least as many as it has. */
export function fixed(amount: Decimal.Decimal, places: number): string {
  const plain = Decimal.format(amount);
  if (places === 0) return plain;
  const [whole, fraction = ""] = plain.split(".");
  return `${whole}.${fraction.padEnd(places, "0")}`;
}

/**
 * A text on one line, truncated to the field's length; truncation is reported.
 * @param most - in characters.
 */
export function fitting(
  text: string,
  most: number,
  { what, name, note }: { what: string; name: string; note: Source["note"] },
): string {
  const line = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim();
  const chars = [...line];
  if (chars.length <= most) return line;
  note(`${name}: ${what} is cut to ${most} of ${chars.length} characters`);
  return chars.slice(0, most).join("").trimEnd();
}
