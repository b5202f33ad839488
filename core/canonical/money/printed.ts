import * as Currency from "./currency.ts";
import type { Mark } from "./marks.ts";
import * as Marks from "./marks.ts";
import { fold, plain, type Scanned, scan } from "./number.ts";
import * as Words from "./words.ts";

/** A parsed amount: what is printed, before the document decides what its separators and marks mean. */
export interface Printed {
  scanned: Scanned;
  /** A leading minus, a trailing minus after printed cents, brackets, or a Japanese triangle. */
  negative: boolean;
  /** One dash after the number: a minus, or the customary end of whole amounts (`¥10,800-`). */
  dash: boolean;
  /** The currency mark printed beside it. Null without one; without codes if the mark is unknown. */
  mark: Mark | null;
  /**
   * The only mark is a code that is also a word of receipts, or a letter that OCR reads in place of a currency sign.
   */
  word: boolean;
  /** A price for a measure: "1,579 €/L". */
  perUnit: boolean;
  /** Arabic separators are unambiguous: ٫ is decimal, ٬ groups. */
  certain: boolean;
  /** "-.95", "–,79": the dash may stand for zero units (Swiss and German price tags) or be a minus. */
  zeroDash: boolean;
  /** "RM.50": fifty ringgit if the point belongs to the abbreviation, fifty sen if it is decimal. */
  openPoint: boolean;
  /** Two capitals after cents that are a mark but may also be a tax code ("24.99 RO", "12.50 FR"). */
  weak: boolean;
}

const unknown: Mark = { codes: [], alone: null };
/** A whole number with more digits beside an unknown word is a reference number. */
const maxBareDigits = 6;

/** Tax codes after a price: "29,98 1", "3.49 A1", "(A)". */
const taxDigit = /(?<=[.,]\d\d) \d$/;
const taxCode = / [A-Z]{1,2}\d$/;
const perUnit = / ?\/ ?\d{0,4} ?\p{L}{1,6}\.?$/u;
/**
 * "5.-", "Rp 50.000,-", "1 299:-", "500/-", "1,200/=", "1,200=": here dashes stand for zero cents and are not signs.
 */
