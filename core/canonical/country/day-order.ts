/** The order of the numbers of a date, by the currency that people pay with. */

export type DateOrder = "dmy" | "mdy" | "ymd" | "ydm";

/**
 * Date orders in use where a currency is used, that of most payers first. The first row with a valid reading decides; a
 * row with several orders leaves the date ambiguous. All other currencies: day first. Source: CLDR 48 short date
 * patterns of the places that use the currency. Year-first countries print day-first dates only with a year of four
 * digits, which cannot be mistaken for another number; hence their second row.
 */
const customs: Record<string, readonly (readonly DateOrder[])[]> = {
  USD: [["mdy"]],
  PAB: [["mdy"]],
  PHP: [["mdy", "dmy"]],
  JPY: [["ymd"]],
  CNY: [["ymd"]],
  KRW: [["ymd"]],
  KPW: [["ymd"]],
  TWD: [["ymd"]],
  MNT: [["ymd"], ["dmy"]],
  HUF: [["ymd"], ["dmy"]],
  SEK: [["ymd"], ["dmy"]],
  BTN: [["ymd"], ["dmy"]],
  IRR: [["ymd"], ["dmy"]],
  AFN: [["ymd"], ["dmy"]],
  CAD: [["ymd", "mdy", "dmy"]],
  ZAR: [["ymd", "dmy"]],
  NAD: [["ymd", "dmy"]],
  LSL: [["ymd", "dmy"]],
  SZL: [["ymd", "dmy"]],
  NPR: [["ymd", "dmy"]],
  LKR: [["ymd", "dmy"]],
  KGS: [["dmy"], ["ymd", "ydm"]],
};

const dayFirst: readonly (readonly DateOrder[])[] = [["dmy"]];

/** Undefined when no currency is known. */
export function customOf(currency: string | null | undefined): readonly (readonly DateOrder[])[] | undefined {
  return currency ? (customs[currency] ?? dayFirst) : undefined;
}

/** Orders by likelihood where nothing is known, most likely first: by the number of countries that use them. */
export const likeliest: readonly DateOrder[] = ["dmy", "mdy", "ymd", "ydm"];
