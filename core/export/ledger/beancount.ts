import * as Decimal from "#core/canonical/money/decimal";
import type { Source } from "#core/export/table/maker";
import * as Book from "./book.ts";
import * as Mapping from "./mapping.ts";

/*
 * Beancount's input language (version 3): one transaction per paper. All amounts of a transaction have the same number
 * of decimals, the most that are printed, because Beancount derives the tolerance of the balance from the coarsest one.
 */

export const mapping = Mapping.Beancount;

/** Longer than any vendor's name. */
const longestPayee = 300;

export async function* make(source: Source): AsyncGenerator<string> {
  const settings = source.mapping as Mapping.Beancount;
  const entries = Book.entries(source, {
    format: "beancount",
    mapping: settings,
    needs: [],
    sameAs: Book.samePaper,
  });
  const first = await entries.next();
  if (settings.open_on !== undefined)
    yield `${accountsOf(settings)
      .map((account) => `${settings.open_on} open ${account} ${settings.currency}\n`)
      .join("")}\n`;
  if (!first.done) yield transaction(source, settings, first.value);
  for await (const entry of entries) yield transaction(source, settings, entry);
}

function accountsOf(settings: Mapping.Beancount): string[] {
  const all = [
    ...[settings.account, settings.counter_account, settings.tips?.account, settings.rounding?.account],
    ...settings.vendors.flatMap((vendor) => [vendor.account, vendor.counter_account]),
    ...(settings.taxes ?? []).map(({ account }) => account),
  ];
  return [...new Set(all)].filter((account) => account !== undefined).sort();
}

function transaction({ run, note }: Source, settings: Mapping.Beancount, entry: Book.Entry): string {
  const { name, item, number, decimals, bookings } = entry;
  const payee = Book.fitting(entry.vendor ?? "", longestPayee, { what: "the payee", name, note });
  const narration = Book.fitting(number ?? "", longestPayee, { what: "the number", name, note });
  const sums = new Map<string, Decimal.Decimal>();
  const add = (account: string, amount: Decimal.Decimal) =>
    sums.set(account, Decimal.plus(sums.get(account) ?? Decimal.zero, amount));
  for (const { account, gross, tax = Decimal.zero, entry: rate, what } of bookings) {
    const ofTax = what === "expense" ? rate?.account : undefined;
    add(account, ofTax === undefined ? gross : Decimal.minus(gross, tax));
    if (ofTax !== undefined) add(ofTax, tax);
  }
  add(entry.counterAccount ?? "", Decimal.negate(entry.total));
  const postings = [...sums]
    .filter(([, amount]) => Decimal.sign(amount) !== 0)
    .map(([account, amount]) => `  ${account}  ${Book.fixed(amount, decimals)} ${settings.currency}\n`);
  const facts = {
    run: run.runId,
    item: String(item.index),
    ...(item.document === undefined ? {} : { document: String(item.document) }),
    ...(item.file === null ? {} : { file: item.file }),
    ...(item.request_id === null ? {} : { request: item.request_id }),
  };
  return [
    `${entry.date} ${settings.flag} ${quoted(payee)} ${quoted(narration)}\n`,
    ...Object.entries(facts).map(([key, value]) => `  ${key}: ${quoted(value)}\n`),
    ...postings,
    "\n",
  ].join("");
}

const quoted = (text: string) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
