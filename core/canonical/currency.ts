import { fold } from "./number.ts";

/**
 * Currency marks as printed, and the ISO 4217 codes that each may stand for. A mark that several currencies
 * share stays undecided unless the document says more. Source of the marks: CLDR's currency symbols and
 * narrow symbols, and what tills print.
 */
const marks: Record<string, readonly string[]> = {
  "€": ["EUR"],
  eur: ["EUR"],
  euro: ["EUR"],
  euros: ["EUR"],
  "£": ["GBP"],
  $: ["USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN", "BND", "CLP", "COP", "ARS"],
  us$: ["USD"],
  s$: ["SGD"],
  a$: ["AUD"],
  au$: ["AUD"],
  c$: ["CAD"],
  ca$: ["CAD"],
  nz$: ["NZD"],
  hk$: ["HKD"],
  nt$: ["TWD"],
  mx$: ["MXN"],
  b$: ["BND"],
  r$: ["BRL"],
  rm: ["MYR"],
  rp: ["IDR"],
  "¥": ["JPY", "CNY"],
  円: ["JPY"],
  元: ["CNY"],
  rmb: ["CNY"],
  "₩": ["KRW"],
  원: ["KRW"],
  "₹": ["INR"],
  rs: ["INR", "PKR", "LKR", "NPR", "MUR"],
  "₨": ["INR", "PKR", "LKR", "NPR", "MUR"],
  kr: ["SEK", "NOK", "DKK", "ISK"],
  fr: ["CHF"],
  sfr: ["CHF"],
  zł: ["PLN"],
  zl: ["PLN"],
  kč: ["CZK"],
  kc: ["CZK"],
  ft: ["HUF"],
  lei: ["RON"],
  лв: ["BGN"],
  "₽": ["RUB"],
  руб: ["RUB"],
  "₺": ["TRY"],
  tl: ["TRY"],
  "₫": ["VND"],
  đ: ["VND"],
  "฿": ["THB"],
  baht: ["THB"],
  "₱": ["PHP"],
  "₦": ["NGN"],
  "₴": ["UAH"],
  "₪": ["ILS"],
};

/** Currencies printed without cents in daily life. ISO 4217 gives some of them two (IDR, HUF); tills do not. */
const withoutCents = new Set([
  "IDR",
  "VND",
  "KRW",
  "JPY",
  "CLP",
  "PYG",
  "ISK",
  "HUF",
  "UGX",
  "XAF",
  "XOF",
  "XPF",
  "RWF",
  "KMF",
  "GNF",
  "DJF",
  "BIF",
  "VUV",
  "COP",
  "LAK",
  "MMK",
  "IQD",
  "IRR",
  "LBP",
]);
/** ISO 4217: minor unit 1/1000. */
const withMills = new Set(["BHD", "JOD", "KWD", "LYD", "OMR", "TND"]);

let known: Set<string> | undefined;

/** True for a code of ISO 4217, as the runtime's own currency data lists it. */
export function isIso(code: string): boolean {
  known ??= new Set(Intl.supportedValuesOf("currency"));
  return known.has(code);
}

/** Decimal places that amounts of this currency are printed with. */
export function decimals(iso: string): number {
  return withoutCents.has(iso) ? 0 : withMills.has(iso) ? 3 : 2;
}

/**
 * The ISO codes that a printed mark (`RM`, `Rp.`, `US$`, `EUR`) may mean; undefined when it is no currency
 * mark. Codes count in capitals only: `Try` and `all` are words.
 */
export function candidates(mark: string): readonly string[] | undefined {
  const text = mark.replace(/\.$/, "");
  const key = text.toLowerCase();
  if (Object.hasOwn(marks, key)) return marks[key];
  return /^[A-Z]{3}$/.test(text) && isIso(text) ? [text] : undefined;
}

/**
 * The ISO 4217 code of a printed currency: `RM` is MYR. A mark that several currencies share is decided by
 * `context`, the document's other marks, else its value is null and `ambiguous`. Null when the text is no
 * currency. Never throws.
 */
export function parse(
  printed: string,
  context: { currency?: string | null | undefined } = {},
): { value: string | null; ambiguous: boolean } | null {
  const text = fold(printed);
  const found = text === null ? undefined : candidates(text);
  if (!found) return null;
  const value = resolve(found, context.currency);
  return { value, ambiguous: value === null };
}

/** The one code that is left, or the context's when the mark allows it. */
export function resolve(codes: readonly string[], context: string | null | undefined): string | null {
  const [only] = codes;
  if (codes.length === 1 && only !== undefined) return only;
  return context && codes.includes(context) ? context : null;
}
