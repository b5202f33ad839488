/**
 * Numbers as printed. The one difficult question is what a point or a comma means. The number itself answers it if
 * possible, else the other numbers of the document (`conventionOf`).
 */

type Separator = "." | "," | "'" | " ";

/** The meaning of the separators in one document; null if the document does not show it. */
export interface Convention {
  decimal: "." | "," | null;
  thousands: Separator | null;
}

interface PrintedNumber {
  /** Canonical decimal: no grouping, a point, no trailing zeros, no exponent. */
  value: string;
  /** Digits printed after the decimal separator. */
  fractionDigits: number;
  /** True if another reading is equally good and nothing decided between them. */
  ambiguous: boolean;
}

interface NumberContext {
  convention?: Convention | undefined;
  /** Decimals of the unit, if known: 0 or 2 rule out three decimals, 3 makes them expected. */
  decimals?: number | undefined;
  /** With three decimals: the customary decimal sign. A number with the other sign is ambiguous. */
  custom?: "." | "," | undefined;
  /** The reading of `1.000` when nothing else decides. */
  prefer?: "thousands" | "decimal" | undefined;
}

/** Longest text that is read. Printed amounts are short; the limit bounds the time for hostile texts. */
const maxLength = 64;
/** A number with more digits is a barcode or a runaway answer. */
const maxDigits = 18;

/** Characters that tills, keyboards of all scripts and OCR use in place of an ASCII sign. */
const folded = new Map<string, string>([
  ...pairs(".", "٫·‧∙⋅。｡"),
  ...pairs(",", "٬،、､"),
  ...pairs("-", "−‐‑‒–—―─﹘﹣"),
  ...pairs("'", "’‘‛`´ʼʹ′"),
  ...pairs("/", "⁄∕"),
  ...pairs("%", "٪﹪"),
  ...pairs("$", "﹩"),
  ...pairs("£", "￡"),
  ...pairs("¥", "￥"),
  ...pairs("₩", "￦"),
  ...pairs("¢", "￠"),
]);

function pairs(ascii: string, signs: string): [string, string][] {
  return [...signs].map((sign) => [sign, ascii]);
}

const ascii = /^[\x20-\x7e]*$/;
/** Invisible characters: direction marks, zero-width characters, soft hyphens. */
const invisible = /^\p{Cf}$/u;
const digit = /^\p{Nd}$/u;

function foldOne(char: string): string {
  const known = folded.get(char);
  if (known !== undefined) return known;
  const code = char.codePointAt(0) ?? 0;
  // Full-width forms of ASCII are in the same order, 0xFEE0 higher.
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0);
  if (invisible.test(char)) return "";
  if (!digit.test(char)) return char;
  // The decimal digits of every script are consecutive from 0 to 9 (The Unicode Standard, 4.6).
  let zero = code;
  while (digit.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String((code - zero) % 10);
}

/**
 * The text with digits of every script and with all dashes, quotes and spaces folded to ASCII, without invisible
 * characters. Null if it is too long for a printed value. Not NFKC, which would turn the raised cents of `5⁹⁹` into
 * 599.
 */
export function fold(printed: string): string | null {
  if (printed.length > maxLength) return null;
  let text = printed;
  if (!ascii.test(text)) {
    text = "";
    for (const char of printed) text += char < "\x7f" ? char : foldOne(char);
  }
  return /\s\s|[^\S ]|^ | $/.test(text) ? text.replace(/\s+/g, " ").trim() : text;
}

type Reading =
  | { kind: "integer" }
  | { kind: "thousands"; by: Separator }
  | { kind: "decimal"; by: "." | ","; thousands: Separator | null }
  /** One point or comma followed by three digits: 1.000. */
  | { kind: "open"; by: "." | "," };

/** A number whose parts are known; the meaning of an open separator is decided later (`evaluate`). */
export interface Scanned {
  groups: string[];
  reading: Reading;
}

const integer: Reading = { kind: "integer" };

