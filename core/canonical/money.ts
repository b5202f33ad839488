import Big from "big.js";
import * as Currency from "./currency.ts";
import type { Convention } from "./number.ts";
import { canonical, conventionOf as conventionOfBodies, fold, read } from "./number.ts";

export interface Money {
  /** Canonical decimal: "1591600", "24.23", "-3.5". */
  value: string;
  /** ISO 4217, only where the print says so. */
  currency: string | null;
  /** True when the number could be read otherwise and nothing decided between the readings. */
  ambiguous: boolean;
}

export interface MoneyContext {
  /** The document's currency: decides what a shared mark such as `$` means, and how many decimals to expect. */
  currency?: string | null | undefined;
  decimals?: number | undefined;
  convention?: Convention | undefined;
}

interface Stripped {
  body: string;
  negative: boolean;
  /** ISO codes the printed marks allow; empty when no mark is printed. */
  currencies: readonly string[];
  /** A price for a measure: "1,579 €/L". */
  perUnit: boolean;
}

/** A currency mark at the start or end: a symbol, or letters that no letter continues. */
const leadingMark = /^(?:[A-Za-z]{0,2}\$|[€£¥₩₹₨₽₺₫฿₱₦₴₪円元원]|\p{L}{2,5}\.?)(?!\p{L})/u;
const trailingMark = /(?<!\p{L})(?:[A-Za-z]{0,2}\$|[€£¥₩₹₨₽₺₫฿₱₦₴₪円元원đ]|\p{L}{2,5}\.?)$/u;
/**
 * Tax code and cashier's marks behind a price: "24,23 A", "3.49 F T", "2.00 SR", "1,99*", "29,98 1". CR would mean credit, and
 * a capital O is a misread zero.
 */
const taxCode = /(?: (?!CR$)[A-Z]{1,2}\d?|(?<=[.,]\d\d)(?:\*?[A-HJ-NP-Z]| \d)|\*{1,3}|#)$/;
const perUnit = / ?\/ ?\d{0,4} ?\p{L}{1,6}\.?$/u;

/** Takes sign, currency marks, tax code and unit off; null when they contradict each other. */
function strip(printed: string): Stripped | null {
  let text = fold(printed);
  if (!text) return null;
  let negative = false;
  let isPerUnit = false;
  let currencies: readonly string[] | undefined;
  const sign = () => {
    const first = !negative;
    negative = true;
    return first;
  };
  const mark = (found: readonly string[]) => {
    const both = currencies?.filter((code) => found.includes(code)) ?? found;
    currencies = both;
    return both.length > 0;
  };
  // Each round takes one thing off, so the length of the text bounds the loop.
  for (;;) {
    text = text.trim();
    const leading = leadingMark.exec(text);
    const leadingCodes = leading && Currency.candidates(leading[0]);
    const trailing = trailingMark.exec(text);
    const trailingCodes = trailing && Currency.candidates(trailing[0]);
    const measure = perUnit.exec(text);
    const appendix = measure ?? taxCode.exec(text);
    if (/^\(.*\)$/.test(text)) {
      // "(-3.50)" is as negative as "(3.50)".
      if (!sign()) return null;
      text = text.slice(1, -1).replace(/^ ?-/, "");
    } else if (text.startsWith("-")) {
      if (!sign()) return null;
      text = text.slice(1);
    } else if (/^[+=:@]/.test(text)) {
      text = text.slice(1);
    } else if (/\d ?[.,] ?-{1,2}$/.test(text)) {
      // "5.-", "Rp 50.000,-": a dash for no cents, not a sign.
      text = text.replace(/ ?[.,] ?-{1,2}$/, "");
    } else if (/\d ?-$/.test(text)) {
      if (!sign()) return null;
      text = text.slice(0, -1);
    } else if (leading && leadingCodes) {
      if (!mark(leadingCodes)) return null;
      text = text.slice(leading[0].length);
    } else if (/^R ?\d/.test(text)) {
      if (!mark(["ZAR"])) return null;
      text = text.slice(1);
    } else if (trailing && trailingCodes) {
      if (!mark(trailingCodes)) return null;
      text = text.slice(0, trailing.index);
    } else if (appendix) {
      isPerUnit ||= measure !== null;
      text = text.slice(0, appendix.index);
    } else {
      break;
    }
  }
  // "5€50": the sign stands where the decimal point would.
  const euro = /^(\d{1,6}) ?€ ?(\d{2})$/.exec(text);
  if (euro) {
    if (!mark(["EUR"])) return null;
    text = `${euro[1]}.${euro[2]}`;
  }
  return { body: text, negative, currencies: currencies ?? [], perUnit: isPerUnit };
}

/**
 * The canonical form of a printed amount: `RM 5.00`, `Rp16.500`, `24,23 EUR A`, `(3.50)`, `3.50-`, `1'234.50`,
 * `Rp 50.000,-`. Null when the text is not one amount. `1.000` alone is read as thousands and marked
 * ambiguous; `conventionOf` over the document settles it. Never throws; texts over 64 characters are refused.
 */
export function parse(printed: string, context: MoneyContext = {}): Money | null {
  const stripped = strip(printed);
  if (!stripped) return null;
  const currency = Currency.resolve(stripped.currencies, context.currency);
  const decimals = context.decimals ?? decimalsOf(stripped, currency ?? context.currency);
  const number = read(stripped.body, { convention: context.convention, decimals });
  if (!number) return null;
  const value = new Big(number.value);
  return { value: canonical(stripped.negative ? value.neg() : value), currency, ambiguous: number.ambiguous };
}

/** Decimals to expect: a mark that several currencies share tells as much as they have in common. */
function decimalsOf(stripped: Stripped, currency: string | null | undefined): number | undefined {
  const codes =
    stripped.currencies.length > 0 && !stripped.currencies.includes(currency ?? "")
      ? stripped.currencies
      : [currency];
  const most = codes.flatMap((code) => (code ? [Currency.decimals(code)] : []));
  if (most.length === 0) return undefined;
  const decimals = Math.max(...most);
  // Fuel and power are priced to a tenth of a cent.
  return decimals === 2 && stripped.perUnit ? 3 : decimals;
}

/** What points and commas mean in a document, from all its printed amounts (number.ts has the rules). */
export function conventionOf(printed: readonly string[]): Convention {
  return conventionOfBodies(printed.flatMap((value) => strip(value)?.body ?? []));
}

/** True when the text carries a currency mark of its own, decided or not. */
export function isMarked(printed: string): boolean {
  return (strip(printed)?.currencies.length ?? 0) > 0;
}
