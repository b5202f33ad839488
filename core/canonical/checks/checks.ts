import type { Normalized } from "#core/canonical/normalize";
import type { Check } from "#core/canonical/schema";
import type { Verdict } from "./judge.ts";
import * as Payments from "./payments.ts";
import * as Reading from "./reading.ts";
import * as Rows from "./rows.ts";
import type { Rule } from "./rule.ts";
import * as Totals from "./totals.ts";

/**
 * Arithmetic over what was read. It only checks: nothing here fills in or changes a value. A check is left out when a
 * value that it needs is not printed, cannot be read as an amount, or is ambiguous as a quantity or date. It is also
 * left out when the sum does not fit, but a part that is not printed, or that the task does not ask for, may explain
 * the difference.
 */

/**
 * Runs a task's rules over a result and its canonical values (`normalize`). If a document can be read in several ways
 * (tax added or included, discount already deducted or not), the way that fits best is judged and named. Never throws.
 */
export function run(task: { checks: readonly Rule[] }, result: unknown, normalized: Normalized): Check[] {
  return examine(task, result, normalized).flatMap((verdict) => ("check" in verdict ? [verdict.check] : []));
}

/**
 * As `run`. Also returns the checks that were left out although their values are printed and do not fit, with the
 * reason.
 */
export function examine(
  task: { checks: readonly Rule[] },
  result: unknown,
  normalized: Normalized,
): Verdict[] {
  const reading = Reading.of(result, normalized);
  const verdicts: Verdict[] = [];
  // Whether the rows add up must be known before each row is judged.
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
