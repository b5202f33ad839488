import Big from "big.js";
import * as z from "zod";
import type { Normalized } from "./normalize.ts";
import { canonical } from "./number.ts";
import * as Tolerance from "./tolerance.ts";

/**
 * Arithmetic over what was read. It only checks: nothing here fills in or changes a value. A check is left out
 * when a value that it needs is not printed, does not read as an amount, or is ambiguous as a quantity or date.
 */

export const Check = z
  .object({
    id: z.string(),
    ok: z.boolean(),
    fields: z
      .array(z.string())
      .meta({ description: "The values that took part, by path; `items[].price` stands for all rows" }),
    expected: z
      .string()
      .meta({ description: "What the other values add up to; for dates, the earliest that fits" }),
    actual: z.string().meta({ description: "What is printed" }),
    tolerance: z
      .string()
      .nullable()
      .meta({ description: "Largest difference that is still right; null for dates" }),
    tolerance_from: z.enum(["currency", "magnitude", "precision"]).nullable().meta({
      description:
        "currency: its cash rounding; magnitude: large whole amounts; precision: one smallest unit a part",
    }),
    variant: z
      .string()
      .nullable()
      .meta({ description: "The reading of the document that fits best, where there are several" }),
  })
  .meta({ id: "Check", description: "One arithmetic check of the extracted values against each other" });
export type Check = z.infer<typeof Check>;

/** The parts between the sum of items and the total, by path. Absent ones are null in the result. */
export interface Parts {
  tax?: string;
  discount?: string;
  /** Service, tip, shipping: added whatever the tax. */
  added?: readonly string[];
  /** A printed rounding; with it nothing is left to cash rounding. */
  rounding?: string;
  /** Paid by transfer: nothing is rounded for cash. */
  exact?: true;
}

/** A check as a task declares it: which of its fields play which part. */
export type Rule =
  | ({ rule: "total_is_sum_of_parts"; total: string; subtotal: string } & Parts)
  | ({ rule: "items_sum_is_subtotal"; items: string; subtotal?: string; total?: string } & Parts)
  | {
      rule: "item_price_is_quantity_times_unit";
      quantity: string;
      unitPrice: string;
      price: string;
      taxRate?: string;
    }
  | { rule: "cash_minus_total_is_change"; cash: string; card?: string; total: string; change: string }
  | { rule: "taxes_sum_is_tax"; parts: string; tax: string }
  | { rule: "amount_due_is_total_minus_paid"; total: string; paid: string; due: string }
  | { rule: "dates_in_order"; earlier: string; later: string };

interface Reading {
  result: unknown;
  normalized: Normalized;
  scale: Tolerance.Scale;
}

/** A check for every row of a longer list would make the answer larger than what it checks. */
const maxRowChecks = 200;

/**
 * Runs a task's rules over a result and its canonical values (`normalize`). Of several ways to read a document
 * (tax added or included, discount still to be taken off or not) the one that fits best is judged and named.
 * Never throws.
 */
export function run(task: { checks: readonly Rule[] }, result: unknown, normalized: Normalized): Check[] {
  const reading = { result, normalized, scale: Tolerance.scaleOf(normalized) };
  return task.checks.flatMap((rule) => apply(rule, reading));
}

function apply(rule: Rule, reading: Reading): Check[] {
  switch (rule.rule) {
    case "total_is_sum_of_parts":
      return totalIsSumOfParts(rule, reading);
    case "items_sum_is_subtotal":
      return itemsSumIsSubtotal(rule, reading);
    case "item_price_is_quantity_times_unit":
      return itemPriceIsQuantityTimesUnit(rule, reading);
    case "cash_minus_total_is_change":
      return cashMinusTotalIsChange(rule, reading);
    case "taxes_sum_is_tax":
      return taxesSumIsTax(rule, reading);
    case "amount_due_is_total_minus_paid":
      return amountDueIsTotalMinusPaid(rule, reading);
    case "dates_in_order":
      return datesInOrder(rule, reading);
  }
}

type Printed = { path: string; amount: Big };

