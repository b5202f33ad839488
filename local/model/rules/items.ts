import type { Num, Segment, Style } from "#local/model/rules/amounts";
import { classify } from "#local/model/rules/labels";
import type { Row } from "#local/model/rules/rows";

/** A string of the paper with the confidence of the line it was read from. */
export interface Printed {
  text: string;
  confidence: number;
}

export interface Item {
  name: Printed | undefined;
  code: Printed | undefined;
  quantity: Num | undefined;
  unitPrice: Num | undefined;
  price: Num;
  /** Rate of tax printed on the line. */
  rate: Num | undefined;
  row: number;
}

const HEADER =
  /\b(item|descr|desc|artikel|article|articulo|nama|menu|bezeichnung|designation|product|produk|omschrijving|benamning|nazwa)\w*\b.*|\bqty\b.*\b(price|amount|total)/i;
/** Rows that end the list of items, once there was one. */
const ENDS = new Set(["total", "subtotal", "tax", "service", "cash", "change", "rounding", "balance"]);
const ENDS_FROM_STRENGTH = 60;
/** Prices end at one edge of the paper; perspective moves it by a few percent of the width. */
const COLUMN_TOLERANCE = 0.12;
/** A rate of tax has its column; `40% VOL.` is part of a name. */
const RATE = /^[A-Z]?\W?\s?\d{1,2}(?:[.,]\d{1,2})?\s?%$/;
/** A price explained on a row of its own. */
const NOT_AN_ITEM = /^(einzelpreis|stückpreis|stuckpreis|unit price|prix unit|harga satuan)/i;
const LETTERS = /\p{L}.*\p{L}/u;
/** Codes beside prices: one letter or SR, ZRL, ZRE, GST, and a currency. */
const TAX_CODE = /^\W*(?:\p{Lu}|SR|ZR|ZRL|ZRE|OS|TX|EUR[AB]?|RM|Rp|zl|kr|TL|[A-D]\s?[*#]?)\W*$/u;

interface Part {
  index: number;
  name: string;
  confidence: number;
  numbers: Num[];
  price: Num | undefined;
  role: string | undefined;
}

/** The purchased lines: on one row, with the numbers above or below the name, or with `2 x 0,99` below. */
export function find(rows: Row[], segments: Segment[][], style: Style, tableRows: Set<number>): Item[] {
  const isPrice = priceColumn(rows, segments, style);
  const parts = rows.map((_, index) => toPart(segments[index] ?? [], index, isPrice));
  const [from, to] = region(rows, parts, tableRows);
  const region_ = parts.slice(from, to);
  const named = namesOf(region_, from > 0);
  const items: Item[] = [];
  for (const part of region_) {
    if (part.role === "rounding" || part.role === "count" || NOT_AN_ITEM.test(part.name)) continue;
    if (!part.price) {
      multiply(part, items.at(-1), style);
      continue;
    }
    const name = LETTERS.test(part.name) ? part : named.get(part.index);
    if (!name && !LETTERS.test(part.name) && multiply(part, items.at(-1), style)) continue;
    const rate = part.numbers.find((number) => number.form === "percent" && RATE.test(number.source.text));
    items.push({ ...quantities(part, style), ...label(name), price: part.price, rate, row: part.index });
  }
  // `2 x 0,99` above the line that it explains.
  for (const part of region_) {
    if (part.price || LETTERS.test(part.name)) continue;
    const next = items.find((item) => item.row === part.index + 1);
    if (next && next.unitPrice === undefined) multiply(part, next, style);
  }
  return items.filter((item) => item.name !== undefined || items.length === 1);
}

function label(part: Part | undefined): Pick<Item, "name" | "code"> {
  if (!part) return { name: undefined, code: undefined };
  const [, code, rest] = /^(\d{4,14})[\s\-:.]*(.*\p{L}.*)$/u.exec(part.name) ?? [];
  const confidence = part.confidence;
  const name = (rest ?? part.name).replace(/^[\s*.,:;#|-]+|[\s*:;|]+$/g, "").trim();
  return { name: { text: name, confidence }, code: code ? { text: code, confidence } : undefined };
}

function toPart(row: Segment[], index: number, isPrice: (number: Num) => boolean): Part {
  const words = row.filter((segment) => segment.kind === "words").filter((each) => !TAX_CODE.test(each.text));
  const numbers = row.filter((segment) => segment.kind === "number");
  const price = numbers.filter((number) => isPrice(number) && number.mark !== "at").at(-1);
  const name = nameOf(row);
  return {
    index,
    name,
    confidence: Math.min(1, ...words.map((each) => each.confidence)),
    numbers,
    price,
    role: classify(words.map((each) => each.text).join(" "))?.role,
  };
}

/**
 * The text cells without the amounts, quantities and tax codes around them; `Tonic 0.7 L` and `Glue 500g` keep their
 * sizes.
 */
function nameOf(row: Segment[]): string {
  const cells = new Map<string, { from: number; to: number }>();
  for (const segment of row) {
    const { text, start, end } = segment.source;
    const range = cells.get(text);
    const isWord = segment.kind === "words" && LETTERS.test(segment.text) && !TAX_CODE.test(segment.text);
    const isSize = segment.kind === "number" && segment.form !== "money" && segment.mark === undefined;
    if (isWord) cells.set(text, { from: range?.from ?? start, to: end });
    else if (range && (isSize || segment.kind === "words")) range.to = end;
  }
  return [...cells]
    .map(([text, { from, to }]) => {
      const closing = /^["')%]+/.exec(text.slice(to))?.[0] ?? "";
      return text.slice(from, to).trim() + closing;
    })
    .join(" ");
}

/** True for a number in the column of prices. */
function priceColumn(rows: Row[], segments: Segment[][], style: Style): (number: Num) => boolean {
  const lefts = rows.flatMap((row) => row.cells.map((cell) => cell.left));
  const rights = rows.flatMap((row) => row.cells.map((cell) => cell.right));
  const width = Math.max(1, Math.max(...rights) - Math.min(...lefts));
  const tolerance = width * COLUMN_TOLERANCE;
  const ends = segments.flatMap(
    (row) =>
      row.filter((segment) => segment.kind === "number" && segment.form === "money").at(-1)?.right ?? [],
  );
  const crowd = (end: number) => ends.filter((other) => Math.abs(other - end) <= tolerance).length;
  const column = [...ends].sort((a, b) => crowd(b) - crowd(a) || b - a)[0] ?? 0;
  return (number) =>
    (number.form === "money" || (number.form === "integer" && !style.decimals && number.text.length <= 3)) &&
    number.mark !== "times" &&
    Math.abs(number.right - column) <= tolerance;
}

function region(rows: Row[], parts: Part[], tableRows: Set<number>): [number, number] {
  const header = rows.findIndex(
    (row, index) => HEADER.test(row.text) && !parts[index]?.price && parts[index]?.role !== "count",
  );
  const start = header >= 0 ? header + 1 : Math.max(0, parts.findIndex((part) => part.price) - 1);
  const end = parts.findIndex((part, index) => {
    if (index < start) return false;
    if (tableRows.has(index)) return true;
    const words = rows[index]?.text.replace(/[\d.,]+/g, " ") ?? "";
    const meaning = classify(words);
    const ends = meaning && ENDS.has(meaning.role) && meaning.strength >= ENDS_FROM_STRENGTH;
    const hasItem = parts.slice(start, index).some((each) => each.price);
    return Boolean(ends) && (hasItem || part.price !== undefined);
  });
  return [start, end < 0 ? parts.length : end];
}

/** Finds the row of numbers for each row without a price. */
function namesOf(parts: Part[], afterHeader: boolean): Map<number, Part> {
  const bare = parts.filter((part) => part.price && !LETTERS.test(part.name));
  const nameOnly = new Map(
    parts.filter((part) => !part.price && LETTERS.test(part.name)).map((part) => [part.index, part]),
  );
  const above = bare.filter((part) => nameOnly.has(part.index - 1)).length;
  const below = bare.filter((part) => nameOnly.has(part.index + 1)).length;
  // In a list that starts with numbers, directly below the heading, the names follow.
  const first = parts[0];
  const startsBare = afterHeader && first !== undefined && bare.includes(first);
  const step = below > above || (startsBare && below >= above) ? 1 : -1;
  return new Map(
    bare.flatMap((part) => {
      const name = nameOnly.get(part.index + step);
      return name ? [[part.index, name] as const] : [];
    }),
  );
}

function quantities(part: Part, style: Style): Pick<Item, "quantity" | "unitPrice"> {
  const others = part.numbers.filter((number) => number !== part.price && number.form !== "percent");
  const counts = others
    .filter((number) => number.value > 0 && number.form !== "money" && number.value < 10_000)
    // 1 KG in the name is rather a size than a quantity.
    .sort((a, b) => Number(a.form === "measure") - Number(b.form === "measure"));
  const money = others.filter(
    (number) => number.form === "money" || number.mark === "at" || /[.,]\d{4}$/.test(number.text),
  );
  const price = part.price?.value ?? 0;
  for (const unitPrice of money) {
    for (const quantity of [...counts, ...money]) {
      if (quantity === unitPrice) continue;
      if (fits(quantity.value, unitPrice.value, price, style)) return { quantity, unitPrice };
    }
  }
  const times = counts.find((number) => number.mark === "times");
  const first = part.numbers[0];
  const leading =
    first && counts.includes(first) && first.form === "integer" && first.value <= 999 ? first : undefined;
  const alone = counts.find((number) => number.form === "integer" && isAlone(number) && number.value <= 999);
  const single = money.find((number) => Math.abs(number.value - price) <= 0.005);
  return { quantity: times ?? leading ?? alone, unitPrice: single ?? (times ? money.at(-1) : undefined) };
}

/** In a column of its own. */
function isAlone({ source }: Num): boolean {
  return source.text.slice(source.start, source.end).trim() === source.text.trim();
}

/** `6 x 13.80` on a row of its own explains the item whose price is the product. */
function multiply(part: Part, item: Item | undefined, style: Style): boolean {
  if (!item || item.unitPrice) return false;
  for (const unitPrice of part.numbers) {
    for (const quantity of part.numbers) {
      if (quantity === unitPrice || unitPrice.form === "integer") continue;
      if (!fits(quantity.value, unitPrice.value, item.price.value, style)) continue;
      item.quantity = quantity;
      item.unitPrice = unitPrice;
      return true;
    }
  }
  return false;
}

function fits(quantity: number, unitPrice: number, price: number, style: Style): boolean {
  const tolerance = style.decimals ? Math.max(0.011, price * 0.002) : 1;
  return price > 0 && Math.abs(quantity * unitPrice - price) <= tolerance;
}
