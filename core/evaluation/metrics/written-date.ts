/*
 * Dates in the forms that ExtractBench's evaluator recognizes, interpreted like the parser that it uses.
 */

const months = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const names = "january february march april may june july august september october november december".split(
  " ",
);

/** A time after the date is dropped. */
const time = String.raw`(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp][Mm])?(?:Z|[+-]\d{2}:?\d{2})?)?`;
const weekday = String.raw`(?:(?:mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\.?,? )?`;
const isoLike = new RegExp(String.raw`^${weekday}(\d{4})-(\d{1,2})-(\d{1,2})${time}$`, "i");
const numeric = new RegExp(String.raw`^${weekday}(\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d{2})${time}$`, "i");
const monthFirst = new RegExp(String.raw`^${weekday}([a-z]+)\.? (\d{1,2}),? (\d{4})${time}$`, "i");
const dayFirst = new RegExp(String.raw`^${weekday}(\d{1,2}) ([a-z]+) (\d{4})${time}$`, "i");

/** Two-digit years are within 50 years of this one; the original parser uses the year in which it runs. */
const thisYear = 2026;

function yearOf(digits: string): number {
  const year = Number(digits);
  if (digits.length > 2) return year;
  const century = thisYear - (thisYear % 100) + year;
  if (century >= thisYear + 50) return century - 100;
  return century < thisYear - 50 ? century + 100 : century;
}

function monthOf(name: string): number {
  const lower = name.toLowerCase();
  return lower === "sept" ? 9 : Math.max(months.indexOf(lower), names.indexOf(lower)) + 1;
}

function iso(year: number, month: number, day: number): string | null {
  const date = new Date(Date.UTC(year, month - 1, day));
  const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return exists && year >= 1900 && year <= 2100 ? date.toISOString().slice(0, 10) : null;
}

/** Two numbers before the year: the month is first, unless that number cannot be a month. */
const either = (year: number, first: number, second: number) =>
  first > 12 ? iso(year, second, first) : iso(year, first, second);

function read(text: string): string | null {
  const written = isoLike.exec(text);
  if (written) return iso(Number(written[1]), Number(written[2]), Number(written[3]));
  const [, first, , second = "", third = ""] = numeric.exec(text) ?? [];
  if (first !== undefined) {
    // "99/01/02": a number that can only be a year is one, and the month follows.
    if (Number(first) > 31) return iso(yearOf(first), Number(second), Number(third));
    return either(yearOf(third), Number(first), Number(second));
  }
  const [, name, day, year] = monthFirst.exec(text) ?? [];
  if (name !== undefined) return iso(Number(year), monthOf(name), Number(day));
  const [, before, month = "", behind] = dayFirst.exec(text) ?? [];
  return before === undefined ? null : iso(Number(behind), monthOf(month), Number(before));
}

/** The ISO form of a text that is a date as a whole; any other text unchanged. */
export function normalize(text: string): string {
  if (text.length < 4 || text.length > 50 || !/\d/.test(text) || /\d{10,}/.test(text)) return text;
  return read(text.replace(/\s*,\s*/g, ", ").trim()) ?? text;
}