/** The value at a concrete path: an amount, absent (null in the result), or there but not readable. */
function at(path: string | undefined, { result, normalized }: Reading): Printed | "absent" | "unreadable" {
  if (path === undefined) return "absent";
  const entry = Object.hasOwn(normalized, path) ? normalized[path] : undefined;
  if (entry) return { path, amount: new Big(entry.value) };
  const value = path
    .split(/[.[\]]+/)
    .filter((step) => step !== "")
    .reduce<unknown>(
      (node, step) =>
        typeof node === "object" && node !== null && Object.hasOwn(node, step)
          ? (node as Record<string, unknown>)[step]
          : undefined,
      result,
    );
  return value === null || value === undefined ? "absent" : "unreadable";
}

function amountAt(path: string | undefined, reading: Reading): Printed | null {
  const found = at(path, reading);
  return typeof found === "string" ? null : found;
}

/** The rows of `items[].price` that have a value; null when one of them has a value that does not read. */
function column(path: string, reading: Reading): Printed[] | null {
  const [list = "", leaf = ""] = path.split("[].");
  const rows = rowsOf(list, reading);
  const found = Array.from({ length: rows }, (_, index) => at(`${list}[${index}].${leaf}`, reading));
  if (found.includes("unreadable")) return null;
  return found.filter((value) => typeof value !== "string");
}

function rowsOf(list: string, { result }: Reading): number {
  const rows =
    typeof result === "object" && result !== null && Object.hasOwn(result, list)
      ? (result as Record<string, unknown>)[list]
      : undefined;
  return Array.isArray(rows) ? rows.length : 0;
}

function sum(amounts: readonly Printed[]): Big {
  return amounts.reduce((total, { amount }) => total.plus(amount), new Big(0));
}

interface Candidate {
  variant: string | null;
  expected: Big;
}

/** Judges the candidate nearest to what is printed; of equal ones the first. */
function judge(
  id: string,
  fields: string[],
  candidates: readonly Candidate[],
  actual: Big,
  tolerance: Tolerance.Tolerance,
): Check[] {
  const distance = ({ expected }: Candidate) => expected.minus(actual).abs();
  const [first, ...rest] = candidates;
  if (!first) return [];
  const best = rest.reduce((nearest, next) => (distance(next).lt(distance(nearest)) ? next : nearest), first);
  return [
    {
      id,
      ok: distance(best).lte(tolerance.amount),
      fields,
      expected: canonical(best.expected),
      actual: canonical(actual),
      tolerance: canonical(tolerance.amount),
      tolerance_from: tolerance.from,
      variant: best.variant,
    },
  ];
}

/**
 * From the sum of items to the total. Tax may be in the prices already (Europe's and Malaysia's shops) or come
 * on top (North America, Indonesia's restaurants); a discount may be taken off before the subtotal is printed.
 * Discounts are printed with and without a minus: the sign is ignored. Null when a part does not read.
 */
function totals(
  base: Big,
  parts: Parts,
  reading: Reading,
): { candidates: Candidate[]; used: number; rounded: boolean } | null {
  const tax = at(parts.tax, reading);
  const discount = at(parts.discount, reading);
  const added = [...(parts.added ?? []), parts.rounding].map((path) => at(path, reading));
  if (tax === "unreadable" || discount === "unreadable" || added.includes("unreadable")) return null;
  const additions = added.filter((value) => typeof value !== "string");
  const start = base.plus(sum(additions));
  const withTax: Candidate[] =
    tax === "absent"
      ? [{ variant: "no_tax", expected: start }]
      : [
          { variant: "tax_added", expected: start.plus(tax.amount) },
          { variant: "tax_included", expected: start },
        ];
  const candidates =
    discount === "absent"
      ? withTax
      : [
          ...withTax.map(({ variant, expected }) => ({
            variant,
            expected: expected.minus(discount.amount.abs()),
          })),
          ...withTax.map(({ variant, expected }) => ({ variant: `${variant}_discount_applied`, expected })),
        ];
  const used = [tax, discount].filter((value) => typeof value !== "string");
  return {
    candidates,
    used: used.length + additions.length,
    rounded: parts.exact === true || amountAt(parts.rounding, reading) !== null,
  };
}

