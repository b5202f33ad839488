import * as Marks from "./marks.ts";
import { fold } from "./number.ts";
import * as Words from "./words.ts";

/**
 * Decimals and cash steps of currencies that differ from two decimals without a step: `code decimals step`, `-` where no
 * step is known. Decimals are those of CLDR 48 (currencyData, fractions), which follow what is printed; ISO 4217 gives
 * two to many of these (IDR, COP, LAK), and Intl follows the ICU of the runtime. Steps: CLDR's cash rounding (CAD, CHF,
 * DKK) and its cash digits of 0 (AMD, CRC, CZK, GYD, MNT, MUR, NOK, RSD, SEK, TWD, TZS, UZS); national rules of
 * central banks and ministries (AUD, HKD, HUF, ISK, MYR, NZD, SGD, BND, ILS, ZAR; EUR in BE, EE, FI, IE, IT, LT,
 * NL, SK); shops' custom where small coins have gone (CLP, COP, IDR, INR, KRW, THB). MRU counts in fifths.
 */
const figures = `
AFN 0 -|ALL 0 -|AMD 2 1|AUD 2 0.05|BHD 3 -|BIF 0 -|BND 2 0.05|BYR 0 -|CAD 2 0.05|CHF 2 0.05|CLP 0 10|COP 0 50
CRC 2 1|CZK 2 1|DJF 0 -|DKK 2 0.5|EUR 2 0.05|GNF 0 -|GYD 2 1|HKD 2 0.1|HUF 0 5|IDR 0 100|ILS 2 0.1|INR 2 1
IQD 0 -|IRR 0 -|ISK 0 1|JOD 3 -|JPY 0 -|KMF 0 -|KPW 0 -|KRW 0 10|KWD 3 -|LAK 0 -|LBP 0 -|LYD 3 -|MGA 0 -
MMK 0 -|MNT 2 1|MRO 0 -|MRU 2 0.2|MUR 2 1|MYR 2 0.05|NOK 2 1|NZD 2 0.1|OMR 3 -|PKR 0 -|PYG 0 -|RSD 2 1|RWF 0 -
SEK 2 1|SGD 2 0.05|SLL 0 -|SOS 0 -|STD 0 -|SYP 0 -|THB 2 0.25|TND 3 -|TWD 2 1|TZS 2 1|UGX 0 -|UZS 2 1|VND 0 -
VUV 0 -|XAF 0 -|XOF 0 -|XPF 0 -|YER 0 -|ZAR 2 0.1`;

let facts: Map<string, { decimals: number; step: string | undefined }> | undefined;

function factsOf(iso: string): { decimals: number; step: string | undefined } | undefined {
  facts ??= new Map(
    figures
      .trim()
      .split(/[|\n]/)
      .map((line) => {
        const [code = "", decimals, step] = line.split(" ");
        return [code, { decimals: Number(decimals), step: step === "-" ? undefined : step }];
      }),
  );
  return facts.get(iso);
}

/** Decimal places that amounts of this currency are printed with. */
export function decimals(iso: string): number {
  return factsOf(iso)?.decimals ?? 2;
}

/** What is decimal in print where amounts have three places: the point in the Gulf and Jordan, the comma in the Maghreb. */
export function customOf(iso: string): "." | "," {
  return iso === "TND" || iso === "LYD" ? "," : ".";
}

/** What is printed as decimal there: tills of the Maghreb have the point as well. */
export function decimalsOfMills(iso: string): string {
  return customOf(iso) === "," ? ".," : ".";
}

/** The step that totals are rounded to in cash, as a canonical decimal; undefined where none is known. */
export function cashStep(iso: string): string | undefined {
  return factsOf(iso)?.step;
}

/** Whole amounts of these close with a dash: `¥10,800-` (Japan's custom against later digits, and its neighbours'). */
export function closesWithDash(iso: string): boolean {
  return iso === "JPY" || iso === "CNY" || iso === "KRW" || iso === "TWD";
}

/** Price tags there write a dash for no units: `-.95`, `-,79`. */
export function writesZeroAsDash(iso: string): boolean {
  return iso === "CHF" || iso === "EUR" || iso === "DKK";
}

/** The mark that a printed text is: a code in capitals, or what the table of marks knows; undefined when it is none. */
export function markOf(text: string): Marks.Mark | undefined {
  return codeOf(text) ?? Marks.find(text) ?? codeOf(text.replace(/[. ]/g, ""));
}

function codeOf(text: string): Marks.Mark | undefined {
  return text.length === 3 && Marks.isIso(text) ? { codes: [text], alone: null } : undefined;
}

/**
 * The mark that a currency field holds: one mark, or several that agree (`USD $`, `Euro (EUR)`). Undefined when
 * nothing in it is a mark that a table knows, or when two contradict each other.
 */
export function stated(printed: string): Marks.Mark | undefined {
  const text = fold(printed);
  if (!text || Marks.isMisread(text)) return undefined;
  const whole = markOf(text);
  if (whole) return whole;
  const named = namedIn(text);
  if (named) return named;
  let agreed: Marks.Mark | undefined;
  for (const part of text.split(/[\s()/,;:]+|(?<=\p{L})(?=\p{Sc})|(?<=\p{Sc})(?=\p{L})/u)) {
    if (part === "") continue;
    const mark = markOf(part);
    if (!mark) return undefined;
    agreed = agreed === undefined ? mark : both(agreed, mark);
    if (!agreed) return undefined;
  }
  return agreed;
}

/** "Japanese Yen (JPY)": a code in brackets names the currency, whatever words explain it. */
function namedIn(text: string): Marks.Mark | undefined {
  const codes = [...text.matchAll(/\(([A-Z]{3})\)/g)].map(([, code = ""]) => code);
  const [only] = codes;
  return codes.length === 1 && only !== undefined && !/\d/.test(text) ? codeOf(only) : undefined;
}

/** What two marks beside one amount have in common; undefined when they contradict each other. */
export function both(first: Marks.Mark, second: Marks.Mark): Marks.Mark | undefined {
  const codes = first.codes.filter((code) => second.codes.includes(code));
  if (codes.length === 0) return undefined;
  return { codes, alone: [first.alone, second.alone].find((code) => code && codes.includes(code)) ?? null };
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
  const mark = stated(printed);
  if (!mark || mark.codes.length === 0) return null;
  const value = resolve(mark, context.currency);
  return { value, ambiguous: value === null };
}

/**
 * True for a text that can be what a paper prints as its currency: a mark that a table knows, or one that none
 * does, which costs the meaning and not the answer. False for digits, sentences and words of receipts.
 */
export function isMark(printed: string): boolean {
  const text = fold(printed);
  if (!text || text.length > 24 || /[\d%<>{}[\]]/.test(text)) return false;
  if (stated(printed)) return true;
  const words = text.split(/[\s()/,;:]+/).filter((word) => word !== "");
  return (
    /[\p{L}\p{Sc}]/u.test(text) &&
    words.length <= 3 &&
    words.every((word) => markOf(word) || !Words.deny(word))
  );
}

/** The one code that is left; the context's when the mark allows it; else what the mark means alone. */
export function resolve(mark: Marks.Mark, context: string | null | undefined): string | null {
  const [only] = mark.codes;
  if (mark.codes.length === 1 && only !== undefined) return only;
  return context && mark.codes.includes(context) ? context : mark.alone;
}
