import { fold } from "./number.ts";

export interface PrintedDate {
  /** ISO 8601 calendar date. */
  value: string;
  /** True when day and month (or year) could be swapped and nothing decided. */
  ambiguous: boolean;
}

export type DateOrder = "dmy" | "mdy" | "ymd";

export interface DateContext {
  /** ISO 4217 of the document: where people pay with it, dates have a usual order. */
  currency?: string | null | undefined;
  /** The order that other dates of the document prove. */
  order?: DateOrder | undefined;
}

/** English, German, Indonesian, Malay, French: each month by the starts that only it has. */
const months: readonly RegExp[] = [
  /^jan/,
  /^(?:feb|fév|fev|peb)/,
  /^(?:mar|mär|maer|mrz|mac)/,
  /^(?:apr|avr)/,
  /^(?:may|mai|mei)/,
  /^(?:jun|juin)/,
  /^(?:jul|juil)/,
  /^(?:aug|aoû|aou|agu|ags|ogo)/,
  /^sep/,
  /^(?:oct|okt)/,
  /^nov/,
  /^(?:dec|dez|des|dis|déc)/,
];

/** Where month comes first on tills. Source: CLDR short date patterns of the countries that use the currency. */
const monthFirst = new Set(["USD"]);
const yearFirst = new Set(["JPY", "CNY", "KRW", "TWD", "HUF", "SEK"]);
/** Countries that use both orders: the currency decides nothing. */
const undecided = new Set(["CAD", "PHP"]);

function orderOf(currency: string | null | undefined): DateOrder | undefined {
  if (!currency || undecided.has(currency)) return undefined;
  return monthFirst.has(currency) ? "mdy" : yearFirst.has(currency) ? "ymd" : "dmy";
}

type Numbers = [string, string, string];

/** A two-digit year is of this century up to 69 (POSIX strptime's rule); tills and due dates are never older. */
function fullYear(text: string): number {
  const year = Number(text);
  return text.length === 2 ? year + (year < 70 ? 2000 : 1900) : year;
}

