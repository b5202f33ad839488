import * as Decimal from "./decimal.ts";
import type { Reason } from "./verdict.ts";

/**
 * What may be missing between the parts of a sum and what is printed below them: a tax, a service charge, a tip, a tax
 * withheld. A missing part explains a difference only where it has the size that such parts have.
 */
export interface Gap {
  /** The sum of the items or the subtotal; its sign is the document's (a refund is negative). */
  base: Decimal.Decimal;
  /** What is printed. */
  actual: Decimal.Decimal;
  /** What the printed parts add up to, in every way to read them. */
  expected: readonly Decimal.Decimal[];
  /** The tax that is printed, if any. */
  tax: Decimal.Decimal | null;
  /** How far the actual sum may be off by rounding. */
  tolerance: Decimal.Decimal;
  /** No tax was read, and no list of taxes. */
  lacksTax: boolean;
  /** The task asks for a service charge, and none was read. */
  lacksService: boolean;
  /** The task has no field for a tip. */
  lacksTip: boolean;
  /** The actual sum, and no other, was paid by card. */
  paidByCard: boolean;
}

/** The highest rate of tax on sales that tills print: India's 40 % (2025); Europe's highest is Hungary's 27 %. */
const mostTax = Decimal.of("40");
/** Service and tips in percent of the base: less is nobody's custom, more is a mistake. */
const leastExtra = Decimal.of("2");
const mostExtra = Decimal.of("35");
const mostService = Decimal.of("25");
const mostWithheld = Decimal.of("35");

/** Printed as a rate anywhere; finer ones are tried only where chance would not fit them as well. */
const usualRates = ["5", "7", "7.5", "10", "12", "12.5", "15", "18", "20"].map(Decimal.of);
/** Steps of the finer rates. */
const fineSteps = ["0.5", "1", "5"].map(Decimal.of);
/** A rate proves something where the next one is farther away than this many times what rounding hides. */
const clearSteps = Decimal.of("6");
/** Shares of the tax that the customer keeps: Türkiye's tenths (tevkifat), Colombia 15 %, Ecuador 70 %, Venezuela 75 %. */
const sharesOfTax = ["15", "20", "30", "40", "50", "70", "75", "80", "90", "100"].map(Decimal.of);
/** Not on a half: Mexico keeps two thirds of 16 % (with 1.25 or 10 % of income tax), Chile 15.25 %, Italy's agents 11.5 % or 4.6 %. */
const oddWithheld = ["10.6667", "11.9167", "20.6667", "1.25", "14.5", "15.25", "4.6"].map(Decimal.of);

/** Why the difference proves nothing; null where no missing part has this size. */
export function explain(gap: Gap): Reason | null {
  const side = Decimal.sign(gap.base);
  if (side === 0 || side !== Decimal.sign(gap.actual)) return null;
  const differences = gap.expected
    .map((each) => Decimal.minus(gap.actual, each))
    .map((each) => (side < 0 ? Decimal.negate(each) : each));
  const base = Decimal.abs(gap.base);
  const higher = differences.filter((each) => Decimal.sign(each) > 0);
  if (gap.lacksTax && higher.some((each) => isWithin(each, base, Decimal.zero, mostTax)))
    return "tax_missing";
  const bases = [base, ...(gap.tax ? [Decimal.plus(base, Decimal.abs(gap.tax))] : [])];
  const isService = (each: Decimal.Decimal) =>
    isWithin(each, base, leastExtra, mostService) && bases.some((of) => isRate(each, of, gap.tolerance));
  if (gap.lacksService && higher.some(isService)) return "service_missing";
  const isTip = (each: Decimal.Decimal) =>
    isWithin(each, base, leastExtra, mostExtra) &&
    (gap.paidByCard || bases.some((of) => isRate(each, of, gap.tolerance)));
  if (gap.lacksTip && higher.some(isTip)) return "tip";
  const lower = differences.filter((each) => Decimal.sign(each) < 0).map(Decimal.negate);
  if (lower.some((each) => isWithheld(each, base, gap))) return "withholding";
  return null;
}

function isWithheld(part: Decimal.Decimal, base: Decimal.Decimal, { tax, tolerance }: Gap): boolean {
  if (!isWithin(part, base, Decimal.zero, mostWithheld)) return false;
  if (isRate(part, base, tolerance) || oddWithheld.some((rate) => fits(part, base, rate, tolerance)))
    return true;
  const whole = tax && Decimal.abs(tax);
  return whole !== null && sharesOfTax.some((share) => fits(part, whole, share, tolerance));
}

function isWithin(
  part: Decimal.Decimal,
  base: Decimal.Decimal,
  least: Decimal.Decimal,
  most: Decimal.Decimal,
): boolean {
  return (
    Decimal.compare(part, Decimal.percent(base, least)) >= 0 &&
    Decimal.compare(part, Decimal.percent(base, most)) <= 0
  );
}

function fits(
  part: Decimal.Decimal,
  base: Decimal.Decimal,
  rate: Decimal.Decimal,
  tolerance: Decimal.Decimal,
): boolean {
  const difference = Decimal.abs(Decimal.minus(part, Decimal.percent(base, rate)));
  return Decimal.compare(difference, tolerance) <= 0;
}

/**
 * True where the part is a rate of the base that people print: a usual one, or a whole or half percent where these
 * are far enough apart for the amounts at hand that chance hardly fits them.
 */
export function isRate(part: Decimal.Decimal, base: Decimal.Decimal, tolerance: Decimal.Decimal): boolean {
  if (usualRates.some((rate) => fits(part, base, rate, tolerance))) return true;
  const apart = Decimal.times(tolerance, clearSteps);
  const step = fineSteps.find((each) => Decimal.compare(Decimal.percent(base, each), apart) >= 0);
  if (!step) return false;
  const one = Decimal.percent(base, step);
  const times = Decimal.divide(part, one, 0);
  return (
    Decimal.sign(times) > 0 &&
    Decimal.compare(Decimal.abs(Decimal.minus(part, Decimal.times(one, times))), tolerance) <= 0
  );
}
