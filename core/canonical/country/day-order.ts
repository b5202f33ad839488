/** In which order the numbers of a date stand, by where people pay with a currency. */

export type DateOrder = "dmy" | "mdy" | "ymd" | "ydm";

/**
 * Orders in use where a currency is, the custom of most payers first. The first row with a reading decides; in a row
 * of several orders nothing does. All other currencies: day first. Source: CLDR 48 short date patterns of the places
 * that use the currency. Year-first customs print day-first dates only with a year of four digits, where no one
 * takes it for another number: so their second row.
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

/** How likely orders are where nothing is known, the likeliest first: by how many countries have them. */
export const likeliest: readonly DateOrder[] = ["dmy", "mdy", "ymd", "ydm"];
