import * as Dates from "#local/model/rules/dates";
import type { Cell, Row } from "#local/model/rules/rows";

/**
 * What a number can be: money (written the way amounts are written on this paper), a whole number, a measure
 * (weight, price per liter, anything with a unit) or a percentage.
 */
type Form = "money" | "integer" | "measure" | "percent";

/** The cell that a piece was cut from, and where. */
interface Source {
  text: string;
  start: number;
  end: number;
}

/** A number on the paper with the text as printed, without currency and tax codes around it. */
export interface Num {
  kind: "number";
  text: string;
  /** As printed, with its currency, unit or multiplication sign. */
  shown: string;
  value: number;
  form: Form;
  /** 1 for a clean reading, less if digits or separators were repaired. */
  quality: number;
  currency: string | undefined;
  /** Printed with a percent sign, an at sign or a multiplication sign on this side. */
  mark: "at" | "times" | undefined;
  confidence: number;
  left: number;
  right: number;
  row: number;
  source: Source;
}

interface Words {
  kind: "words";
  text: string;
  source: Source;
  confidence: number;
  left: number;
  right: number;
}

export type Segment = Num | Words;

/** How this paper writes amounts. */
export interface Style {
  /** Amounts have two decimals. False: whole units with thousands separators (rupiah, yen). */
  decimals: boolean;
  decimalMark: "." | ",";
  /** Thousands are separated somewhere; where they never are, plain whole numbers are amounts. */
  grouped: boolean;
}

/** Codes and words that are words of other languages in small letters: Cad. is a street, kr is in kefir. */
export const CODES = "PLN|SEK|NOK|DKK|CZK|HUF|RON|TL|TRY|INR|AUD|CAD|NZD|ZAR|Rs|K[cč]|[zZ][lLłŁ]";
/**
 * Letters of either case, spelled out: with a case-sensitive group in an expression that is not, `(?-i:)`, one run of
 * all tests in one process took `Cad.` for CAD (Node 24.21), while the same test alone never did.
 */
