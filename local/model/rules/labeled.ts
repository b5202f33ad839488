/** Amounts with the words that belong to them. */
import type { Num, Segment, Style } from "#local/model/rules/amounts";
import { classify, type Label } from "#local/model/rules/labels";
import type { Role } from "#local/model/rules/role";
import type { Row } from "#local/model/rules/rows";
import type { TaxTable } from "#local/model/rules/tax-table";

/** An amount, and its role by the words beside it. */
export interface Labeled {
  role: Role;
  strength: number;
  number: Num;
  label: string;
}

/** A label may be on the row above or below its amount, at most this many text heights away. */
const MAX_ROW_DISTANCE = 2.4;
/** Money that follows a count ("Total Qty: 20  599.43"), or a label read on a neighboring row, is less sure. */
const AFTER_COUNT = 35;
const NEIGHBOR_PENALTY = 8;
/** Strength of the plain word "Amount", which on a card slip is the sum; how many rows a slip has. */
const SLIP_AMOUNT = 45;
const SLIP_ROWS = 16;
/** Quality of a number that is hardly an amount: one or two digits where amounts have decimals. */
const UNSURE = 0.1;
/** Pairs every amount with the words that belong to it: on its left, or alone on the next row. */
export function label(rows: Row[], segments: Segment[][], table: TaxTable, style: Style): Labeled[] {
  const found: Labeled[] = [];
  const open = new Map<number, { label: Label; text: string }>();
  const bare = new Map<number, Num>();
  segments.forEach((row, index) => {
    if (table.rows.has(index)) return;
    let before: { label: Label; text: string } | undefined;
    let read = false;
    for (const { words, numbers } of toRuns(row)) {
      let meaning = classify(words);
      let text = words;
      // "TOTAL (3 items) 12.50": the count is between the total and its amount.
      if (before?.label.role === "total" && (!meaning || meaning.role === "count")) {
        meaning = before.label;
        text = before.text;
      }
      const number = pick(numbers, meaning, style);
      if (meaning && number) found.push(entry(meaning, number, text));
      read ||= meaning !== undefined && number !== undefined && number.quality > UNSURE;
      const money = numbers.some((each) => each.form === "money");
      before = meaning && !money ? { label: meaning, text } : undefined;
    }
    const words = row.flatMap((segment) => (segment.kind === "words" ? [segment.text] : []));
    const money = row.filter(
      (segment) => segment.kind === "number" && (segment.form === "money" || isWhole(segment, style)),
    );
    const meaning = classify(words.join(" "));
    if (meaning && money.length === 0 && !read) open.set(index, { label: meaning, text: words.join(" ") });
    const last = money.at(-1);
    if (last?.kind === "number" && !words.some((each) => /\p{L}{2}/u.test(each))) bare.set(index, last);
  });
  for (const [index, number] of bare) {
    const neighbors = [index - 1, index + 1].filter(
      (each) => open.has(each) && distance(rows, index, each) <= MAX_ROW_DISTANCE,
    );
    // The row above wins a tie: labels are read before their amounts.
    const nearest = neighbors.sort((a, b) => distance(rows, index, a) - distance(rows, index, b) || a - b)[0];
    const other = nearest === undefined ? undefined : open.get(nearest);
    if (other) {
      found.push({
        ...entry(other.label, number, other.text),
        strength: other.label.strength - NEIGHBOR_PENALTY,
      });
    }
  }
  for (const [index, { label: meaning, text }] of open) {
    if (meaning.role !== "card" && meaning.role !== "wallet") continue;
    // A card slip names the card first and repeats the sum as "Amount" some rows below.
    const amount = found.find(
      ({ role, strength, number }) =>
        role === "total" && strength <= SLIP_AMOUNT && number.row > index && number.row <= index + SLIP_ROWS,
    );
    if (amount) found.push({ role: meaning.role, strength: SLIP_AMOUNT, number: amount.number, label: text });
  }
  return withoutItems(found);
}

/** 113394 where amounts have no decimals is an amount whose separator was lost. */
function isWhole(number: Num, style: Style): boolean {
  return !style.decimals && number.form === "integer" && number.text.length >= 4;
}

/** A payment comes after the sum: "Tip Top Bread" above the first total is an item. */
function withoutItems(found: Labeled[]): Labeled[] {
  const sums = found.filter(
    (each) => (each.role === "total" || each.role === "subtotal") && each.strength >= 60,
  );
  const first = Math.min(...sums.map((each) => each.number.row));
  return found.filter((each) => each.number.row >= first || sums.length === 0 || !PAYMENT.has(each.role));
}

const PAYMENT = new Set<Role>(["cash", "card", "wallet", "change", "balance", "tip"]);

function distance(rows: Row[], a: number, b: number): number {
  const [first, second] = [rows[a], rows[b]];
  if (!first || !second) return Number.POSITIVE_INFINITY;
  return Math.abs(first.y - second.y) / Math.max(first.height, second.height);
}

function toRuns(row: Segment[]): { words: string; numbers: Num[] }[] {
  const runs: { words: string[]; numbers: Num[] }[] = [{ words: [], numbers: [] }];
  for (const segment of row) {
    let run = runs.at(-1);
    if (!run) continue;
    if (segment.kind === "words") {
      const closed = run.numbers.some((number) => number.form !== "percent");
      // A tax code or a currency after an amount starts no new label.
      if (closed && /^\W*(\p{L}{1,3}|\p{L}\d)\W*$/u.test(segment.text)) continue;
      if (closed) {
        run = { words: [], numbers: [] };
        runs.push(run);
      }
      run.words.push(segment.text);
    } else {
      run.numbers.push(segment);
    }
  }
  return runs.map((run) => ({ words: run.words.join(" "), numbers: run.numbers }));
}

/** The amount that a label means: the rightmost money, else a whole number where amounts may be whole. */
function pick(numbers: Num[], meaning: Label | undefined, style: Style): Num | undefined {
  const money = numbers.filter((number) => number.form === "money").at(-1);
  if (money || !meaning || meaning.role === "count") return money;
  const whole = numbers.filter((number) => number.form === "integer").at(-1);
  if (!whole || !style.decimals) return whole;
  // 4780 beside a label is 47.80 whose mark was too faint; one or two digits are a count or a rate.
  if (whole.text.replace(/\D/g, "").length < 3) return { ...whole, quality: UNSURE };
  const text = whole.text.replace(/(\d{2})$/, `${style.decimalMark}$1`);
  return { ...whole, text, shown: text, value: whole.value / 100, form: "money", quality: 0.3 };
}

function entry(meaning: Label, number: Num, words: string): Labeled {
  if (meaning.role === "count") return { role: "total", strength: AFTER_COUNT, number, label: words };
  return {
    role: meaning.role,
    strength: meaning.strength * (number.quality <= UNSURE ? 0.33 : 0.5 + number.quality / 2),
    number,
    label: words,
  };
}
