import * as BikramSambat from "./bikram-sambat.ts";

/**
 * Calendars that tills print, and their conversion to Gregorian days. Calendars with more than a fixed offset of years
 * are converted with Intl (CLDR's calendars).
 */

export type Calendar =
  | "gregory"
  | "buddhist"
  | "roc"
  | "reiwa"
  | "heisei"
  | "showa"
  | "persian"
  | "islamic-umalqura"
  | "ethiopic"
  | "bikram-sambat";

/** A day, as epoch milliseconds at midnight UTC. */
export interface Day {
  time: number;
  /** False where tables of the calendar differ by a day. */
  certain: boolean;
}

const msPerDay = 86_400_000;

/**
 * Calendars whose years differ from Gregorian years by a fixed number only. Eras of Japan begin and end on specific
 * days.
 */
const counted: Partial<Record<Calendar, { offset: number; from?: number; to?: number }>> = {
  gregory: { offset: 0 },
  buddhist: { offset: -543 },
  roc: { offset: 1911 },
  reiwa: { offset: 2018, from: Date.UTC(2019, 4, 1) },
  heisei: { offset: 1988, from: Date.UTC(1989, 0, 8), to: Date.UTC(2019, 3, 30) },
  showa: { offset: 1925, from: Date.UTC(1926, 11, 25), to: Date.UTC(1989, 0, 7) },
};

/** Dates on papers are in 1900 to 2100. */
const earliest = Date.UTC(1900, 0, 1);
const latest = Date.UTC(2100, 11, 31);

/** The day, or null if the calendar has no such day or it is outside 1900 to 2100. */
export function dayOf(calendar: Calendar, year: number, month: number, day: number): Day | null {
  const found = find(calendar, year, month, day);
  return found && found.time >= earliest && found.time <= latest ? found : null;
}

function find(calendar: Calendar, year: number, month: number, day: number): Day | null {
  const rule = counted[calendar];
  if (rule) {
    const time = gregorian(year + rule.offset, month, day);
    const within = time !== null && time >= (rule.from ?? time) && time <= (rule.to ?? time);
    return within ? { time, certain: true } : null;
  }
  if (calendar === "bikram-sambat") return BikramSambat.toGregorian(year, month, day);
  const time = byIntl(calendar, year, month, day);
  return time === null ? null : { time, certain: true };
}

function gregorian(year: number, month: number, day: number): number | null {
  if (month < 1 || month > 12 || day < 1 || day > 31 || year < 1000) return null;
  const time = Date.UTC(year, month - 1, day);
  return new Date(time).getUTCDate() === day ? time : null;
}

/** Start points for the search in Intl's calendars: the first day of a year, and the lengths of years and months. */
const estimates: Partial<Record<Calendar, { year: number; time: number; days: number; monthDays: number }>> =
  {
    persian: { year: 1400, time: Date.UTC(2021, 2, 21), days: 365.2422, monthDays: 30.5 },
    "islamic-umalqura": { year: 1440, time: Date.UTC(2018, 8, 11), days: 354.367, monthDays: 29.53 },
    ethiopic: { year: 2010, time: Date.UTC(2017, 8, 11), days: 365.25, monthDays: 30 },
  };

const formats = new Map<Calendar, Intl.DateTimeFormat>();

/** Year, month and day of this time in Intl's calendar. */
function partsOf(calendar: Calendar, time: number): [number, number, number] {
  const known = formats.get(calendar);
  const format =
    known ??
    new Intl.DateTimeFormat(`en-u-ca-${calendar}-nu-latn`, {
      year: "numeric",
      month: "numeric",
      day: "numeric",
      timeZone: "UTC",
    });
  if (!known) formats.set(calendar, format);
  const parts = format.formatToParts(time);
  const number = (type: string) => Number(parts.find((part) => part.type === type)?.value);
  return [number("year"), number("month"), number("day")];
}

/**
 * The day with these parts in Intl's calendar: estimated to within some days, then corrected by the parts that Intl
 * gives.
 */
