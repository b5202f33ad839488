import Big from "big.js";
import * as Currency from "./currency.ts";
import type { Normalized } from "./normalize.ts";

/** How far two sides of a check may differ, and why that far. */
export interface Tolerance {
  amount: Big;
  from: "currency" | "magnitude" | "precision";
}

/**
 * Steps that totals are rounded to at the till. A shop may round down where another rounds to the nearest, so
 * the whole step is allowed. Sources: CLDR supplemental data, cash rounding (CAD, CHF, DKK); national rules of
 * central banks and ministries (AUD, CZK, HKD, HUF, ISK, MYR, NOK, NZD, SEK, SGD, BND, ILS, ZAR; EUR in BE, EE, FI,
 * IE, IT, LT, NL, SK); shops' custom where small coins have gone (CLP, COP, IDR, INR, KRW, THB, TWD).
 */
const cashSteps: Record<string, string> = {
  AUD: "0.05",
  BND: "0.05",
  CAD: "0.05",
  CHF: "0.05",
  CLP: "10",
  COP: "50",
  CZK: "1",
  DKK: "0.5",
  EUR: "0.05",
  HKD: "0.1",
  HUF: "5",
  IDR: "100",
  ILS: "0.1",
  INR: "1",
  ISK: "1",
  KRW: "10",
  MYR: "0.05",
  NOK: "1",
  NZD: "0.1",
  SEK: "1",
  SGD: "0.05",
  THB: "0.25",
  TWD: "1",
  ZAR: "0.1",
};

/** From here on, an unmarked document without a single fraction is in a currency that has no cents in use. */
const wholeAmounts = new Big(1000);
/** And from here on 100, Indonesia's step, is at most 1 % of the total. */
const largeTotal = new Big(10_000);

export interface Scale {
  /** ISO 4217 when all marks of the document agree. */
  currency: string | null;
  /** The smallest amount that is printed. */
  unit: Big;
  /** No amount of the document has a fraction. */
  whole: boolean;
}

/** What the amounts of a result say about their own precision. */
export function scaleOf(normalized: Normalized): Scale {
  const amounts = Object.values(normalized).filter(({ currency }) => currency !== undefined);
  const marked = new Set(amounts.flatMap(({ currency }) => currency ?? []));
  const [only] = marked;
  const currency = marked.size === 1 && only !== undefined ? only : null;
  const whole = amounts.every(({ value }) => !value.includes("."));
  const large = amounts.some(({ value }) => new Big(value).abs().gte(wholeAmounts));
  const decimals = currency === null ? (large && whole ? 0 : 2) : Currency.decimals(currency);
  // An amount with cents shows that cents are in use, whatever the currency's custom.
  return { currency, whole, unit: new Big(10).pow(whole ? -decimals : -Math.max(decimals, 2)) };
}

/** For sums whose parts are each rounded to the smallest unit: one unit a part. */
export function ofParts(scale: Scale, parts: number): Tolerance {
  return { amount: scale.unit.times(Math.max(1, parts)), from: "precision" };
}

/**
 * For totals that may have been rounded for cash: the currency's step; without a known currency 100 for whole
 * totals from 10,000 on; else one unit a part. Never less than one unit a part.
 */
export function ofCash(scale: Scale, total: Big, parts: number): Tolerance {
  const precise = ofParts(scale, parts);
  const known = scale.currency === null ? undefined : cashSteps[scale.currency];
  if (known !== undefined) {
    const step = new Big(known);
    return step.gt(precise.amount) ? { amount: step, from: "currency" } : precise;
  }
  if (scale.currency === null && scale.whole && total.abs().gte(largeTotal)) {
    return { amount: new Big(100), from: "magnitude" };
  }
  return precise;
}
