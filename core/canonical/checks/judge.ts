import * as Decimal from "#core/canonical/money/decimal";
import type { Check } from "#core/canonical/schema";
import * as Reading from "./reading.ts";
import type * as Tolerance from "./tolerance.ts";

/** Why a sum that does not fit proves nothing. */
export type Reason =
  /** The amounts are in different currencies, or may be. */
  | "currencies"
  /** An amount can be read in two ways. */
  | "ambiguous"
  /** No tax was read: the paper may print several, without their sum. */
  | "tax_missing"
  /** A row of the list has no amount. */
  | "row_missing"
  /** The difference is a usual rate of service. */
  | "service_missing"
  /** The difference may be a tip, and the task has no field for one. */
  | "tip"
  /** The difference is a usual rate of tax withheld. */
  | "withholding"
  /**
   * The row is cheaper than quantity and unit price give, and no misread digit explains it: a discount below the line.
   */
  | "line_discount"
  /** A row, such as a deposit, that counts in the total but not in the subtotal. */
  | "row_outside"
  /** The price is for another measure than the quantity. */
  | "measure"
  /** Part was paid with something that the task has no field for. */
  | "other_tender";

/** The outcome of a rule: a check, or the reason why there is none although its values are printed. */
export type Verdict = { check: Check } | { leftOut: { id: string; reason: Reason } };

export interface Candidate {
  variant: string | null;
  expected: Decimal.Decimal;
}

export interface Question {
  id: string;
  fields: string[];
  /** Ways to read the document. The nearest is judged; of equally near ones, the first. */
  candidates: readonly Candidate[];
  actual: Decimal.Decimal;
  tolerance: Tolerance.Tolerance | ((difference: Decimal.Decimal) => Tolerance.Tolerance);
  /** All amounts that took part. */
  amounts: readonly Reading.Amount[];
  /** Called when nothing fits: what may be missing on the paper or in the task. */
  excuse?: () => Reason | null;
}

/**
 * Judges the candidate nearest to what is printed. A sum that does not fit counts as a mistake only if no missing
 * part explains the difference. Amounts in different currencies are not compared.
 */
export function judge(question: Question, reading: Reading.Reading): Verdict[] {
  const { id, candidates, actual, amounts } = question;
  if (Reading.isMixed(amounts, reading)) return [{ leftOut: { id, reason: "currencies" } }];
  const [first, ...rest] = candidates;
  if (!first) return [];
  let best = first;
  let difference = distance(first, actual);
  for (const next of rest) {
    const other = distance(next, actual);
    if (Decimal.compare(other, difference) < 0) [best, difference] = [next, other];
  }
  const tolerance =
    typeof question.tolerance === "function" ? question.tolerance(difference) : question.tolerance;
  const ok = Decimal.compare(difference, tolerance.amount) <= 0;
  const reason = ok ? null : reasonOf(question, reading);
  if (reason !== null) return [{ leftOut: { id, reason } }];
  const check: Check = {
    id,
    ok,
    fields: question.fields,
    expected: Decimal.format(best.expected),
    actual: Decimal.format(actual),
    tolerance: Decimal.format(tolerance.amount),
    tolerance_from: tolerance.from,
    variant: best.variant,
  };
  return [{ check }];
}

export function distance({ expected }: Candidate, actual: Decimal.Decimal): Decimal.Decimal {
  return Decimal.abs(Decimal.minus(expected, actual));
}

function reasonOf({ amounts, excuse }: Question, reading: Reading.Reading): Reason | null {
  if (amounts.some(({ ambiguous }) => ambiguous)) return "ambiguous";
  if (Reading.hasOtherMarks(amounts, reading)) return "currencies";
  return excuse?.() ?? null;
}
