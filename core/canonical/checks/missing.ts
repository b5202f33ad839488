import * as Decimal from "#core/canonical/money/decimal";
import type { Reason } from "./judge.ts";

/**
 * What may be missing between the parts of a sum and the printed sum below them: a tax, a service charge, a tip, or a
 * tax withheld. A missing part explains a difference only if the difference has the usual size of such a part.
 */
interface Gap {
  /** The sum of the items or the subtotal; its sign is the document's (a refund is negative). */
  base: Decimal.Decimal;
  /** What is printed. */
  actual: Decimal.Decimal;
  ways: readonly Way[];
  /** The tax that is printed, if any. */
  tax: Decimal.Decimal | null;
  /** The smallest amount that is printed. */
  unit: Decimal.Decimal;
  /** How far the actual sum may be off by rounding. */
  tolerance: Decimal.Decimal;
  /** No tax and no list of taxes was read. */
  lacksTax: boolean;
  /** The task asks for a service charge, and none was read. */
  lacksService: boolean;
  /** The task has no field for a tip. */
  lacksTip: boolean;
  /** Exactly the actual sum was paid by card. */
  paidByCard: boolean;
}

/** One way to read the printed parts. */
export interface Way {
  expected: Decimal.Decimal;
  /** The tax comes on top: service and tips may be a percentage of the sum with or without it. */
  taxAdded: boolean;
  /** This way makes no other assumption, so a tax may have been withheld. */
  plain: boolean;
}

/** The highest rate of tax on sales that tills print: India's 40 % (2025); Europe's highest is Hungary's 27 %. */
const mostTax = Decimal.of("40");
/** Limits of service and tips, in percent of the base: lower rates are not customary, higher ones are a mistake. */
const leastExtra = Decimal.of("2");
const mostExtra = Decimal.of("35");
const mostService = Decimal.of("25");
const mostWithheld = Decimal.of("35");

/**
 * Usual rates of service and of taxes withheld. Finer rates are tried only where they are unlikely to fit by chance.
 */
const usualRates = ["5", "7", "7.5", "10", "12", "12.5", "15", "18", "20"].map(Decimal.of);
/** Tip rates that slips suggest and customers give. */
const tipRates = "5 7.5 10 12 12.5 13 15 16 17 18 20 22 25 28 30".split(" ").map(Decimal.of);
/** Steps of the finer rates. */
const fineSteps = ["0.5", "1", "5"].map(Decimal.of);
/** A rate is evidence only if the distance to the next rate is more than this many times the rounding tolerance. */
const clearSteps = Decimal.of("6");
/** Shares of the tax that the customer keeps: Türkiye's tenths (tevkifat), Colombia 15 %, Ecuador 70 %, Venezuela 75 %. */
const sharesOfTax = ["15", "20", "30", "40", "50", "70", "75", "80", "90", "100"].map(Decimal.of);
/**
 * Rates that are not multiples of a half: Mexico keeps two thirds of 16 % (with 1.25 or 10 % of income tax), Chile
 * 15.25 %, Italy's agents 11.5 % or 4.6 %.
 */
const oddWithheld = ["10.6667", "11.9167", "20.6667", "1.25", "14.5", "15.25", "4.6"].map(Decimal.of);

/** A rate is evidence only if the cash rounding step is at most this percentage of the base. */
const mostHidden = Decimal.of("0.3");

/** Why the difference is no evidence of a mistake; null if no missing part has this size. */
export function explain(gap: Gap): Reason | null {
  const side = Decimal.sign(gap.base);
  if (side === 0 || side !== Decimal.sign(gap.actual)) return null;
  const base = Decimal.abs(gap.base);
  const differences = gap.ways.map((way) => {
    const difference = Decimal.minus(gap.actual, way.expected);
    return { way, part: side < 0 ? Decimal.negate(difference) : difference };
  });
  const higher = differences.filter(({ part }) => Decimal.sign(part) > 0);
  if (gap.lacksTax && higher.some(({ part }) => isWithin(part, base, Decimal.zero, mostTax)))
    return "tax_missing";
  const lower = differences.filter(({ way, part }) => way.plain && Decimal.sign(part) < 0);
  if (lower.some(({ part }) => isWithheld(Decimal.negate(part), base, gap))) return "withholding";
  const tolerance = ofRates(base, gap);
  const isService = ({ way, part }: (typeof higher)[number]) =>
    isWithin(part, base, leastExtra, mostService) &&
    basesOf(base, way, gap).some((each) => isRate(part, each, tolerance));
  if (gap.lacksService && higher.some(isService)) return "service_missing";
  const isTip = ({ way, part }: (typeof higher)[number]) =>
    isWithin(part, base, leastExtra, mostExtra) &&
    (gap.paidByCard ||
      basesOf(base, way, gap).some((each) => tipRates.some((rate) => fits(part, each, rate, tolerance))));
  return gap.lacksTip && higher.some(isTip) ? "tip" : null;
}

function basesOf(base: Decimal.Decimal, { taxAdded }: Way, { tax }: Gap): Decimal.Decimal[] {
  return taxAdded && tax ? [base, Decimal.plus(base, Decimal.abs(tax))] : [base];
}

function ofRates(base: Decimal.Decimal, { unit, tolerance }: Gap): Decimal.Decimal {
  const hidden = Decimal.percent(base, mostHidden);
  const least = Decimal.compare(tolerance, hidden) < 0 ? tolerance : hidden;
  return Decimal.compare(least, unit) < 0 ? unit : least;
}

function isWithheld(part: Decimal.Decimal, base: Decimal.Decimal, { tax, unit }: Gap): boolean {
  if (!isWithin(part, base, Decimal.zero, mostWithheld)) return false;
  if (isRate(part, base, unit) || oddWithheld.some((rate) => fits(part, base, rate, unit))) return true;
  const whole = tax && Decimal.abs(tax);
  return whole !== null && sharesOfTax.some((share) => fits(part, whole, share, unit));
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
 * True if the part is a customary rate of the base: a usual rate, or a whole or half percent if such rates are far
 * enough apart at these amounts that a match by chance is unlikely.
 */
function isRate(part: Decimal.Decimal, base: Decimal.Decimal, tolerance: Decimal.Decimal): boolean {
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
