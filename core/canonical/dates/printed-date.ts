import { customOf, type DateOrder, likeliest } from "#core/canonical/country/day-order";
import * as Calendar from "./calendar.ts";
import { type Shape, scan } from "./date-shape.ts";
import * as Names from "./names.ts";

interface PrintedDate {
  /** ISO 8601 calendar date; if several are possible, the likeliest. */
  value: string;
  /** True if another reading is equally good and nothing decided between them. */
  ambiguous: boolean;
  /** If ambiguous: all possible days, the likeliest first. */
  readings?: readonly string[];
}

interface DateContext {
  /** ISO 4217 code of the document's currency. It tells the usual order, calendar and language of dates. */
  currency?: string | null | undefined;
  /** The other dates of the document as printed, never this one. */
  others?: readonly string[] | undefined;
  /** When the document was received. A year of two digits is at most `yearsAhead` years after it. */
  createdAt?: Date | undefined;
  /** 1 by default; 2 for dates in the future, such as due dates. */
  yearsAhead?: number | undefined;
  /** The decimal separator of the document's amounts. */
  decimal?: "." | "," | null | undefined;
  /** The date orders of the country that the paper comes from (country.ts), which may differ from the currency's. */
  local?: (() => readonly (readonly DateOrder[])[] | undefined) | undefined;
}

/** One way to read a date. */
interface Reading extends Calendar.Day {
  order: DateOrder;
  calendar: Calendar.Calendar;
  /** True if this is the only calendar in which people who pay with the currency count years. */
  customary: boolean;
  /** True if a Gregorian year is printed with two digits: its century comes from a rule, not from the paper. */
  short: boolean;
}

/**
 * The ISO date of a printed date: numbers in any usual order, names of months and weekdays in any language, years of
 * calendars that papers use, with an optional weekday or label before and time after it. The document's other dates and
 * its currency decide which number is the day; the size of a number decides only if no other order gives a valid date.
 * If several readings remain, the date is `ambiguous` and all readings are returned. Null if it is not a valid date
 * between 1900 and 2100. Never throws. Rules and sources: docs/values.md.
 */
export function parse(printed: string, context: DateContext = {}): PrintedDate | null {
  const shape = scan(printed, context.currency);
  if (!shape) return null;
  const all = readingsOf(shape, context);
  const readings = plausible(shape, all, context);
  if (readings.length === 0) return null;
  // If no day is plausible in the usual order, this is no evidence for another order.
  const usual = customOf(context.currency)?.[0] ?? [];
  const isUsual = ({ order }: Reading) => usual.includes(order);
  if (all.some(isUsual) && !readings.some(isUsual)) return open(readings, all);
  return decide(shape, readings, context);
}

/** Currencies that together cover every calendar and order. */
const everyCustom = [undefined, "THB", "NPR", "IRR", "TWD", "KRW", "JPY", "SAR", "ETB", "KGS"];

/** True if the text is a date in some country, whatever the rest of the document says. */
export function isReadable(printed: string): boolean {
  return everyCustom.some((currency) => parse(printed, { currency }) !== null);
}

/** If the day of receipt is unknown, years of two digits up to 69 are in this century (POSIX strptime's rule). */
const latestWithoutDay = Date.UTC(2069, 11, 31);

/** The last day that a year of two digits may mean. */
function limitOf({ createdAt, yearsAhead = 1 }: DateContext): number {
  if (!createdAt || Number.isNaN(createdAt.getTime())) return latestWithoutDay;
  return Date.UTC(createdAt.getUTCFullYear() + yearsAhead, createdAt.getUTCMonth(), createdAt.getUTCDate());
}

/** Every reading that gives a valid date. */
function readingsOf(shape: Shape, context: DateContext): Reading[] {
  const { currency } = context;
  const limit = limitOf(context);
  const split = shape.month === null ? ofNumbers(shape, context) : ofNames(shape, context);
  return split.flatMap(({ order, year, day, monthOf }) => {
    const years = shape.era
      ? [{ calendar: shape.era, year: inEra(shape.era, year), customary: true }]
      : // The present era's years, without its sign, are told from others only by what is long past.
        Calendar.yearsOf(year, currency).filter(
          ({ calendar }) => calendar !== "reiwa" || year.length === 1 || context.createdAt !== undefined,
        );
    const readings = years.flatMap(({ calendar, year: full, customary }) =>
      monthOf(calendar).flatMap((month): Reading[] => {
        const found = Calendar.dayOf(calendar, full, month, Number(day));
        const short = calendar === "gregory" && year.length === 2 && !shape.era;
        return found ? [{ ...found, order, calendar, customary, short }] : [];
      }),
    );
    // For a year of two digits: in each calendar, the latest century that is not too late.
    if (year.length > 2) return readings;
    return readings.filter(
      ({ time, calendar }) =>
        time <= limit &&
        !readings.some(
          (other) => other.calendar === calendar && other.time > time + century / 2 && other.time <= limit,
        ),
    );
  });
}

