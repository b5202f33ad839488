import * as z from "zod";
import type { Normalized } from "./normalize.ts";
import * as Payments from "./payments.ts";
import * as Reading from "./reading.ts";
import * as Rows from "./rows.ts";
import type { Rule } from "./rule.ts";
import * as Totals from "./totals.ts";
import type { Verdict } from "./verdict.ts";

export type { Beside, Parts, Rule } from "./rule.ts";
export type { Reason, Verdict } from "./verdict.ts";

/**
 * Arithmetic over what was read. It only checks: nothing here fills in or changes a value. A check is left out
 * when a value that it needs is not printed, does not read as an amount, or is ambiguous as a quantity or date; and
 * where the sum does not fit, but a part that is not printed or that the task does not ask for may explain it.
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
      .meta({
        description:
          "The reading of the document that fits best, where there are several. Of totals: `no_tax`, `tax_added`, " +
          "`tax_included`; without a printed sum of several taxes `taxes_added`, `taxes_included`, " +
          "`taxes_partly_added`, `tax_withheld`; with `_discount_applied`, `_service_included`, `_tip_apart` or " +
          "`_after_payment` behind them where these are in the base, in the prices, below the total or taken off " +
          "already. Of a subtotal: `subtotal`, `subtotal_after_discount`, `subtotal_before_tax`, " +
          "`subtotal_after_discount_before_tax`. Of a row: `without_tax`, `with_tax`, `tax_taken_off`. Of change: " +
          "`cash_and_card`, `cash_alone`, `voucher`, `tip_apart`, `refund`, `cash_minus_refund`. Of taxes: " +
          "`tax_withheld`. Others may follow.",
      }),
  })
  .meta({ id: "Check", description: "One arithmetic check of the extracted values against each other" });
export type Check = z.infer<typeof Check>;

/**
 * Runs a task's rules over a result and its canonical values (`normalize`). Of several ways to read a document
 * (tax added or included, discount still to be taken off or not) the one that fits best is judged and named.
 * Never throws.
 */
export function run(task: { checks: readonly Rule[] }, result: unknown, normalized: Normalized): Check[] {
  return examine(task, result, normalized).flatMap((verdict) => ("check" in verdict ? [verdict.check] : []));
}

/** As `run`, with what it leaves out of values that are printed and do not fit, and the reason. */
export function examine(
  task: { checks: readonly Rule[] },
  result: unknown,
  normalized: Normalized,
): Verdict[] {
  const reading = Reading.of(result, normalized);
  const verdicts: Verdict[] = [];
  // Whether the rows add up is known before each of them is judged.
  const rows: { rule: Rule & { rule: "item_price_is_quantity_times_unit" }; at: number }[] = [];
  for (const rule of task.checks) {
    if (rule.rule === "item_price_is_quantity_times_unit") rows.push({ rule, at: verdicts.length });
    else verdicts.push(...apply(rule, reading));
  }
  const sumIsWrong = verdicts.some(
    (verdict) => "check" in verdict && !verdict.check.ok && verdict.check.id.startsWith("items_sum_is_"),
  );
  for (const { rule, at } of rows.reverse()) {
    verdicts.splice(at, 0, ...Rows.itemPriceIsQuantityTimesUnit(rule, reading, sumIsWrong));
  }
  return verdicts;
}

function apply(
  rule: Exclude<Rule, { rule: "item_price_is_quantity_times_unit" }>,
  reading: Reading.Reading,
): Verdict[] {
  switch (rule.rule) {
    case "total_is_sum_of_parts":
      return Totals.totalIsSumOfParts(rule, reading);
    case "items_sum_is_subtotal":
      return Totals.itemsSumIsSubtotal(rule, reading);
    case "cash_minus_total_is_change":
      return Payments.cashMinusTotalIsChange(rule, reading);
    case "taxes_sum_is_tax":
      return Payments.taxesSumIsTax(rule, reading);
    case "amount_due_is_total_minus_paid":
      return Payments.amountDueIsTotalMinusPaid(rule, reading);
    case "dates_in_order":
      return datesInOrder(rule, reading);
  }
}

/** ISO dates compare as text. */
function datesInOrder(
  rule: Extract<Rule, { rule: "dates_in_order" }>,
  { normalized }: Reading.Reading,
): Verdict[] {
  const earlier = normalized[rule.earlier];
  const later = normalized[rule.later];
  if (!earlier || !later || earlier.ambiguous || later.ambiguous) return [];
  const check = {
    id: rule.rule,
    ok: earlier.value <= later.value,
    fields: [rule.earlier, rule.later],
    expected: earlier.value,
    actual: later.value,
    tolerance: null,
    tolerance_from: null,
    variant: null,
  };
  return [{ check }];
}