/** Digits and separators of a number body; null if it contains anything else, and for dates. */
export function scan(body: string): Scanned | null {
  if (body.length > maxLength) return null;
  if (/^\d+$/.test(body)) return body.length > maxDigits ? null : { groups: [body], reading: integer };
  // OCR and tills print spaces around separators: "1, 591, 600".
  const text = body.includes(" ") ? body.replace(/ ?([.,']) ?/g, "$1") : body;
  if (!/^\d*(?:[.,' ]\d+)*[.,]?$/.test(text) || !/\d/.test(text)) return null;
  const groups = text.split(/[.,' ]/);
  const separators = (text.match(/[.,' ]/g) ?? []) as Separator[];
  if (text.length - separators.length > maxDigits) return null;
  // "40,000." has an empty fraction; "40." and "40,000," end in a stray mark.
  if (groups.at(-1) === "" && !(separators.length > 1 && separators.at(-2) !== separators.at(-1))) {
    groups.pop();
    separators.pop();
  }
  const reading = classify(groups, separators);
  return reading && { groups, reading };
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

function classify(groups: string[], separators: Separator[]): Reading | null {
  const last = separators.at(-1);
  if (last === undefined) return integer;
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
  // "$ 1'250.000,00", "$1'250,000.00": millions behind an apostrophe, as Colombia and Mexico write them.
  const millions = separators[0] === "'" && separators[1] !== "'";
  const before = new Set(separators.slice(millions && separators.length > 2 ? 1 : 0, -1));
  const [thousands] = before;
  if (!isDecimalMark || before.size !== 1 || thousands === undefined || thousands === last) return null;
  return isGrouped(groups.slice(0, -1)) ? { kind: "decimal", by: last, thousands } : null;
}

/** The meaning of the open form 1.000 here, and whether it is a guess. */
function decide(by: "." | ",", context: NumberContext): { decimal: boolean; ambiguous: boolean } {
  const { convention, decimals, custom } = context;
  if (convention?.decimal === by) return { decimal: true, ambiguous: false };
  if (convention?.thousands === by) return { decimal: false, ambiguous: false };
  if (convention?.decimal) return { decimal: false, ambiguous: false };
  if (decimals === 3) {
    // Where the point is decimal, a comma groups; where the comma is decimal, tills also print a point.
    const usual = custom === undefined || custom === by;
    return { decimal: usual || custom === ",", ambiguous: !usual };
  }
  if (decimals !== undefined) return { decimal: false, ambiguous: false };
  return { decimal: context.prefer === "decimal", ambiguous: true };
}

/** "1.591,600", "1'250.000": three decimals after grouping, or a second grouping sign. */
function isOdd({ groups, reading }: Scanned): boolean {
  return reading.kind === "decimal" && reading.thousands !== null && groups.at(-1)?.length === 3;
}

/**
 * If no amount can have three decimals, the sign before three digits groups: it was misread, or follows an apostrophe
 * for millions.
 */
function decideOdd(reading: Reading, context: NumberContext): { decimal: boolean; ambiguous: boolean } {
  const { convention, decimals } = context;
  if (reading.kind !== "decimal") return { decimal: false, ambiguous: true };
  if (decimals === 3 || convention?.decimal === reading.by) return { decimal: true, ambiguous: false };
  const isCustom = reading.thousands === "'";
  return { decimal: decimals === undefined && !isCustom, ambiguous: decimals === undefined || !isCustom };
}

/** The value of a scanned number in the context of its document. */
export function evaluate({ groups, reading }: Scanned, context: NumberContext = {}): PrintedNumber {
  let decimal = reading.kind === "decimal";
  let ambiguous = false;
  if (reading.kind === "open") ({ decimal, ambiguous } = decide(reading.by, context));
  if (isOdd({ groups, reading })) ({ decimal, ambiguous } = decideOdd(reading, context));
  const whole = decimal ? groups.slice(0, -1) : groups;
  const fraction = decimal ? (groups.at(-1) ?? "") : "";
  return { value: plain(whole.join(""), fraction), fractionDigits: fraction.length, ambiguous };
}

/** The canonical decimal of the digits before and after the point. */
export function plain(whole: string, fraction: string): string {
  const digits = whole.replace(/^0+(?=\d)/, "") || "0";
  const places = fraction.replace(/0+$/, "");
  return places === "" ? digits : `${digits}.${places}`;
}

/**
 * Reads digits and separators, without sign, currency or unit: `1,591,600`, `1 234,56`, `1'234.50`, `1,00,000`, `.50`,
 * `40,000.`, `1, 591, 600`. Null for anything else, including dates. Never throws; `maxLength` bounds the time.
 */
export function read(body: string, context: NumberContext = {}): PrintedNumber | null {
  const scanned = scan(body);
  return scanned && evaluate(scanned, context);
}

type Vote = { decimal: number; thousands: number; open: number };

/**
 * The meaning of points and commas in a document, from its scanned numbers. A separator followed by one, two, or more
 * than three digits is decimal. One that repeats or precedes the decimal one groups thousands. If only `1.000` forms
 * occur, two of them make the separator a grouping one, since no till prints all amounts with three decimals. The
 * exception is a currency with three decimals: two such forms make it decimal if every amount has that form and the
 * sign is in `mills`, the signs that are decimal there. Contradictions leave it open.
 */
export function conventionOf(
  numbers: readonly { scanned: Scanned; mills?: string | undefined }[],
): Convention {
  const votes = new Map<Separator, Vote>();
  const vote = (separator: Separator, role: keyof Vote, weight = 1) => {
    const counts = votes.get(separator) ?? { decimal: 0, thousands: 0, open: 0 };
    counts[role] += weight;
    votes.set(separator, counts);
  };
  const mills = numbers.filter((number) => number.mills !== undefined);
  const [first] = mills;
  if (mills.length >= 2 && first?.scanned.reading.kind === "open") {
    const { by } = first.scanned.reading;
    const alike = mills.every(({ scanned: { reading } }) => reading.kind === "open" && reading.by === by);
    if (alike && first.mills?.includes(by)) vote(by, "decimal", mills.length);
  }
  for (const { scanned, mills: isMills } of numbers) {
    const { reading } = scanned;
    if (reading.kind === "thousands") vote(reading.by, "thousands");
    if (reading.kind === "open" && isMills === undefined) vote(reading.by, "open");
    if (reading.kind === "decimal") {
      // An amount that may be misread is no evidence for its separator.
      if (isMills !== undefined || !isOdd(scanned)) vote(reading.by, "decimal");
      if (reading.thousands !== null) vote(reading.thousands, "thousands");
    }
  }
  return elect(votes);
}

function elect(votes: ReadonlyMap<Separator, Vote>): Convention {
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
