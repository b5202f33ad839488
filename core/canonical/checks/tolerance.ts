import * as Currency from "#core/canonical/money/currency";
import * as Decimal from "#core/canonical/money/decimal";

/** How far two sides of a check may differ, and why that far. */
export interface Tolerance {
  amount: Decimal.Decimal;
  from: "currency" | "magnitude" | "precision";
}

/**
 * Currencies in which invoices are rounded regardless of the means of payment: India rounds to the rupee (CGST Act,
 * section 170), Switzerland to five centimes, the Nordic countries and Czechia to the whole unit ("öresavrundning",
 * "zaokrouhlení").
 */
const roundsInvoices = new Set(["CHF", "CZK", "DKK", "INR", "NOK", "SEK"]);

/** From this amount on, an unmarked document without any fraction is taken to be in a currency without cents. */
const wholeAmounts = Decimal.of("1000");
/** From this amount on, 100 (Indonesia's step) is at most 1 % of the total. */
const largeTotal = Decimal.of("10000");
/** Steps of currencies without cents, largest first. The total shows which one the till used. */
const wholeSteps = ["100", "50", "10"].map(Decimal.of);

export interface Scale {
  /** ISO 4217, if all marks of the amounts agree. */
  currency: string | null;
  /** The smallest amount that is printed. */
  unit: Decimal.Decimal;
  /** No amount has a fraction. */
  whole: boolean;
}

/** The precision that the amounts of one currency show. */
export function scaleOf(currency: string | null, values: readonly string[]): Scale {
  const whole = values.every((value) => !value.includes("."));
  const decimals = currency === null ? (whole && values.some(isLarge) ? 0 : 2) : Currency.decimals(currency);
  // An amount with cents shows that cents are in use, whatever the currency's custom.
  return { currency, whole, unit: { digits: 1n, places: whole ? decimals : Math.max(decimals, 2) } };
}

function isLarge(value: string): boolean {
  return Decimal.compare(Decimal.abs(Decimal.of(value)), wholeAmounts) >= 0;
}

/** For sums whose parts are each rounded to the smallest unit: one unit per part. */
export function ofParts(scale: Scale, parts: number): Tolerance {
  const { digits, places } = scale.unit;
  return { amount: { digits: digits * BigInt(Math.max(1, parts)), places }, from: "precision" };
}

/**
 * For amounts that may have been rounded for cash. With a known currency: its step, if the amount is a multiple of it
 * (53.53 was not rounded). Without one: 100, 50 or 10 for whole amounts from 10,000 on, and what rounding to the
 * nearest five cents may change. Otherwise, and at least, one unit per part.
 */
export function ofCash(scale: Scale, rounded: Decimal.Decimal, parts: number): Tolerance {
  const precise = ofParts(scale, parts);
  if (scale.currency === null) {
    const isLargeWhole = scale.whole && Decimal.compare(Decimal.abs(rounded), largeTotal) >= 0;
    const step = isLargeWhole
      ? wholeSteps.find((each) => Decimal.isMultiple(rounded, each))
      : scale.whole
        ? undefined
        : fiveCents(rounded);
    return step && Decimal.compare(step, precise.amount) > 0 ? { amount: step, from: "magnitude" } : precise;
  }
  // Some shops round down and others to the nearest, so the whole step is allowed.
  const known = Currency.cashStep(scale.currency);
  if (known === undefined) return precise;
  const step = Decimal.of(known);
  // Where a step of 100 is customary, some tills round to 50.
  const used = [step, ...(known === "100" ? wholeSteps : [])].find((each) =>
    Decimal.isMultiple(rounded, each),
  );
  return used && Decimal.compare(used, precise.amount) > 0 ? { amount: used, from: "currency" } : precise;
}

/**
 * Australia, Canada, Malaysia, Singapore, Switzerland and half of the euro area no longer use coins of 0.01 and 0.02.
 */
const fiveCentStep = Decimal.of("0.05");
const tenCentStep = Decimal.of("0.10");
const mostOfFiveCents = Decimal.of("0.02");

function fiveCents(rounded: Decimal.Decimal): Decimal.Decimal | undefined {
  return Decimal.isMultiple(rounded, fiveCentStep) ? mostOfFiveCents : undefined;
}

/**
 * For change, which shows the coins that the till lacks. As `ofCash`; without a known currency also half of ten cents
 * (New Zealand, Hong Kong, South Africa) if cash and change are multiples of ten cents and the total is not.
 */
export function ofChange(
  scale: Scale,
  { cash, total, change }: Record<"cash" | "total" | "change", Decimal.Decimal>,
): Tolerance {
  const usual = ofCash(scale, change, 1);
  if (scale.currency !== null || scale.whole || Decimal.isMultiple(total, fiveCentStep)) return usual;
  const coins = Decimal.isMultiple(cash, tenCentStep) && Decimal.isMultiple(change, tenCentStep);
  return coins ? { amount: fiveCentStep, from: "magnitude" } : usual;
}

/**
 * The tolerance of an invoice total: one unit per part. If the currency rounds invoices and the total is a multiple of
 * its step, the step instead, as long as the difference is smaller than that.
 */
export function ofInvoice(
  scale: Scale,
  total: Decimal.Decimal,
  parts: number,
  difference: Decimal.Decimal,
): Tolerance {
  const precise = ofParts(scale, parts);
  if (scale.currency === null || !roundsInvoices.has(scale.currency)) return precise;
  const rounded = ofCash(scale, total, parts);
  return Decimal.compare(difference, rounded.amount) < 0 ? rounded : precise;
}