const msPerDay = 86_400_000;
const century = 36_524 * msPerDay;

/** The year of an era: two digits beside its sign are short for four if the era's years have four digits. */
function inEra(calendar: Calendar.Calendar, year: string): number {
  if (year.length !== 2) return Number(year);
  const base: Partial<Record<Calendar.Calendar, number>> = {
    buddhist: 2500,
    gregory: 2000,
    persian: 1400,
    "islamic-umalqura": 1400,
    "bikram-sambat": 2000,
  };
  return (base[calendar] ?? 0) + Number(year);
}

const countsFromOne = (era: Calendar.Calendar | null) =>
  era === "reiwa" || era === "heisei" || era === "showa" || era === "roc";

interface Split {
  order: DateOrder;
  year: string;
  day: string;
  monthOf: (calendar: Calendar.Calendar) => readonly number[];
}

/** The three numbers in every order that their digits allow. */
function ofNumbers(shape: Shape, context: DateContext): Split[] {
  const { numbers, order: fixed, era, separator } = shape;
  const { currency } = context;
  const [a = "", , c = ""] = numbers;
  const custom = customOf(currency)?.flat() ?? [];
  // A year of two digits before a day of one digit may be a version number, unless dates are customarily written so.
  const oneDigit = era !== null || separator === "/" || custom.includes("ymd");
  const isYear = (text: string) => text.length >= 2 && !(text.length === 3 && text.startsWith("0"));
  const shortYear = a.length <= 2 && (era !== null || currency === "JPY" || a.length === 2);
  const found: DateOrder[] = fixed ? [fixed] : [];
  if (!fixed && a.length <= 2 && isYear(c)) found.push("dmy", "mdy");
  const yearFirst = a.length > 2 ? isYear(a) : shortYear && (c.length === 2 || oneDigit);
  if (!fixed && yearFirst) found.push("ymd");
  if (!fixed && a.length === 4 && (custom.includes("ydm") || provesDayMiddle(shape, context)))
    found.push("ydm");
  return found.flatMap((order): Split[] => {
    const at = (part: string) => numbers[order.indexOf(part)] ?? "";
    if (at("m").length > 2 || at("d").length > 2) return [];
    return [{ order, year: at("y"), day: at("d"), monthOf: () => [Number(at("m"))] }];
  });
}

/**
 * The order year, day, month is customary in few languages: it is accepted only if another date of the document has it.
 */
function provesDayMiddle(shape: Shape, { others = [], currency }: DateContext): boolean {
  return others.some((printed) => {
    const other = scan(printed, currency);
    const [, day, month] = other?.numbers ?? [];
    return other !== null && style(other) === style(shape) && Number(day) > 12 && Number(month) <= 12;
  });
}

/**
 * A month's name and two numbers: the year is the one with four digits, else the last, or the first where that is
 * customary.
 */
function ofNames(shape: Shape, { currency }: DateContext): Split[] {
  const [first = "", second = ""] = shape.numbers;
  const custom = customOf(currency)?.flat() ?? [];
  const name = shape.month ?? "";
  const monthOf = (calendar: Calendar.Calendar): readonly number[] => {
    const own = Names.calendars.find((each) => each === calendar);
    const mask = own ? Names.monthsOfCalendar(name, own) : 0;
    return Names.members(mask || Names.monthsOf(name, currency));
  };
  const ymd: Split = { order: "ymd", year: first, day: second, monthOf };
  const last: Split = { order: shape.monthAt === 0 ? "mdy" : "dmy", year: second, day: first, monthOf };
  // "Reiwa 6 May 12": the year belongs to the era.
  const led = shape.era !== null && shape.monthAt === 1 && second.length <= 2 && first.length <= 2;
  if (led && shape.words.length > 0 && countsFromOne(shape.era)) return [ymd];
  if (first.length > 2) return second.length <= 2 ? [ymd] : [];
  if (second.length > 2) return [last];
  const bothWays = shape.monthAt !== 0 && custom.includes("ymd") && first.length === 2;
  return [...(second.length === 2 ? [last] : []), ...(bothWays ? [ymd] : [])];
}

