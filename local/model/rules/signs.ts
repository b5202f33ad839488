import { classify } from "#local/model/rules/labels";
import type { Cell, Row } from "#local/model/rules/rows";

/**
 * Corrects what the recognizer makes of a currency sign that it does not know (docs/stand-in.md): "£12.50" is read as
 * "12.50" or "f12.50", "TOTAL £12.50" as "TOTAL12.50", "TOTAL ₹250.00" also as "TOTAL3250.00". Only certain cases are
 * changed; a digit is removed only if other amounts of the paper prove it.
 */

const DECIMALS = "(?:\\d{1,3}(?:[.,]\\d{3})+|\\d+)[.,]\\d{2}(?!\\d)";
const POUND = /(^|[\s:@(])[fFtE](?=\d{1,3}(?:,\d{3})*\.\d{2}(?!\d))/g;
const GLUED_POUND = /(\p{L}{2,}?)f(?=\d{1,3}(?:,\d{3})*\.\d{2}(?!\d))/gu;
const GLUED = new RegExp(`^(.*\\p{L}{2,}\\W{0,2}?)(${DECIMALS})$`, "u");
const GLUED_RUPEE = /^(.*\p{L}{3,})\s?([23?F7])(\d[\d,]*\.\d{2})$/u;
/** What remains of a lost sign before an amount. */
const REMAINS: Record<string, RegExp> = {
  EUR: new RegExp(`(^|[\\s:@(])[EC€]\\s?(?=${DECIMALS})`, "g"),
  INR: new RegExp(`(^|[\\s:@(])[?₹]\\s?(?=${DECIMALS})`, "g"),
  TRY: new RegExp(`(^|[\\s:@(])[tbF₺]\\s?(?=${DECIMALS})`, "g"),
};

/** The same rows with the printed amounts; `currency` comes from the paper's words (`Country`). */
export function mend(rows: Row[], currency: string | undefined): Row[] {
  const known = new Set(
    rows.flatMap((row) => row.cells.map((cell) => cell.text)).filter((text) => amount(text) !== undefined),
  );
  const above: number[] = [];
  return rows.map((row) => {
    const isProved = (figure: string) => known.has(figure) || isSum(plain(figure), above);
    const cells = row.cells.map((cell) => mendCell(cell, currency, isProved));
    const last = amount(row.cells.at(-1)?.text.replace(/^[-+]\s?/, "") ?? "");
    if (last !== undefined) above.push(last);
    if (cells.every((cell, index) => cell === row.cells[index])) return row;
    return { ...row, cells, text: cells.map((cell) => cell.text).join(" ") };
  });
}

/** Most amounts between a subtotal and the total: taxes, service, a rounding. */
const mostParts = 5;

/** True for the sum of all amounts above, and for one of them plus or minus everything after it. */
function isSum(value: number, above: number[]): boolean {
  const near = (sum: number) => Math.abs(sum - value) <= 0.005;
  if (above.length > 1 && near(above.reduce((sum, each) => sum + each))) return true;
  for (let parts = 1; parts <= Math.min(mostParts, above.length - 1); parts++) {
    let sums = [above.at(-parts - 1) ?? 0];
    for (const each of above.slice(-parts)) sums = sums.flatMap((sum) => [sum + each, sum - each]);
    if (sums.some(near)) return true;
  }
  return false;
}

function mendCell(cell: Cell, currency: string | undefined, isProved: (figure: string) => boolean): Cell {
  let text = splitProduct(cell.text);
  if (currency === "GBP") text = text.replace(POUND, "$1£").replace(GLUED_POUND, "$1 £");
  const remains = currency === undefined ? undefined : REMAINS[currency];
  if (remains !== undefined) text = text.replace(remains, "$1");
  // After a word a rupee sign may be read as a digit, so the amount needs a second proof.
  text = currency === "INR" ? withoutRupee(text, isProved) : splitLabel(text);
  return text === cell.text ? cell : { ...cell, text };
}

/** `TOTAL12.50`, `Total:12,50`: an amount after the words of a sum; the sign between them is lost. */
function splitLabel(text: string): string {
  const [, words = "", figure = ""] = GLUED.exec(text) ?? [];
  if (words === "" || /[\s:]$/.test(words)) return text;
  const label = classify(words);
  return label !== undefined && label.role !== "count" && label.role !== "other" && label.strength >= 60
    ? `${words} ${figure}`
    : text;
}

/**
 * `TOTAL3250.00`, if 250.00 is printed elsewhere or is the sum of the amounts above; likewise `TOTAL250.00`. If both
 * or neither can be proved, it stays unread.
 */
function withoutRupee(text: string, isProved: (figure: string) => boolean): string {
  const [, label = "", whole = ""] = GLUED.exec(text) ?? [];
  const [, words = "", remains = "", figure = ""] = GLUED_RUPEE.exec(text) ?? [];
  if (words !== "" && !/\d/.test(remains)) return `${words} ${figure}`;
  const proved = [
    ...(whole !== "" && isProved(whole) ? [`${label} ${whole}`] : []),
    ...(figure !== "" && isProved(figure) ? [`${words} ${figure}`] : []),
  ];
  return proved.length === 1 && proved[0] !== undefined ? proved[0] : text;
}

/** `1x4,994,99A`: price and product run together; the product itself proves where to cut. */
function splitProduct(text: string): string {
  return text.replace(
    /(\d{1,3}(?:[.,]\d{1,3})?)(\s?[x×*]\s?)(\d+[.,]\d{2})\s?(\d+[.,]\d{2})(?!\d)/gi,
    (whole, ...[quantity = "", times, unit = "", price = ""]: string[]) =>
      Math.abs(plain(quantity) * plain(unit) - plain(price)) <= 0.011
        ? `${quantity}${times}${unit} ${price}`
        : whole,
  );
}

function amount(text: string): number | undefined {
  return new RegExp(`^${DECIMALS}$`).test(text) ? plain(text) : undefined;
}

/** `1,234.50` and `4,99`: the last mark is the decimal one. */
function plain(text: string): number {
  return Number(text.replace(/[.,](?=\d{3})/g, "").replace(",", "."));
}