/** Parts that are null took part too: that they are not printed is what was read. */
function partsOf({ tax, added, discount, rounding }: Parts): string[] {
  return [tax, ...(added ?? []), discount, rounding].filter((path) => path !== undefined);
}

function totalTolerance(reading: Reading, total: Big, parts: number, rounded: boolean): Tolerance.Tolerance {
  return rounded ? Tolerance.ofParts(reading.scale, parts) : Tolerance.ofCash(reading.scale, total, parts);
}

function totalIsSumOfParts(
  rule: Extract<Rule, { rule: "total_is_sum_of_parts" }>,
  reading: Reading,
): Check[] {
  const total = amountAt(rule.total, reading);
  const subtotal = amountAt(rule.subtotal, reading);
  const found = subtotal && totals(subtotal.amount, rule, reading);
  if (!total || !found) return [];
  const fields = [subtotal.path, ...partsOf(rule), total.path];
  const tolerance = totalTolerance(reading, total.amount, found.used + 1, found.rounded);
  return judge(rule.rule, fields, found.candidates, total.amount, tolerance);
}

/**
 * The printed prices of all rows against the subtotal; without a subtotal against the total, the rows in its
 * place. Rows without a price (remarks, options) count nothing. Each price is exact as printed, so against a
 * subtotal only one unit of rounding is allowed.
 */
function itemsSumIsSubtotal(
  rule: Extract<Rule, { rule: "items_sum_is_subtotal" }>,
  reading: Reading,
): Check[] {
  const prices = column(rule.items, reading);
  if (!prices || prices.length === 0) return [];
  const items = sum(prices);
  const subtotal = at(rule.subtotal, reading);
  if (subtotal === "unreadable") return [];
  if (subtotal !== "absent") {
    const discount = amountAt(rule.discount, reading);
    const tax = amountAt(rule.tax, reading);
    const candidates: Candidate[] = [{ variant: "subtotal", expected: items }];
    if (discount)
      candidates.push({ variant: "subtotal_after_discount", expected: items.minus(discount.amount.abs()) });
    if (tax) candidates.push({ variant: "subtotal_before_tax", expected: items.minus(tax.amount) });
    return judge(
      rule.rule,
      [rule.items, subtotal.path],
      candidates,
      subtotal.amount,
      Tolerance.ofParts(reading.scale, 1),
    );
  }
  const total = amountAt(rule.total, reading);
  const found = total && totals(items, rule, reading);
  if (!found) return [];
  const tolerance = totalTolerance(reading, total.amount, found.used + 1, found.rounded);
  const fields = [rule.items, ...partsOf(rule), total.path];
  return judge("items_sum_is_total", fields, found.candidates, total.amount, tolerance);
}

/** Half of the last printed place of a canonical decimal: what rounding may have taken from it. */
function halfPlace(value: Big): Big {
  const places = canonical(value).split(".")[1]?.length ?? 0;
  return new Big(10).pow(-places).div(2);
}

/**
 * One check a row that has all three values. Whole quantities multiply exactly, but for one unit; a weighed
 * quantity or a unit price finer than the unit was itself rounded, and the error grows with the other factor
 * (first-order error propagation).
 */