/** Papers are assumed to be younger than this if another reading allows it: a till's year 67 is not 1967. */
const oldestMs = 35 * 365.25 * msPerDay;

/**
 * Drops readings that are too old or too far in the future if a better one exists, and readings in calendars not in use
 * there.
 */
function plausible(shape: Shape, readings: Reading[], context: DateContext): readonly Reading[] {
  if (readings.length < 2) return readings;
  const limit = limitOf(context);
  const inTime = readings.filter(({ time }) => time <= limit);
  if (inTime.length === 0) return narrowed(readings, ({ customary }) => customary);
  const candidates = context.currency || shape.month !== null ? inTime : readings;
  const newest = Math.max(...inTime.map(({ time }) => time));
  const young = candidates.filter(({ time }) => time > newest - oldestMs);
  return young.filter(
    ({ order, customary }) => customary || !young.some((other) => other.order === order && other.customary),
  );
}

const valuesOf = (readings: readonly Reading[]) => [...new Set(readings.map(({ time }) => time))];

/** Applies the document's evidence step by step, until a single day remains. */
function decide(shape: Shape, all: readonly Reading[], context: DateContext): PrintedDate {
  let left = byWeekday(shape, all, context);
  const alike = evidence(shape, context, true);
  left = narrowed(left, ({ order }) => !alike || alike.has(order));
  // No country writes month-first dates with points. Without other evidence, points rule that order out.
  if (!context.currency && shape.separator === ".") left = narrowed(left, ({ order }) => order !== "mdy");
  if (!context.currency && shape.words.includes("uhr")) left = narrowed(left, ({ order }) => order === "dmy");
  if (valuesOf(left).length === 1) return settled(left, all, context);
  const spoken = evidence(shape, context, false);
  const custom = customOf(context.currency);
  if (!custom) {
    const supported = narrowed(left, ({ order }) => !spoken || spoken.has(order));
    return valuesOf(supported).length === 1 ? settled(supported, all, context) : open(supported, left);
  }
  for (const row of custom) {
    const usual = row.flatMap((each) => left.filter(({ order }) => order === each));
    if (usual.length === 0) continue;
    const against = left.filter(({ order }) => !row.includes(order) && spoken?.has(order));
    const contradicted = usual.every((reading) => contradicts(reading, shape, left, context));
    const opposed = contradicted || (against.length > 0 && !usual.some(({ order }) => spoken?.has(order)));
    if (valuesOf(usual).length > 1 || opposed) return open([...usual, ...against], left);
    const local = elsewhere(usual, left, context);
    if (local.length > 0) return open([...local, ...usual], left);
    const younger = muchYounger(usual, left, context);
    return younger.length > 0 ? open([...usual, ...younger], left) : settled(usual, all, context);
  }
  return open([], left);
}

/**
 * The date in the usual order of the paper's country if that is another day: dollars are also paid in Quito and billed
 * from Pune.
 */
function elsewhere(
  usual: readonly Reading[],
  left: readonly Reading[],
  { local }: DateContext,
): readonly Reading[] {
  for (const row of local?.() ?? []) {
    const there = row.flatMap((each) => left.filter(({ order }) => order === each));
    if (there.length > 0) return valuesOf([...there, ...usual]).length > 1 ? there : [];
  }
  return [];
}

/**
 * If the usual order makes a date with a two-digit year older than `lateMs`, and another order makes it younger than
 * `youngMs`, the other order is possible, too.
 */
const lateMs = 15 * 365.25 * msPerDay;
const youngMs = 10 * 365.25 * msPerDay;

/** Other readings of a date that would be long past in the usual order: not every till uses that order. */
function muchYounger(
  [usual]: readonly Reading[],
  left: readonly Reading[],
  { createdAt }: DateContext,
): readonly Reading[] {
  const now = createdAt?.getTime() ?? Number.NaN;
  if (!usual?.short || !(usual.time < now - lateMs)) return [];
  return left.filter(({ time }) => time > now - youngMs && time <= now + msPerDay);
}

