import * as Decimal from "#core/canonical/money/decimal";
import * as Money from "#core/canonical/money/money";
import type { Normalized } from "#core/canonical/normalize";
import * as Tolerance from "./tolerance.ts";

/**
 * A result as the checks use it: amounts by path, columns of rows, and the document's currencies. Every path is parsed
 * once, and every column is read once.
 */
export interface Reading {
  result: unknown;
  normalized: Normalized;
  /** Currencies of the document's amounts; empty if no mark is printed or none could be decided. */
  currencies: ReadonlySet<string>;
  /** Every amount of the document. */
  amounts: readonly { currency: string | null; value: string }[];
  columns: Map<string, Column>;
  scales: Map<string | null, Tolerance.Scale>;
}

export interface Amount {
  path: string;
  value: Decimal.Decimal;
  /** Null stands for the document's currency. */
  currency: string | null;
  ambiguous: boolean;
}

/** An amount, absent (null in the result), or present but not readable. */
export type Found = Amount | "absent" | "unreadable";

/** The values of `items[].price`, row by row. */
interface Column {
  path: string;
  rows: Found[];
}

export function of(result: unknown, normalized: Normalized): Reading {
  const currencies = new Set<string>();
  const amounts: Reading["amounts"][number][] = [];
  for (const path in normalized) {
    const { currency, value } = normalized[path] ?? {};
    if (currency === undefined || value === undefined) continue;
    amounts.push({ currency, value });
    if (currency !== null) currencies.add(currency);
  }
  return { result, normalized, currencies, amounts, columns: new Map(), scales: new Map() };
}

/** Parsed rule paths, cached. Paths come from task definitions only, so the cache is bounded. */
const compiled = new Map<string, readonly string[]>();

function stepsOf(path: string): readonly string[] {
  const known = compiled.get(path);
  if (known) return known;
  const steps = path.split(".");
  compiled.set(path, steps);
  return steps;
}

function child(node: unknown, name: string): unknown {
  return typeof node === "object" && node !== null && Object.hasOwn(node, name)
    ? (node as Record<string, unknown>)[name]
    : undefined;
}

function found(path: string, printed: unknown, normalized: Normalized): Found {
  const entry = Object.hasOwn(normalized, path) ? normalized[path] : undefined;
  if (!entry) return printed === null || printed === undefined ? "absent" : "unreadable";
  return {
    path,
    value: Decimal.of(entry.value),
    currency: entry.currency ?? null,
    ambiguous: entry.ambiguous === true,
  };
}

/** What was printed at a path without rows: a string, or null. */
export function printedAt(path: string | undefined, { result }: Reading): string | null {
  if (path === undefined) return null;
  const value = stepsOf(path).reduce(child, result);
  return typeof value === "string" ? value : null;
}

/** The value at a path without rows. A path that the task does not have is absent. */
export function at(path: string | undefined, reading: Reading): Found {
  if (path === undefined) return "absent";
  return found(path, stepsOf(path).reduce(child, reading.result), reading.normalized);
}

export function amountAt(path: string | undefined, reading: Reading): Amount | null {
  const value = at(path, reading);
  return typeof value === "string" ? null : value;
}

/** The values of a list's field, `items[].price`; without the list, no rows. */
export function column(path: string, reading: Reading): Column {
  const known = reading.columns.get(path);
  if (known) return known;
  const [list = "", leaf = ""] = path.split("[].");
  const node = stepsOf(list).reduce(child, reading.result);
  const rows = Array.isArray(node)
    ? node.map((row, index) => found(`${list}[${index}].${leaf}`, child(row, leaf), reading.normalized))
    : [];
  const read = { path, rows };
  reading.columns.set(path, read);
  return read;
}

/** The amounts of a column; null if a row has a value that cannot be read. */
export function amountsOf({ rows }: Column): Amount[] | null {
  const amounts: Amount[] = [];
  for (const row of rows) {
    if (row === "unreadable") return null;
    if (row !== "absent") amounts.push(row);
  }
  return amounts;
}

export function sum(amounts: readonly Amount[]): Decimal.Decimal {
  return amounts.reduce((total, { value }) => Decimal.plus(total, value), Decimal.zero);
}

/** The currency of these amounts: the first that one of them has, or null if none has one. */
function currencyOf(amounts: readonly Amount[], reading: Reading): string | null {
  const [only] = reading.currencies;
  if (reading.currencies.size === 1 && only !== undefined) return only;
  return amounts.find(({ currency }) => currency !== null)?.currency ?? null;
}

/** How precisely the document prints amounts in the currency of these. */
export function scaleFor(amounts: readonly Amount[], reading: Reading): Tolerance.Scale {
  const currency = currencyOf(amounts, reading);
  const known = reading.scales.get(currency);
  if (known) return known;
  const values: string[] = [];
  for (const amount of reading.amounts) {
    if (amount.currency === null || amount.currency === currency) values.push(amount.value);
  }
  const scale = Tolerance.scaleOf(currency, values);
  reading.scales.set(currency, scale);
  return scale;
}

/**
 * True if the amounts are in different currencies, or an unmarked one occurs in a document with several currencies:
 * their sum is then meaningless.
 */
export function isMixed(amounts: readonly Amount[], reading: Reading): boolean {
  if (reading.currencies.size < 2) return false;
  // With several currencies in the document, one that is not marked may be any of them.
  const first = amounts[0]?.currency;
  for (const { currency } of amounts) if (currency !== first) return true;
  return false;
}

/** What is removed from a printed amount so that only letters and signs of a currency mark remain. */
const notMark = /[\p{Nd}\s.,'’·:()*#+\-–−/]/gu;

/**
 * True if amounts have different marks of which none determines a currency ("kr", an unknown sign): they may be in
 * different currencies. Reads the printed texts again, so it is called only for sums that do not fit.
 */
export function hasOtherMarks(amounts: readonly Amount[], reading: Reading): boolean {
  const marks = amounts.map((amount) => {
    if (amount.currency !== null) return amount.currency;
    const printed = printedIn(amount.path, reading);
    return printed !== null && Money.isMarked(printed) ? printed.replace(notMark, "").toLowerCase() : null;
  });
  return new Set(marks.filter((mark) => mark !== null)).size > 1;
}

/** What was printed at a concrete path, rows included. */
export function printedIn(path: string, { result }: Reading): string | null {
  const steps = path.split(/[.[\]]+/).filter((step) => step !== "");
  const value = steps.reduce(child, result);
  return typeof value === "string" ? value : null;
}
