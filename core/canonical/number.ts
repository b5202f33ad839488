import Big from "big.js";

/**
 * Numbers as they are printed. The one hard question is what a point or a comma means; it is answered from
 * the number itself where that is possible, else from the other numbers of the document (`conventionOf`).
 */

export type Separator = "." | "," | "'" | " ";

/** What the separators of one document mean; null where the document does not tell. */
export interface Convention {
  decimal: "." | "," | null;
  thousands: Separator | null;
}

export interface PrintedNumber {
  /** Canonical decimal: no grouping, a point, no trailing zeros, no exponent. */
  value: string;
  /** Digits printed after the decimal separator. */
  fractionDigits: number;
  /** True when another reading is as good and nothing decided between them. */
  ambiguous: boolean;
}

export interface NumberContext {
  convention?: Convention | undefined;
  /** Decimal places of the unit, where known: 0 or 2 rule out three decimals, 3 expects them. */
  decimals?: number | undefined;
  /** The reading of `1.000` when nothing else decides. */
  prefer?: "thousands" | "decimal" | undefined;
}

/** Longest text that is read at all: printed amounts are short, and hostile ones must not cost time. */
export const maxLength = 64;
/** More digits than any amount has are a barcode or a runaway answer. */
const maxDigits = 18;

const folded: Record<string, string> = {
  "٫": ".",
  "٬": ",",
  "．": ".",
  "，": ",",
  "－": "-",
  "−": "-",
  "‐": "-",
  "‑": "-",
  "–": "-",
  "—": "-",
  "’": "'",
  "‘": "'",
  "`": "'",
  "´": "'",
  "（": "(",
  "）": ")",
  "￥": "¥",
  "＄": "$",
  "％": "%",
  "：": ":",
  "／": "/",
};
/** First digits of the other decimal digit ranges that tills and OCR produce: Arabic-Indic, Persian, full width. */
const digitRanges = [0x660, 0x6f0, 0xff10];

/**
 * The text with digits, dashes, quotes and spaces of every kind folded to ASCII; null when it is too long to
 * be a printed value. Not NFKC: that would turn the raised cents of `5⁹⁹` into 599.
 */