function iso(year: number, month: number, day: number): string | null {
  if (year < 1900 || year > 2100 || month < 1 || month > 12 || day < 1) return null;
  const last = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return day > last ? null : `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
}

function monthOf(name: string): number | undefined {
  const index = months.findIndex((start) => start.test(name.toLowerCase()));
  return index < 0 ? undefined : index + 1;
}

/**
 * All orders in which three numbers make a date, the likeliest first. A year of two digits stands first only
 * where that is the custom, or where nothing else makes a date.
 */
function readings([a, b, c]: Numbers, context: DateContext = {}): { order: DateOrder; value: string }[] {
  const found: { order: DateOrder; value: string | null }[] = [];
  if (a.length === 4) {
    found.push({ order: "ymd", value: iso(Number(a), Number(b), Number(c)) });
  } else {
    found.push({ order: "dmy", value: iso(fullYear(c), Number(b), Number(a)) });
    found.push({ order: "mdy", value: iso(fullYear(c), Number(a), Number(b)) });
    const custom = (context.order ?? orderOf(context.currency)) === "ymd";
    if (a.length === 2 && (custom || found.every(({ value }) => value === null))) {
      found.push({ order: "ymd", value: iso(fullYear(a), Number(b), Number(c)) });
    }
  }
  return found.flatMap(({ order, value }) => (value === null ? [] : [{ order, value }]));
}

/**
 * The ISO date of a printed date: `06/01/18`, `14/MAY/2017`, `26 Feb 2016`, `Apr 16, 2018`, `2018-04-16`,
 * `24.05.2018`, also with a weekday before or a time behind it. Points mean day first; a number over 12
 * decides; else the document's other dates, then its currency. What is still open is read day first and marked
 * ambiguous. Null when it is no date that exists between 1900 and 2100. Never throws.
 */
export function parse(printed: string, context: DateContext = {}): PrintedDate | null {
  for (const text of forms(printed)) {
    const found = parseBare(text, context);
    if (found) return found;
  }
  return null;
}

function parseBare(text: string, context: DateContext): PrintedDate | null {
  const named = byName(text);
  if (named) return { value: named, ambiguous: false };
  const numbers = threeNumbers(text);
  const all = numbers ? readings(numbers.parts, context) : [];
  const [first] = all;
  if (!numbers || !first) return null;
  if (new Set(all.map(({ value }) => value)).size === 1) return { value: first.value, ambiguous: false };
  const decided = context.order ?? (numbers.separator === "." ? "dmy" : orderOf(context.currency));
  const chosen = all.find(({ order }) => order === decided);
  return chosen ? { value: chosen.value, ambiguous: false } : { value: first.value, ambiguous: true };
}

function threeNumbers(text: string): { parts: Numbers; separator: string } | null {
  const match =
    /^(?<a>\d{4}) ?[年년] ?(?<b>\d{1,2}) ?[月월] ?(?<c>\d{1,2}) ?[日일]?$/.exec(text) ??
    /^(?<a>(?:19|20)\d\d)(?<b>\d\d)(?<c>\d\d)$/.exec(text) ??
    /^(?<a>\d{4}|\d{1,2}) ?(?<separator>[./ -]) ?(?<b>\d{1,2}) ?\k<separator> ?(?<c>\d{4}|\d{1,2})$/.exec(
      text,
    );
  const { a, b, c, separator = "" } = match?.groups ?? {};
  // One of the outer numbers is the year, and no year has one digit.
  if (a === undefined || b === undefined || c === undefined || (a.length < 4 && c.length < 2)) return null;
  return a.length === 4 && c.length === 4 ? null : { parts: [a, b, c], separator };
}

/** The order that this date proves by itself; undefined when it fits more than one. */
export function orderProvedBy(printed: string): DateOrder | undefined {
  for (const text of forms(printed)) {
    const numbers = threeNumbers(text);
    if (!numbers || numbers.parts[0].length === 4) continue;
    if (numbers.separator === ".") return "dmy";
    const [only, ...more] = readings(numbers.parts);
    return more.length === 0 ? only?.order : undefined;
  }
  return undefined;
}

/** The text as it is, then without a time behind it, then without a weekday or label before it, then without both. */
function forms(printed: string): string[] {
  const text = fold(printed)?.replace(/ ?\(\p{L}{2,9}\) ?/u, " ");
  if (!text) return [];
  const withoutTime = (value: string) =>
    value
      .replace(
        /[T,]? ?\(?\d{1,2} ?[:h] ?\d{2}(?: ?[:m] ?\d{2}(?:\.\d+)?)? ?(?:[ap]\.?m\.?|uhr|wib|z|s)?\)?$/i,
        "",
      )
      .replace(/ \d{1,2}\.\d{2}(?:\.\d{2})?$/, "")
      .trim();
  const withoutDay = (value: string) => value.replace(/^\p{L}{0,10}[.,: ]+/u, "");
  return [...new Set([text, withoutTime(text), withoutDay(text), withoutDay(withoutTime(text))])];
}

/** Dates with the month's name, in either order. */
function byName(text: string): string | null {
  const dayFirst =
    /^(\d{1,2})(?:st|nd|rd|th|er|\.)?[ ./-]*(?:de |of )?(\p{L}{3,9})\.?,?[ ./-]*(\d{4}|'?\d{2})$/iu.exec(
      text,
    );
  const monthLed = /^(\p{L}{3,9})\.?[ ./-]*(\d{1,2})(?:st|nd|rd|th)?,?[ ./-]+(\d{4}|'?\d{2})$/iu.exec(text);
  const yearLed = /^(\d{4})[ ./-]+(\p{L}{3,9})\.?[ ./-]+(\d{1,2})$/u.exec(text);
  const [day, name, year] = dayFirst
    ? [dayFirst[1], dayFirst[2], dayFirst[3]]
    : monthLed
      ? [monthLed[2], monthLed[1], monthLed[3]]
      : [yearLed?.[3], yearLed?.[2], yearLed?.[1]];
  const month = name === undefined ? undefined : monthOf(name);
  if (!day || !year || month === undefined) return null;
  return iso(fullYear(year.replace("'", "")), month, Number(day));
}