export const anyCase = (letters: string) =>
  letters.replace(/[A-Za-z]/g, (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}]`);
const CURRENCY = `(?:${anyCase("S\\$|US\\$|RM|MYR|Rp|IDR|EURO?|USD|GBP|CHF|SGD|Fr\\.")}|[€£$¥₹₺]|(?<![A-Za-z])(?:${CODES}|${anyCase("kr")}))`;
/** Groups of digits joined by separators. OCR may put a space beside a separator, but never between two groups. */
const RUN = "\\d+(?:\\s?[.,':;\\-]\\s?\\d+)*|(?<![\\d.,])[.,]\\d{2}(?!\\d)";
const NUMBER = new RegExp(
  `(${CURRENCY}\\s?[.:]?\\s?)?(\\(?(?:[-+~]\\s?)?)(${CURRENCY}\\s?[.:]?\\s?)?(${RUN})`,
  "g",
);
const UNIT =
  /^\s?(?:kg|gr?m?|mg|ml|cl|ltr|cm|mm|mtr|pcs?|pkt|pack|roll|stck?|stk|pax|oz|lbs?|h(?:rs?|ours?)?|std|stunden|days?|tage|'s|[lm](?=[\s,.]|$))(?![a-z])/i;
const THOUSANDS = /^\d{1,3}(?:[.,']\d{3})+$/;
const THOUSANDS_DECIMALS = /^\d{1,3}(?:[.,']\d{3})+[.,]\d{2}$/;
const DECIMALS = /^\d*[.,]\d{2}$/;
/** Longer runs of digits are numbers of documents, cards and telephones. */
const MAX_INTEGER_DIGITS = 7;

/** Finds out from all the numbers of the paper how it writes amounts. */
export function detectStyle(rows: Row[]): Style {
  let thousands = 0;
  let large = 0;
  const decimals = { ".": 0, ",": 0 };
  for (const row of rows) {
    for (const cell of row.cells) {
      for (const match of withoutStamps(cell.text).matchAll(/\d[\d.,']*/g)) {
        const run = match[0].replace(/[.,']+$/, "");
        if (THOUSANDS.test(run)) thousands += 1;
        if (/^[1-9]\d{2,5}00$/.test(run)) large += 1;
        const mark = /^\d+(?:[.,']\d{3})*([.,])\d{2}$/.exec(run)?.[1];
        if (mark === "." || mark === ",") decimals[mark] += 1;
      }
    }
  }
  const fractions = decimals["."] + decimals[","];
  return {
    // 10.00% and 6.00 kg are on rupiah receipts too: there amounts with thousands are in the majority.
    decimals: fractions > thousands || (thousands === 0 && (fractions > 0 || large < 2)),
    decimalMark: decimals[","] > decimals["."] ? "," : ".",
    grouped: thousands > 0,
  };
}

/** Cuts a row to words and numbers, from left to right. */
export function segments(row: Row, index: number, style: Style): Segment[] {
  return rejoin(row.cells, style).flatMap((cell) => cellSegments(cell, index, style));
}

/** `52` and `-00` close together are one amount that the detector cut at a faint mark. */
function rejoin(cells: Cell[], style: Style): Cell[] {
  const joined: Cell[] = [];
  for (const cell of cells) {
    const last = joined.at(-1);
    const near = last && cell.left - last.right < cell.height;
    const marked = near && /\d$/.test(last.text) && /^[-.,:]\d{2}$/.test(cell.text);
    const bare = near && style.decimals && /(?:^|\D)\d{1,4}$/.test(last.text) && /^00$/.test(cell.text);
    if (last && (marked || bare)) {
      const text = last.text + (bare ? style.decimalMark : "") + cell.text;
      joined[joined.length - 1] = { ...last, text, right: cell.right };
    } else {
      joined.push(cell);
    }
  }
  return joined;
}

function cellSegments(cell: Cell, row: number, style: Style): Segment[] {
  const text = mendDigits(cell.text);
  const masked = withoutStamps(text);
  const found: Segment[] = [];
  const at = (position: number) =>
    cell.left + ((cell.right - cell.left) * position) / Math.max(1, text.length);
  const words = (from: number, to: number) => {
    const part = text.slice(from, to).trim();
    if (/[\p{L}\d]/u.test(part)) {
      found.push({
        kind: "words",
        text: part,
        source: { text, start: from, end: to },
        confidence: cell.confidence,
        left: at(from),
        right: at(to),
      });
    }
  };
  let done = 0;
  for (const match of masked.matchAll(NUMBER)) {
    const [whole, before, sign = "", between, run = ""] = match;
    const end = match.index + whole.length;
    const number = interpret(run, {
      before: masked.slice(0, match.index),
      after: masked.slice(end),
      sign,
      style,
    });
    if (!number) continue;
    // The number of S98 or CS00067741 belongs to the word.
    const start = match.index;
    words(done, start);
    const mark = before ?? between;
    const after = masked.slice(end);
    const tail = tailOf(number, after);
    found.push({
      ...number,
      kind: "number",
      shown: shown(number, mark, masked.slice(0, start), tail),
      currency: mark?.replace(/[\s.:]+$/, "") || currencyAfter(after)?.trim(),
      confidence: cell.confidence,
      left: at(start),
      right: at(end),
      row,
      source: { text, start, end: end + tail.length },
    });
    done = end + tail.length;
  }
  words(done, text.length);
  return found;
}

/** What follows a number and belongs to it: a percent sign, a unit, a multiplication sign, a currency. */
function tailOf(number: Reading, after: string): string {
  if (number.form === "percent") return /^\s?%/.exec(after)?.[0] ?? "";
  if (number.mark === "times") return /^\s?[xX×*]/.exec(after)?.[0] ?? "";
  if (number.form === "measure") return UNIT.exec(after)?.[0] ?? "";
  return currencyAfter(after) ?? "";
}

function shown(number: Reading, mark: string | undefined, before: string, tail: string): string {
  // 1.50 x is a price that is multiplied, 2 x is a quantity.
  if (number.mark === "times" && number.form !== "money") {
    const sign = tail === "" ? (/[xX×]\s?$/.exec(before)?.[0] ?? "") : "";
    return `${sign}${number.text}${tail.replace("*", "")}`;
  }
  const currency = mark?.replace(/[:\s]+$/, (gap) => (/\s/.test(gap) ? " " : "")) ?? "";
  if (number.form === "money" && currency !== "") return `${currency}${number.text}`;
  return number.mark === "times" ? number.text : `${number.text}${tail}`;
}

type Reading = Pick<Num, "text" | "value" | "form" | "quality" | "mark">;

function interpret(
  run: string,
  around: { before: string; after: string; sign: string; style: Style },
): Reading | undefined {
  const { before, after, style } = around;
  // Part of a word (S98, U3, 4A-12) or of an identifier.
  if (/[\p{L}#&_]$|[\p{L}\d]\/$/u.test(before) && !/(?:^|[\s\d)])[xX]$|[*@]$/.test(before)) return undefined;
  if (/^[/&_#]/.test(after) || /^-\p{L}/u.test(after)) return undefined;
  const compact = run.replace(/\s/g, "").replace(/[.,':;-]+$/, "");
  const negative = /-/.test(around.sign) || /^\s?-(?!\s?[\d\p{L}])/u.test(after) || isParenthesised(around);
  const signed = (text: string) => (negative ? `-${text}` : text);
  const mark = /@\s?$/.test(before)
    ? "at"
    : /[xX*×]\s?$/.test(before) || /^\s?[xX*×](?![A-Za-z])/.test(after)
      ? "times"
      : undefined;
  const reading = (form: Form, text: string, value: number, quality = 1): Reading => ({
    form,
    text: signed(text),
    value: negative ? -value : value,
    quality,
    mark,
  });
  if (/^\s?%/.test(after)) return reading("percent", compact, plain(compact));
  const unit = UNIT.test(after);
  // 15,000,00: one of the marks was misread, and the last one is the decimal mark.
  const same = /^\d{1,3}(?:([.,])\d{3})+\1\d{2}$/.exec(compact)?.[1];
  if (same) {
    const text = compact.slice(0, -3).replaceAll(same, same === "," ? "." : ",") + compact.slice(-3);
    return reading("money", text, grouped(compact), 0.8);
  }
  if (THOUSANDS_DECIMALS.test(compact)) return reading(unit ? "measure" : "money", compact, grouped(compact));
  if (THOUSANDS.test(compact)) {
    const single = compact.split(/[.,']/).length === 2;
    // 1.499 EUR/l: three decimals, where the paper has two-decimal amounts with the same mark.
    const measure = unit || (style.decimals && single && compact.includes(style.decimalMark));
    if (measure) return reading("measure", compact, plain(compact));
    return reading("money", compact, Number(compact.replace(/\D/g, "")), style.decimals ? 0.9 : 1);
  }
  if (DECIMALS.test(compact)) {
    return reading(unit ? "measure" : "money", compact, plain(compact), style.decimals ? 1 : 0.6);
  }
  if (/^\d+$/.test(compact)) {
    if (compact.length > MAX_INTEGER_DIGITS) return undefined;
    const amount = !unit && !style.decimals && !style.grouped && compact.length >= 3;
    return reading(unit ? "measure" : amount ? "money" : "integer", compact, Number(compact), 0.7);
  }
  return mend(compact, style, reading);
}

/** Readings that need a repair. The repaired text is what the paper most probably says. */
function mend(compact: string, style: Style, reading: (f: Form, t: string, v: number, q: number) => Reading) {
  if (style.decimals) {
    // 52-00 and 5:00
    const separated = /^(\d{1,5})[-:;'](\d{2})$/.exec(compact);
    if (separated) {
      const text = `${separated[1]}${style.decimalMark}${separated[2]}`;
      return reading("money", text, plain(text), 0.5);
    }
    // 0.7500 is a price with four decimals; in 49.9919 the tax code 19 follows 49.99 directly.
    if (/^\d+[.,]\d{2}(00|50)$/.test(compact)) return reading("measure", compact, plain(compact), 0.8);
    const glued = /^(\d+[.,]\d{2})\d{2}$/.exec(compact);
    if (glued?.[1]) {
      return reading("money", glued[1], plain(glued[1]), 0.4);
    }
    if (/^\d+[.,]\d$/.test(compact)) return reading("measure", compact, plain(compact), 0.3);
    return undefined;
  }
  // 28:888
  const group = /^(\d{1,3})[:;-](\d{3})$/.exec(compact);
  if (group) {
    const text = `${group[1]}${style.decimalMark === "," ? "." : ","}${group[2]}`;
    return reading("money", text, Number(`${group[1]}${group[2]}`), 0.5);
  }
  return undefined;
}

/** 1,234.56 and 1.234,56: the last separator is the decimal mark. */
function grouped(compact: string): number {
  return Number(`${compact.slice(0, -3).replace(/\D/g, "")}.${compact.slice(-2)}`);
}

function plain(compact: string): number {
  return Number(compact.replace(/[,']/, "."));
}

function isParenthesised({ sign, after }: { sign: string; after: string }): boolean {
  return sign.startsWith("(") && after.startsWith(")");
}

function currencyAfter(after: string): string | undefined {
  return new RegExp(`^\\s?${CURRENCY}(?![A-Za-z])`).exec(after)?.[0];
}

/** Letters that the recognizer sees among digits: RMO.28, 5.O0, l2.50. */
function mendDigits(text: string): string {
  return text
    .replace(/(?<=\d[.,:]?|(?:RM|Rp)\s?)[Oo](?=[.,:]?\d|$|\s)/g, "0")
    .replace(/(?<=\d[.,:]0)[Oo](?=\s|$)/g, "0")
    .replace(/(?<=\d[.,]?)[Il|](?=\d)/g, "1")
    .replace(/(?<=\s|^)[Il|](?=\d*[.,]\d{2})/g, "1");
}

/** Dates and times blanked out, so that their digits are no amounts; positions stay. */
function withoutStamps(text: string): string {
  let result = text;
  for (const { start, end } of [...Dates.find(text), ...Dates.findTimes(text)]) {
    // 5:00 after a currency is a misread amount, not a time.
    if (/(?:RM|Rp|EUR|[€£$])\s?$/i.test(text.slice(0, start))) continue;
    result = result.slice(0, start) + " ".repeat(end - start) + result.slice(end);
  }
  return result;
}