const closer = /^ ?(?:[.,:] ?[-=]{1,2}|\/ ?[-=]{1,2}(?: ?\/)?|=)(?![\d-])/;
/** Fill characters and notes before the number: "*118,80", "≡12,50", "※108". */
const filler = /^[*≡+=:@※#]$/;
const minus = /^[-▲△]$/;
/** "5⁹⁹": raised cents. */
const raised = /(?<=\d)[⁰¹²³⁴-⁹]{2}(?![⁰¹²³⁴-⁹\d])/u;
const lowered = (digits: string) => [...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(digit)).join("");

/** What is printed on one side of the number, during parsing. */
interface Sides {
  minus: number;
  dash: number;
  open: number;
  closed: number;
  stars: number;
  sharps: number;
  closer: boolean;
  prefix: string;
  suffix: string;
  /** True if a space or a point separates the number from the text before or after it. */
  apart: { prefix: boolean; suffix: boolean };
}

/** Parses an amount. Null if the text is not an amount or has over 64 characters; never throws. */
export function prepare(printed: string): Printed | null {
  if (/^-?\d{1,15}(?:[.,]\d\d)?$/.test(printed)) return bare(printed);
  const folded = fold(printed);
  if (!folded || !/\d/.test(folded)) return null;
  const certain = /[٫٬]/.test(printed);
  let text = /[⁰-⁹¹²³]/.test(folded) ? folded.replace(raised, (digits) => `.${lowered(digits)}`) : folded;
  const measure = text.includes("/") ? perUnit.exec(text) : null;
  const priced = measure !== null && /\d/.test(text.slice(0, measure.index));
  if (priced) text = text.slice(0, measure.index);
  if (/ [A-Z]{0,2}\d$/.test(text)) text = text.replace(taxDigit, "").replace(taxCode, "");
  const first = firstOf(text);
  const last = lastOf(text);
  const body = text.slice(first, last);
  const sides = sidesOf(text.slice(0, first), text.slice(last));
  if (!sides) return null;
  const core = coreOf(body, sides);
  // "****1234" masks a card number. "#1,250.00" is an amount in naira; "#12" and "#1,250" are numbers of things.
  if (!core || (sides.stars > 1 && !core.money)) return null;
  if (sides.sharps > 0 && core.scanned.reading.kind !== "decimal") return null;
  const beside = marksOf(sides, core);
  if (!beside) return null;
  const { scanned } = core;
  const zeroDash = sides.minus === 1 && /-[.,]$/.test(text.slice(0, first + 1));
  const openPoint = /(?:^|[^\p{L}])(?:RM|[RPNK])\.$/u.test(text.slice(0, first)) && /^\d\d$/.test(body);
  return { scanned, ...signOf(sides), ...beside, perUnit: priced, certain, zeroDash, openPoint };
}

/** Fast path: most amounts are digits and a point. */
function bare(printed: string): Printed | null {
  const negative = printed.startsWith("-");
  const scanned = scan(negative ? printed.slice(1) : printed);
  if (!scanned || isNumbering(scanned)) return null;
  return {
    scanned,
    negative,
    dash: false,
    mark: null,
    word: false,
    perUnit: false,
    certain: false,
    zeroDash: false,
    openPoint: false,
    weak: false,
  };
}

/** "0171", "00123456": a number with leading zeros and no point is a telephone or reference number. */
function isNumbering({ groups, reading }: Scanned): boolean {
  const [whole = ""] = groups;
  return reading.kind === "integer" && /^0\d{3,}$/.test(whole);
}

/** Start of the number: its first digit, or the point before it (".50", but not "Rs.500"). */
function firstOf(text: string): number {
  const digit = text.search(/\d/);
  return /(?<![\p{L}\p{M}/])[.,]$/u.test(text.slice(0, digit)) ? digit - 1 : digit;
}

/** End of the number: after its last digit, or after the point that follows ("40,000.", but not "5.-"). */
function lastOf(text: string): number {
  const digit = text.search(/\d\D*$/) + 1;
  return /^[.,](?! ?[-=])/.test(text.slice(digit)) ? digit + 1 : digit;
}

/** Removes signs, brackets, fill characters and closing dashes from both sides; null if they contradict each other. */
function sidesOf(prefix: string, suffix: string): Sides | null {
  const apart = { prefix: / $|[\p{L}\p{M}]{2}\.$/u.test(prefix), suffix: suffix.startsWith(" ") };
  const sides: Sides = {
    minus: 0,
    dash: 0,
    open: 0,
    closed: 0,
    stars: 0,
    sharps: 0,
    closer: false,
    prefix,
    suffix,
    apart,
  };
  const closing = closer.exec(suffix);
  if (closing) {
    sides.closer = true;
    sides.suffix = suffix.slice(closing[0].length);
  }
  for (;;) {
    const from = sides.prefix.trim();
    const ends = from === "" ? [] : [from.slice(0, 1), from.slice(-1)];
    const sign = ends.findIndex((char) => minus.test(char) || char === "(" || filler.test(char));
    sides.prefix = from;
    if (sign < 0) break;
    const char = ends[sign] ?? "";
    // "(税込)1,080": these brackets enclose only the text before the number.
    if (char === "(" && from.includes(")")) break;
    if (minus.test(char)) sides.minus += 1;
    if (char === "(") sides.open += 1;
    if (char === "*") sides.stars += 1;
    if (char === "#") sides.sharps += 1;
    sides.prefix = sign === 0 ? from.slice(1) : from.slice(0, -1);
  }
  for (;;) {
    const from = sides.suffix.trim();
    sides.suffix = from;
    const char = [from.slice(0, 1), from.slice(-1)].find((end) => /^[-)*#※]$/.test(end));
    if (char === undefined) break;
    if (char === "-") sides.dash += 1;
    // "12.50 (A)": these brackets enclose only the text after the number.
    if (char === ")" && from.includes("(")) break;
    if (char === ")") sides.closed += 1;
    sides.suffix = from.startsWith(char) ? from.slice(1) : from.slice(0, -1);
  }
  const balanced = sides.open === sides.closed && sides.open <= 1;
  const signs = sides.minus + sides.dash;
  return balanced && sides.minus <= 1 && sides.dash <= 1 && !(sides.closer && sides.dash) && signs <= 2
    ? sides
    : null;
}

function signOf({ minus, dash, open }: Sides): { negative: boolean; dash: boolean } {
  return { negative: minus > 0 || open > 0, dash: dash > 0 };
}

interface Core {
  scanned: Scanned;
  /** Marks within the number itself: a currency sign in place of the point, or the name of a small coin after it. */
  marks: Mark[];
  /** The number has the form of money or ends like money, so an unknown word beside it is a mark. */
  money: boolean;
}

/** The number, also with the mark in place of its point: "5€50", "1 234$50", "250 руб. 50 коп." */
function coreOf(body: string, sides: Sides): Core | null {
  const scanned = scan(body);
  if (scanned) {
    if (isNumbering(scanned)) return null;
    const { reading } = scanned;
    if (!sides.closer) return hundredths({ scanned, marks: [], money: reading.kind !== "integer" }, sides);
    // A closing dash means "no cents", so "1.250/-" has no decimals.
    const whole: Scanned =
      reading.kind === "open" ? { ...scanned, reading: { kind: "thousands", by: reading.by } } : scanned;
    return { scanned: whole, marks: [], money: true };
  }
  const dashed = dashedOf(body, sides);
  if (dashed) return dashed;
  const split = /^(\d[\d., ']*?) ?(\p{Sc}|\p{L}{1,4}\.?) ?(\d{2})$/u.exec(body);
  const mark = split && Currency.markOf(split[2] ?? "");
  const whole = split && scan(split[1] ?? "");
  if (!mark || !whole || whole.reading.kind === "decimal") return null;
  if (Words.isCoin(sides.suffix)) sides.suffix = "";
  else if (!/\p{Sc}/u.test(split[2] ?? "")) return null;
  return { scanned: fraction(whole, split[3] ?? ""), marks: [mark], money: true };
}

/**
 * "1 250-00 р.", "250=00 руб": the dash of Russian papers; "1 249:50 kr": the colon of Swedish ones. Only beside a mark
 * of that country.
 */
function dashedOf(body: string, { prefix, suffix }: Sides): Core | null {
  const [, units = "", sign = "", kopecks = ""] = /^(\d[\d ]*)([-=:])(\d{2})$/.exec(body) ?? [];
  const mark = units === "" ? undefined : Currency.markOf(suffix === "" ? prefix : suffix);
  const customs = sign === ":" ? /^SEK$/ : /^(?:RUB|BYN|UAH|KZT)$/;
  const whole = mark?.codes.some((code) => customs.test(code)) ? scan(units) : null;
  return whole && { scanned: fraction(whole, kopecks), marks: [], money: true };
}

function fraction(whole: Scanned, digits: string): Scanned {
  const by = whole.reading.kind === "thousands" ? whole.reading.by : null;
  return { groups: [...whole.groups, digits], reading: { kind: "decimal", by: ".", thousands: by } };
}

/** "99¢", "50 ct": the number counts hundredths. */
function hundredths(core: Core, sides: Sides): Core | null {
  if (sides.suffix === "" || sides.prefix !== "" || !Words.isHundredth(sides.suffix)) return core;
  sides.suffix = "";
  const { groups, reading } = core.scanned;
  const whole = groups[0] ?? "";
  if (reading.kind !== "integer" || whole.length > 4) return null;
  const cents = whole.padStart(3, "0");
  const [units = "0", rest = ""] = plain(cents.slice(0, -2), cents.slice(-2)).split(".");
  const scanned: Scanned = {
    groups: [units, rest],
    reading: { kind: "decimal", by: ".", thousands: null },
  };
  return { scanned, marks: [], money: true };
}

/** The single mark printed on both sides and within the number; null if some text there is not a mark. */
function marksOf(sides: Sides, core: Core): { mark: Mark | null; word: boolean; weak: boolean } | null {
  const before = sideOf(sides.prefix, core, { apart: sides.apart.prefix, behind: false });
  const behind = before && sideOf(sides.suffix, core, { apart: sides.apart.suffix, behind: true });
  if (!before || !behind) return null;
  const found = [...before, ...core.marks, ...behind];
  const known = found.filter((mark) => mark !== unknown);
  // Two unknown marks are text, not currencies.
  if (found.length - known.length > 1) return null;
  let mark: Mark | undefined = known[0];
  for (const next of known.slice(1)) {
    mark = mark && (mark.codes === next.codes ? mark : Currency.both(mark, next));
    if (!mark) return null;
  }
  // "$ 5.00 TOP": a sign that many currencies share does not make the word a currency.
  const single = known.filter(({ codes }) => codes.length === 1);
  const [code = ""] = single[0]?.codes ?? [];
  const word = single.length === 1 && Marks.isWord(code);
  const both = [sides.prefix, sides.suffix];
  // "S12.50" and "E 12,50" are more often misread dollars, pounds and euros than shillings and emalangeni.
  const letter = known.length === 1 && single.length === 1 && both.some((side) => Marks.isMisread(side));
  const needsSupport = letter || (word && both.some((side) => side.replace(`${code}$`, "").includes(code)));
  const weak = known.length === 1 && isCents(core) && /^[A-Z]{2}$/.test(sides.suffix);
  return { mark: found.length > known.length ? unknown : (mark ?? null), word: needsSupport, weak };
}

interface Place {
  apart: boolean;
  behind: boolean;
}

/** Marks of one side: as a whole ("US $", "F CFA", "S/"), else word by word; null if a word is not a mark. */
function sideOf(text: string, core: Core, place: Place): Mark[] | null {
  if (text === "") return [];
  if (text.length > 24) return null;
  // Fast path: most sides are a single sign.
  const sign = text.length === 1 && !/[A-Z]/.test(text) ? Currency.markOf(text) : undefined;
  if (sign) return [sign];
  const words = text.split(
    / |(?<=[\p{L}\p{Sc}])(?=\()|(?<=\))(?=[\p{L}\p{Sc}])|(?<=\p{L}{2})(?=\p{Sc})|(?<=\p{Sc})(?=\p{L})/u,
  );
  if (words.length > 3) return null;
  if (isNumbered(text, core, place)) return null;
  const whole = words.every((word) => isNote(word, core, place)) ? undefined : Currency.markOf(text);
  if (whole) return [whole];
  const marks: Mark[] = [];
  for (const [index, word] of words.entries()) {
    // Only the word next to the number can be attached to it.
    const touches = index === (place.behind ? 0 : words.length - 1);
    const here = touches ? place : { ...place, apart: true };
    if (isNote(word, core, here) || Words.isRemark(word)) continue;
    if (place.behind && core.money && Words.isSingly(word)) continue;
    if (Words.isTaxRemark(words[index - 1] ?? "", word)) continue;
    const mark = Currency.markOf(word) ?? (mayBeMark(word, core, here) ? unknown : null);
    if (!mark) return null;
    marks.push(mark);
  }
  return marks;
}

/**
 * "A12", "E7", "10K", "2.5M": a single letter attached to the number names a thing or a multiple, except tax codes
 * after cents, francs ("1500F"), rand and quetzals.
 */
function isNumbered(text: string, core: Core, place: Place): boolean {
  if (place.apart || !/^[A-Z]\.?$/.test(text)) return false;
  if (place.behind) return text !== "F" && !isNote(text, core, place);
  return !core.money && !(text === "R" || (text === "Q" && (core.scanned.groups[0] ?? "").length > 1));
}

/**
 * Tax codes and cashiers' marks after a price: "24,23 A", "3.49 F T", "2.00 SR", "1,99A", "12.50 (A)". Not CR, which
 * would mean credit, nor an attached capital O or I, which is a misread digit.
 */
function isNote(word: string, core: Core, { apart, behind }: Place): boolean {
  if (!behind) return false;
  if (/^[([][A-Z]\d?[)\]]$/.test(word)) return true;
  if (word === "SR" && core.money) return apart;
  // Taiwan's tills print this after everything that is taxed, whole amounts included: "45TX".
  if (word === "TX") return true;
  if (/^[A-Z]{2}$/.test(word)) {
    const place = apart || (isCents(core) && !/[OQDILSBZG]/.test(word));
    return place && !Words.deny(word) && !Currency.markOf(word);
  }
  if (!/^[A-Z]$/.test(word)) return false;
  const cents = isCents(core);
  if (!apart) return cents && !/[OI]/.test(word);
  // After whole amounts a letter may be the mark: "1.500 F", "12,000 K"; after a bare number a measure: "12 A".
  return cents || !(Currency.markOf(word) || (!core.money && Words.deny(word)));
}

function isCents({ scanned: { groups, reading } }: Core): boolean {
  return reading.kind === "decimal" && groups.at(-1)?.length === 2;
}

/**
 * Decides whether an unknown word may be a currency mark. A currency sign always is one. A word is one if it has at
 * most four letters (without its points), is not a unit, time, label or reference, is in a script with spaces between
 * words (Chinese, Japanese and Korean counters look like words), and is beside a number in the form of money: with a
 * fraction, groups, or a closing dash. Beside a bare whole number it is one only if it has two or three letters, begins
 * with a capital, and is separated from the number: "Zk 500", not "ZK500", "zu 5" or "Visa 1234".
 */
function mayBeMark(word: string, core: Core, { apart, behind }: Place): boolean {
  if (Words.deny(word)) return false;
  if (/^[\p{L}.]{0,4}\p{Sc}[\p{L}.]{0,3}$/u.test(word)) return true;
  if (!/^\p{L}[\p{L}\p{M}.'/ʻ]*$/u.test(word)) return false;
  if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(word)) return false;
  const letters = word.match(/\p{L}/gu)?.length ?? 0;
  if (letters > 4 || (letters === 1 && !/^\p{Lu}|\.$/u.test(word))) return false;
  // "3.5OO", "12.5l": letters attached to the number may be misread digits.
  if (!apart && (/^[OoQDIlLSsBZzG.]+$/.test(word) || (behind && letters === 1))) return false;
  if (core.money) return true;
  const [number = ""] = core.scanned.groups;
  return apart && letters >= 2 && letters <= 3 && /^\p{Lu}/u.test(word) && number.length <= maxBareDigits;
}