export function fold(printed: string): string | null {
  if (printed.length > maxLength) return null;
  let text = "";
  for (const char of printed) {
    const code = char.codePointAt(0) ?? 0;
    const start = digitRanges.find((first) => code >= first && code <= first + 9);
    if (start !== undefined) text += String(code - start);
    else text += folded[char] ?? char;
  }
  return text.replace(/[\s\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, " ").trim();
}

/** Digits and separators of a number, or null when the text has anything else in it. */
interface Parts {
  groups: string[];
  separators: Separator[];
}

function split(body: string): Parts | null {
  // OCR and tills put blanks around separators: "1, 591, 600".
  const text = body.replace(/ ?([.,']) ?/g, "$1");
  if (!/^\d*(?:[.,' ]\d+)*[.,]?$/.test(text) || !/\d/.test(text)) return null;
  if (text.replace(/\D/g, "").length > maxDigits) return null;
  const groups = text.split(/[.,' ]/);
  const separators = (text.match(/[.,' ]/g) ?? []) as Separator[];
  // "40,000." has an empty fraction; "40." and "40,000," end in a stray mark.
  if (groups.at(-1) === "" && !(separators.length > 1 && separators.at(-2) !== separators.at(-1))) {
    groups.pop();
    separators.pop();
  }
  return { groups, separators };
}

/** True for 1,234,567 and for the Indian 12,34,567. */
function isGrouped(groups: string[]): boolean {
  const [first = "", ...rest] = groups;
  if (first === "" || first.length > 3 || (first.startsWith("0") && rest.length > 0)) return false;
  const last = rest.at(-1);
  if (last === undefined) return true;
  if (last.length !== 3) return false;
  const inner = rest.slice(0, -1);
  if (inner.every((group) => group.length === 3)) return true;
  return first.length <= 2 && inner.every((group) => group.length === 2);
}

type Reading =
  | { kind: "integer" }
  | { kind: "thousands"; by: Separator }
  | { kind: "decimal"; by: "." | ","; thousands: Separator | null }
  /** One point or comma with three digits behind it: 1.000. */
  | { kind: "open"; by: "." | "," };

function classify({ groups, separators }: Parts): Reading | null {
  const last = separators.at(-1);
  if (last === undefined) return { kind: "integer" };
  const isDecimalMark = last === "." || last === ",";
  const kinds = new Set(separators);
  if (kinds.size === 1 && separators.length > 1)
    return isGrouped(groups) ? { kind: "thousands", by: last } : null;
  if (kinds.size === 1) {
    const [whole = "", fraction = ""] = groups;
    if (!isDecimalMark) return isGrouped(groups) ? { kind: "thousands", by: last } : null;
    if (fraction.length === 3 && isGrouped(groups)) return { kind: "open", by: last };
    return whole === "" && fraction === "" ? null : { kind: "decimal", by: last, thousands: null };
  }
  const before = new Set(separators.slice(0, -1));
  const [thousands] = before;
  if (!isDecimalMark || before.size !== 1 || thousands === undefined || thousands === last) return null;
  return isGrouped(groups.slice(0, -1)) ? { kind: "decimal", by: last, thousands } : null;
}

/** What the open reading 1.000 means here, and whether that is a guess. */
function decide(by: "." | ",", context: NumberContext): { decimal: boolean; ambiguous: boolean } {
  const { convention, decimals } = context;
  if (convention?.decimal === by) return { decimal: true, ambiguous: false };
  if (convention?.thousands === by) return { decimal: false, ambiguous: false };
  if (convention?.decimal) return { decimal: false, ambiguous: false };
  if (decimals !== undefined) return { decimal: decimals === 3, ambiguous: false };
  return { decimal: context.prefer === "decimal", ambiguous: true };
}

/**
 * Reads digits and separators, without sign, currency or unit: `1,591,600`, `1 234,56`, `1'234.50`, `1,00,000`,
 * `.50`, `40,000.`, `1, 591, 600`. Null on anything else, dates included. Never throws; time is bounded by
 * `maxLength`.
 */
export function read(body: string, context: NumberContext = {}): PrintedNumber | null {
  if (body.length > maxLength) return null;
  const parts = split(body);
  const reading = parts && classify(parts);
  if (!parts || !reading) return null;
  let decimal = reading.kind === "decimal";
  let ambiguous = false;
  if (reading.kind === "open") ({ decimal, ambiguous } = decide(reading.by, context));
  const whole = decimal ? parts.groups.slice(0, -1) : parts.groups;
  const fraction = decimal ? (parts.groups.at(-1) ?? "") : "";
  if (reading.kind === "decimal" && reading.thousands !== null && fraction.length === 3) {
    // "1.591,600": three decimals beside grouping are more often a misread separator than a price.
    ambiguous = context.convention?.decimal !== reading.by && context.decimals !== 3;
  }
  return {
    value: canonical(new Big(`${whole.join("") || "0"}.${fraction || "0"}`)),
    fractionDigits: fraction.length,
    ambiguous,
  };
}

/** The one way decimals are written: no exponent, no trailing zeros, no minus on zero. */
export function canonical(value: Big): string {
  return value.eq(0) ? "0" : value.toFixed();
}

/**
 * What points and commas mean in a document, from its number bodies (see `read`). A separator followed by one,
 * two or more than three digits is decimal; one that repeats or stands before the decimal one groups
 * thousands. Where only `1.000` forms occur, two of them make it a grouping: no till prints all its amounts
 * with three decimals. Contradictions leave it open.
 */
export function conventionOf(bodies: readonly string[]): Convention {
  const votes = new Map<Separator, { decimal: number; thousands: number; open: number }>();
  const vote = (separator: Separator, role: "decimal" | "thousands" | "open") => {
    const counts = votes.get(separator) ?? { decimal: 0, thousands: 0, open: 0 };
    counts[role] += 1;
    votes.set(separator, counts);
  };
  for (const body of bodies) {
    const parts = body.length > maxLength ? null : split(body);
    const reading = parts && classify(parts);
    if (!reading) continue;
    if (reading.kind === "thousands") vote(reading.by, "thousands");
    if (reading.kind === "open") vote(reading.by, "open");
    if (reading.kind === "decimal") {
      vote(reading.by, "decimal");
      if (reading.thousands !== null) vote(reading.thousands, "thousands");
    }
  }
  const convention: Convention = { decimal: null, thousands: null };
  let decimalVotes = 0;
  let thousandsVotes = 0;
  for (const [separator, { decimal, thousands, open }] of votes) {
    const grouping = thousands > decimal || (decimal === 0 && thousands === 0 && open >= 2);
    if (decimal > thousands && (separator === "." || separator === ",")) {
      if (decimal > decimalVotes) convention.decimal = separator;
      else if (decimal === decimalVotes) convention.decimal = null;
      decimalVotes = Math.max(decimalVotes, decimal);
    } else if (grouping) {
      const weight = thousands + open;
      if (weight > thousandsVotes) convention.thousands = separator;
      thousandsVotes = Math.max(thousandsVotes, weight);
    }
  }
  return convention;
}