function itemPriceIsQuantityTimesUnit(
  rule: Extract<Rule, { rule: "item_price_is_quantity_times_unit" }>,
  reading: Reading,
): Check[] {
  const [list = ""] = rule.price.split("[].");
  const rows = Math.min(rowsOf(list, reading), maxRowChecks);
  return Array.from({ length: rows }, (_, index) => {
    const row = (path: string) => path.replace("[]", `[${index}]`);
    const quantity = amountAt(row(rule.quantity), reading);
    const unitPrice = amountAt(row(rule.unitPrice), reading);
    const price = amountAt(row(rule.price), reading);
    if (!quantity || !unitPrice || !price) return [];
    const printedQuantity = reading.normalized[quantity.path];
    // Grams and millilitres are priced by the kilo, the litre or the hundred: the paper rarely says which.
    if (printedQuantity?.ambiguous || /^(?:g|gr|mg|ml|cl|dl)$/.test(printedQuantity?.unit ?? "")) return [];
    const product = quantity.amount.times(unitPrice.amount);
    const rate = rule.taxRate === undefined ? null : amountAt(row(rule.taxRate), reading);
    const candidates: Candidate[] = [{ variant: rate ? "without_tax" : null, expected: product }];
    if (rate) candidates.push({ variant: "with_tax", expected: product.times(rate.amount.div(100).plus(1)) });
    const weighed = !quantity.amount.eq(quantity.amount.round());
    const fine = halfPlace(unitPrice.amount).times(2).lt(reading.scale.unit);
    const tolerance: Tolerance.Tolerance = {
      amount: reading.scale.unit
        .plus(weighed ? halfPlace(quantity.amount).times(unitPrice.amount.abs()) : 0)
        .plus(weighed || fine ? halfPlace(unitPrice.amount).times(quantity.amount.abs()) : 0),
      from: "precision",
    };
    return judge(
      rule.rule,
      [quantity.path, unitPrice.path, price.path],
      roundedTo(candidates),
      price.amount,
      tolerance,
    );
  }).flat();
}

/** Products have more decimals than anybody prints; six are enough to judge them. */
function roundedTo(candidates: readonly Candidate[]): Candidate[] {
  return candidates.map(({ variant, expected }) => ({ variant, expected: expected.round(6) }));
}

/** Change is printed with and without a minus: the sign is ignored. A card may have paid a part. */
function cashMinusTotalIsChange(
  rule: Extract<Rule, { rule: "cash_minus_total_is_change" }>,
  reading: Reading,
): Check[] {
  const cash = amountAt(rule.cash, reading);
  const total = amountAt(rule.total, reading);
  const change = amountAt(rule.change, reading);
  const card = at(rule.card, reading);
  if (!cash || !total || !change || card === "unreadable") return [];
  const left = cash.amount.minus(total.amount);
  const candidates: Candidate[] =
    card === "absent"
      ? [{ variant: null, expected: left }]
      : [
          { variant: "cash_and_card", expected: left.plus(card.amount) },
          { variant: "cash_alone", expected: left },
        ];
  const fields = [cash.path, ...(card === "absent" ? [] : [card.path]), total.path, change.path];
  return judge(
    rule.rule,
    fields,
    candidates,
    change.amount.abs(),
    Tolerance.ofCash(reading.scale, total.amount, 1),
  );
}

function taxesSumIsTax(rule: Extract<Rule, { rule: "taxes_sum_is_tax" }>, reading: Reading): Check[] {
  const tax = amountAt(rule.tax, reading);
  const parts = column(rule.parts, reading);
  if (!tax || !parts || parts.length === 0) return [];
  const candidates = [{ variant: null, expected: sum(parts) }];
  return judge(
    rule.rule,
    [rule.parts, tax.path],
    candidates,
    tax.amount,
    Tolerance.ofParts(reading.scale, parts.length),
  );
}

function amountDueIsTotalMinusPaid(
  rule: Extract<Rule, { rule: "amount_due_is_total_minus_paid" }>,
  reading: Reading,
): Check[] {
  const total = amountAt(rule.total, reading);
  const paid = amountAt(rule.paid, reading);
  const due = amountAt(rule.due, reading);
  if (!total || !paid || !due) return [];
  const candidates = [{ variant: null, expected: total.amount.minus(paid.amount.abs()) }];
  return judge(
    rule.rule,
    [total.path, paid.path, due.path],
    candidates,
    due.amount,
    Tolerance.ofParts(reading.scale, 1),
  );
}

/** ISO dates compare as text. */
function datesInOrder(rule: Extract<Rule, { rule: "dates_in_order" }>, { normalized }: Reading): Check[] {
  const earlier = normalized[rule.earlier];
  const later = normalized[rule.later];
  if (!earlier || !later || earlier.ambiguous || later.ambiguous) return [];
  return [
    {
      id: rule.rule,
      ok: earlier.value <= later.value,
      fields: [rule.earlier, rule.later],
      expected: earlier.value,
      actual: later.value,
      tolerance: null,
      tolerance_from: null,
      variant: null,
    },
  ];
}