function byIntl(calendar: Calendar, year: number, month: number, day: number): number | null {
  const estimate = estimates[calendar];
  if (!estimate || month < 1 || month > 13 || day < 1 || day > 31) return null;
  const wanted: [number, number, number] = [year, month, day];
  const { days, monthDays } = estimate;
  let off = Math.round((year - estimate.year) * days + (month - 1) * monthDays + day - 1);
  let time = estimate.time;
  for (let tries = 0; tries < 8 && off !== 0; tries += 1) {
    time += off * msPerDay;
    const [y, m, d] = partsOf(calendar, time);
    if (y === wanted[0] && m === wanted[1] && d === wanted[2]) return time;
    const apart = (year - y) * days + (month - m) * monthDays + (day - d);
    off = Math.trunc(apart) || Math.sign(apart);
  }
  const [y, m, d] = partsOf(calendar, time);
  return y === year && m === month && d === day ? time : null;
}

/** The ISO 8601 calendar date of an epoch time. */
export function iso(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

interface Custom {
  calendar: Calendar;
  /** A year with one of these numbers of digits is in this calendar if it is between `from` and `to`. */
  from: number;
  to: number;
  digits: readonly number[];
}

/** Calendars in use besides the Gregorian, by currency. Source: CLDR calendarPreferenceData, and what tills print. */
const customs: Record<string, readonly Custom[]> = {
  THB: [{ calendar: "buddhist", from: 0, to: 99, digits: [2] }],
  TWD: [{ calendar: "roc", from: 1, to: 189, digits: [2, 3] }],
  JPY: [{ calendar: "reiwa", from: 1, to: 99, digits: [1, 2] }],
  IRR: [{ calendar: "persian", from: 0, to: 99, digits: [2] }],
  AFN: [{ calendar: "persian", from: 0, to: 99, digits: [2] }],
  NPR: [{ calendar: "bikram-sambat", from: 0, to: 99, digits: [2] }],
  ETB: [{ calendar: "ethiopic", from: 1980, to: 2092, digits: [4] }],
};

/** Years that cannot be Gregorian, and the currencies of the countries that use their calendar. */
const unmistakable: readonly (Custom & { currencies?: readonly string[] })[] = [
  { calendar: "buddhist", from: 2443, to: 2643, digits: [4] },
  { calendar: "persian", from: 1300, to: 1479, digits: [4], currencies: ["IRR", "AFN"] },
  { calendar: "islamic-umalqura", from: 1356, to: 1500, digits: [4], currencies: ["SAR"] },
  { calendar: "bikram-sambat", from: 2050, to: 2090, digits: [4], currencies: ["NPR"] },
  { calendar: "roc", from: 100, to: 189, digits: [3], currencies: ["TWD"] },
];

/** A possible meaning of a printed year: a year of this calendar. */
interface Year {
  calendar: Calendar;
  year: number;
  /** True if this is the only calendar in which people who pay with this currency count years. */
  customary: boolean;
}

/** Centuries that a year of two digits may be short for. */
const centuries: Partial<Record<Calendar, readonly number[]>> = {
  gregory: [2000, 1900],
  buddhist: [2500, 2400],
  persian: [1400, 1300],
  "bikram-sambat": [2000],
};

/**
 * The possible meanings of a printed year: `2024`, `24`, `2567`, `113`. Without a currency, years that cannot be
 * Gregorian are read in every calendar that they fit; years of two digits are read as Gregorian.
 */
export function yearsOf(text: string, currency: string | null | undefined): Year[] {
  const number = Number(text);
  const fits = ({ from, to, digits }: Custom) =>
    digits.includes(text.length) && number >= from && number <= to;
  const own = (customs[currency ?? ""] ?? []).filter(fits);
  const foreign = unmistakable.filter(
    (custom) => fits(custom) && (!currency || !custom.currencies || custom.currencies.includes(currency)),
  );
  const years = [...own, ...foreign].flatMap(({ calendar }) =>
    expand(calendar, text).map((year) => ({
      calendar,
      year,
      customary: Boolean(currency) && calendar !== "reiwa" && calendar !== "ethiopic" && calendar !== "roc",
    })),
  );
  const gregorian = text.length === 2 || text.length === 4 ? expand("gregory", text) : [];
  return [...years, ...gregorian.map((year) => ({ calendar: "gregory" as const, year, customary: false }))];
}

function expand(calendar: Calendar, text: string): number[] {
  const year = Number(text);
  if (text.length !== 2) return [year];
  return (centuries[calendar] ?? [0]).map((century) => century + year);
}