function narrowed(readings: readonly Reading[], keep: (reading: Reading) => boolean): readonly Reading[] {
  const kept = readings.filter(keep);
  return kept.length > 0 ? kept : readings;
}

/**
 * Currencies of places whose tills print dates of their own calendar, with slashes. There, a Gregorian year of two
 * digits is a guess.
 */
const ownCalendarOnly = new Set(["IRR", "AFN"]);

/**
 * True if the print contradicts a month-first custom: such dates have slashes, and amounts there have decimal points. A
 * decimal comma, or points in the date, are evidence for another place with the same currency.
 */
function contradicts(
  { order, customary }: Reading,
  shape: Shape,
  left: readonly Reading[],
  { currency, decimal }: DateContext,
): boolean {
  if (ownCalendarOnly.has(currency ?? "") && (!customary || shape.separator === ".")) return true;
  const dayFirst = left.some((reading) => reading.order === "dmy");
  return order === "mdy" && dayFirst && shape.month === null && (decimal === "," || shape.separator === ".");
}

function settled(
  [reading, ...same]: readonly Reading[],
  all: readonly Reading[],
  context: DateContext,
): PrintedDate {
  if (!reading) return open([], all);
  const { time, short } = reading;
  if (!reading.certain && !same.some(({ certain }) => certain)) return open([reading], [reading]);
  // Few papers are this old: more likely a digit was misread or the date is in the future.
  const isOld = short && context.createdAt !== undefined && time < limitOf(context) - oldestMs;
  if (!isOld) return { value: Calendar.iso(time), ambiguous: false };
  const day = new Date(time);
  const later = Date.UTC(day.getUTCFullYear() + 100, day.getUTCMonth(), day.getUTCDate());
  return open([reading], [reading, { ...reading, time: later }]);
}

/** All remaining readings, the likeliest first. Where tables of a calendar differ, the neighboring days as well. */
function open(first: readonly Reading[], left: readonly Reading[]): PrintedDate {
  const rank = ({ order, customary }: Reading) => likeliest.indexOf(order) - (customary ? 0.5 : 0);
  const sorted = [...first, ...[...left].sort((a, b) => rank(a) - rank(b))];
  const times = sorted.flatMap(({ time, certain }) =>
    certain ? [time] : [time, time - msPerDay, time + msPerDay],
  );
  const readings = [...new Set(times)].map(Calendar.iso);
  return { value: readings[0] ?? "", ambiguous: true, readings };
}

/** Keeps the readings that fall on the printed weekday, if any does. */
function byWeekday(
  { words }: Shape,
  readings: readonly Reading[],
  { currency }: DateContext,
): readonly Reading[] {
  if (valuesOf(readings).length < 2) return readings;
  const mask = words.reduce((found, word) => found || Names.weekdaysOf(word, currency), 0);
  if (!mask) return readings;
  return narrowed(readings, ({ time }) => (mask & (1 << new Date(time).getUTCDay())) !== 0);
}

/** The style of a date, to find others that were written in the same way. */
function style({ numbers, separator, month }: Shape): string {
  if (month !== null) return "name";
  return [separator, ...numbers.map(({ length }) => (length > 2 ? "year" : "short"))].join(" ");
}

/**
 * The orders that all other dates of the document allow, of those written in the same style or (`alike` false) of all;
 * undefined if none gives evidence or if they contradict each other.
 */
function evidence(shape: Shape, context: DateContext, alike: boolean): Set<DateOrder> | undefined {
  let allowed: Set<DateOrder> | undefined;
  for (const printed of context.others ?? []) {
    const other = scan(printed, context.currency);
    if (!other || (style(other) === style(shape)) !== alike) continue;
    if (!alike && other.month === null && !comparable(shape, other)) continue;
    const found = plausible(other, readingsOf(other, context), context).map(({ order }) => order);
    if (found.length === 0) continue;
    const before = allowed;
    allowed = new Set(before ? found.filter((order) => before.has(order)) : found);
  }
  return allowed && allowed.size > 0 ? allowed : undefined;
}

/** A date with a leading four-digit year, as machines write it, is no evidence for dates with another separator. */
function comparable(shape: Shape, other: Shape): boolean {
  return other.separator === shape.separator || (other.numbers[0]?.length ?? 0) <= 2;
}
