import * as Marks from "./marks.ts";
import { fold } from "./number.ts";
import * as Words from "./words.ts";

/**
 * Currencies that do not have two decimals, or that have a cash step: `code decimals step`, `-` if no step is known.
 * Decimals are those of CLDR 48 (currencyData, fractions), which follow what is printed; ISO 4217 gives two to many of
 * these (IDR, COP, LAK), and Intl depends on the runtime's ICU. Steps: CLDR's cash rounding (CAD, CHF, DKK) and its
 * cash digits of 0 (AMD, CRC, CZK, GYD, MNT, MUR, NOK, RSD, SEK, TWD, TZS, UZS); national rules of central banks and
 * ministries (AUD, HKD, HUF, ISK, MYR, NZD, SGD, BND, ILS, ZAR; EUR in BE, EE, FI, IE, IT, LT, NL, SK); shops' custom
 * where small coins are no longer used (CLP, COP, IDR, INR, KRW, THB). MRU counts in fifths.
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

/** Number of decimals with which amounts of this currency are printed. */
export function decimals(iso: string): number {
  return factsOf(iso)?.decimals ?? 2;
}

/**
 * The customary decimal sign for amounts with three decimals: the point in the Gulf and Jordan, the comma in the
 * Maghreb.
 */
export function customOf(iso: string): "." | "," {
  return iso === "TND" || iso === "LYD" ? "," : ".";
}

/** The decimal signs in use for such amounts: tills of the Maghreb also print a point. */
export function decimalsOfMills(iso: string): string {
  return customOf(iso) === "," ? ".," : ".";
}

/** The step to which cash totals are rounded, as a canonical decimal; undefined if none is known. */
export function cashStep(iso: string): string | undefined {
  return factsOf(iso)?.step;
}

/**
 * True for currencies whose whole amounts end in a dash: `¥10,800-` (a Japanese custom against added digits, also in
 * neighboring countries).
 */
export function closesWithDash(iso: string): boolean {
  return iso === "JPY" || iso === "CNY" || iso === "KRW" || iso === "TWD";
}

/** True for currencies whose price tags print a dash for zero units: `-.95`, `-,79`. */
export function writesZeroAsDash(iso: string): boolean {
  return iso === "CHF" || iso === "EUR" || iso === "DKK";
}

/** The mark of a printed text: a code in capitals, or a mark of the table; undefined for any other text. */
export function markOf(text: string): Marks.Mark | undefined {
  return codeOf(text) ?? Marks.find(text) ?? codeOf(text.replace(/[. ]/g, ""));
}

function codeOf(text: string): Marks.Mark | undefined {
  return text.length === 3 && Marks.isIso(text) ? { codes: [text], alone: null } : undefined;
}

/**
 * The mark in a currency field: one mark, or several that agree (`USD $`, `Euro (EUR)`). Undefined if the field has no
 * known mark or two that contradict each other.
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

/** "Japanese Yen (JPY)": a code in brackets names the currency, whatever the other words are. */
function namedIn(text: string): Marks.Mark | undefined {
  const codes = [...text.matchAll(/\(([A-Z]{3})\)/g)].map(([, code = ""]) => code);
  const [only] = codes;
  return codes.length === 1 && only !== undefined && !/\d/.test(text) ? codeOf(only) : undefined;
}

/** The currencies that two marks beside one amount have in common; undefined if they contradict each other. */
export function both(first: Marks.Mark, second: Marks.Mark): Marks.Mark | undefined {
  const codes = first.codes.filter((code) => second.codes.includes(code));
  if (codes.length === 0) return undefined;
  return { codes, alone: [first.alone, second.alone].find((code) => code && codes.includes(code)) ?? null };
}

/**
 * The ISO 4217 code of a printed currency: `RM` is MYR. A mark that several currencies share is decided by `context`,
 * the currency of the document's other marks; otherwise the value is null and `ambiguous`. Null if the text is not a
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
 * True for a text that may be a printed currency: a mark of the table, or an unknown one (then only its meaning is
 * missing). False for digits, sentences and words of receipts.
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

/** The code if only one is possible; else the context's code if the mark allows it; else the mark's default meaning. */
export function resolve(mark: Marks.Mark, context: string | null | undefined): string | null {
  const [only] = mark.codes;
  if (mark.codes.length === 1 && only !== undefined) return only;
  return context && mark.codes.includes(context) ? context : mark.alone;
}
