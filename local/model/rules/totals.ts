import type { Num, Segment, Style } from "#local/model/rules/amounts";
import { classify, fold, type Label } from "#local/model/rules/labels";
import type { Role } from "#local/model/rules/role";
import type { Row } from "#local/model/rules/rows";
import type { TaxTable } from "#local/model/rules/tax-table";

/** An amount with what the words beside it say that it is. */
export interface Labelled {
  role: Role;
  strength: number;
  number: Num;
  label: string;
}

interface Totals {
  amount_due: Num | undefined;
  amount_paid: Num | undefined;
  shipping: Num | undefined;
  total: Num | undefined;
  subtotal: Num | undefined;
  tax: Num | undefined;
  service: Num | undefined;
  discount: Num | undefined;
  tip: Num | undefined;
  rounding: Num | undefined;
  cash: Num | undefined;
  card: Num | undefined;
  change: Num | undefined;
}

/** A label may stand on the row above or below its amount, at most this many text heights away. */
const MAX_ROW_DISTANCE = 2.4;
/** Money that follows a count ("Total Qty: 20  599.43"), or a label read on a neighboring row, is less sure. */
const AFTER_COUNT = 35;
const NEIGHBOUR_PENALTY = 8;
/** Strength of the plain word "Amount", which on a card slip is the sum; how many rows a slip has. */
const SLIP_AMOUNT = 45;
const SLIP_ROWS = 16;
/** Quality of a number that is hardly an amount: one or two digits where amounts have decimals. */
const UNSURE = 0.1;
/** What a printed amount must bring together to be called the total. */
const ENOUGH = 40;
/** Cash is rounded to five cents, in rupiah to a hundred. */
const CASH_ROUNDING = { decimals: 0.05, whole: 100 };

/** Pairs every amount with the words that belong to it: on its left, or alone on the next row. */
export function label(rows: Row[], segments: Segment[][], table: TaxTable, style: Style): Labelled[] {
  const found: Labelled[] = [];
  const open = new Map<number, { label: Label; text: string }>();
  const bare = new Map<number, Num>();
  segments.forEach((row, index) => {
    if (table.rows.has(index)) return;
    let before: { label: Label; text: string } | undefined;
    let read = false;
    for (const { words, numbers } of toRuns(row)) {
      let meaning = classify(words);
      let text = words;
      // "TOTAL (3 items) 12.50": the count stands between the total and its amount.
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
    const neighbours = [index - 1, index + 1].filter(
      (each) => open.has(each) && distance(rows, index, each) <= MAX_ROW_DISTANCE,
    );
    // The row above wins a tie: labels are read before their amounts.
    const nearest = neighbours.sort(
      (a, b) => distance(rows, index, a) - distance(rows, index, b) || a - b,
    )[0];
    const other = nearest === undefined ? undefined : open.get(nearest);
    if (other) {
      found.push({
        ...entry(other.label, number, other.text),
        strength: other.label.strength - NEIGHBOUR_PENALTY,
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
function withoutItems(found: Labelled[]): Labelled[] {
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

function entry(meaning: Label, number: Num, words: string): Labelled {
  if (meaning.role === "count") return { role: "total", strength: AFTER_COUNT, number, label: words };
  return {
    role: meaning.role,
    strength: meaning.strength * (number.quality <= UNSURE ? 0.33 : 0.5 + number.quality / 2),
    number,
    label: words,
  };
}

/** What else speaks for amounts, besides their labels. */
interface Evidence {
  style: Style;
  table: TaxTable;
  /** All money on the paper. */
  money: Num[];
  /** Prices of the recognized items. */
  prices: number[];
}

/**
 * Chooses among the printed amounts. Arithmetic only confirms: an amount that is not printed is never
 * returned, and what no label and no sum supports stays undefined.
 */
export function choose(labelled: Labelled[], evidence: Evidence): Totals {
  const printed = sorted(labelled, evidence);
  const total = totalOf(printed, evidence);
  const { parts, totals, near } = printed;
  const takeBelow = (some: Labelled[]): Num | undefined =>
    some.find((each) => total === undefined || Math.abs(each.number.value) < total.value)?.number;
  const tax = taxOf(parts.tax, evidence.table, total?.value);
  const service = takeBelow(parts.service);
  const change = pickChange(printed, total?.value);
  return {
    ...{ total, tax, service, change },
    subtotal: printed.subtotal[0]?.number ?? subtotalOf(totals, total, [tax, service], near),
    discount: parts.discount[0]?.number,
    tip: takeBelow(parts.tip),
    rounding: takeBelow(parts.rounding),
    cash: pickCash(printed, change?.value, total?.value),
    card: pickCard(printed.cards, total?.value, near),
    shipping: parts.shipping[0]?.number,
    amount_paid: printed.prepaid[0]?.number,
    amount_due: dueOf(totals, total, printed.prepaid),
  };
}

type Near = (a: number, b: number, tolerance?: number) => boolean;

/** The labeled amounts by what they are, the most certain first. */
interface Printed {
  subtotal: Labelled[];
  parts: Parts;
  /** Totals, amounts due and, where no cash was given, balances. */
  totals: Labelled[];
  cash: Labelled[];
  change: Labelled[];
  cards: Labelled[];
  prepaid: Labelled[];
  /** The tolerance of two amounts that should be equal, and of one that was rounded for payment in cash. */
  exact: number;
  cashRounding: number;
  near: Near;
}

function sorted(labelled: Labelled[], { style }: Evidence): Printed {
  const exact = style.decimals ? 0.011 : 1;
  const of = (...roles: Role[]) =>
    labelled.filter((each) => roles.includes(each.role)).sort((a, b) => b.strength - a.strength);
  const cash = of("cash");
  const parts = {
    subtotal: [...of("subtotal"), ...of("total").filter((each) => each.strength < 95)],
    tax: of("tax"),
    service: of("service"),
    discount: of("discount"),
    shipping: of("shipping"),
    rounding: of("rounding"),
    tip: of("tip"),
  };
  return {
    ...{ subtotal: of("subtotal"), parts, cash, exact },
    // A balance is change if cash was given; without cash it is what is left to pay.
    totals: [...of("total", "due"), ...(cash.length === 0 ? of("balance") : [])],
    change: of("change", "balance"),
    cards: of("card", "wallet"),
    prepaid: of("paid"),
    cashRounding: style.decimals ? CASH_ROUNDING.decimals : CASH_ROUNDING.whole,
    near: (a, b, tolerance = exact) => Math.abs(a - b) <= tolerance,
  };
}

/** The printed amount with the most support, if it has enough. */
function totalOf(printed: Printed, evidence: Evidence): Num | undefined {
  const { totals } = printed;
  const support = supporter(printed, evidence);
  const candidates = evidence.money
    .concat(totals.map((each) => each.number))
    .filter((number) => number.value > 0 && !number.text.startsWith("-"));
  const last = Math.max(1, ...candidates.map((number) => number.row));
  let best: { number: Num; score: number } | undefined;
  for (const number of candidates) {
    const named = totals.find((each) => each.number === number);
    const score = (named?.strength ?? 0) + support(number.value) + (5 * number.row) / last + number.quality;
    if (score > (best?.score ?? ENOUGH)) best = { number, score };
  }
  return best?.number;
}

/** @returns a function that scores what the other amounts of the paper say for a total of this value. */
function supporter(printed: Printed, evidence: Evidence): (value: number) => number {
  const { parts, totals, exact, near } = printed;
  const sums = partSums(parts);
  const gross = evidence.table.lines.flatMap((line) => line.gross?.value ?? []);
  const itemSum = evidence.prices.reduce((sum, price) => sum + price, 0);
  const largest = Math.max(0, ...evidence.prices, ...printed.subtotal.map((each) => each.number.value));
  const highest = Math.max(0, ...evidence.money.map((number) => number.value));

  return (value) => {
    let score = paymentScore(printed, value);
    // Two parts that fit to the cent are hardly a coincidence.
    const fitting = sums.filter((sum) => near(sum.value, value, exact * 2)).map((sum) => sum.parts);
    if (fitting.length > 0) score += Math.max(...fitting) > 1 ? 40 : 25;
    if (gross.some((each) => near(each, value))) score += 15;
    if (evidence.prices.length > 0 && near(itemSum, value)) score += 12;
    // The final sum is hardly ever less than a part of it: what is left of 599.45 where only .45 was read.
    if (value < largest * 0.3) score -= 45;
    // Where no label survived, the largest amount that is printed again is the sum.
    const again = evidence.money.filter((number) => near(number.value, value)).length > 1;
    const isPart = parts.subtotal.some((each) => near(each.number.value, value));
    if (totals.length === 0 && again && value === highest && !isPart) score += 40;
    const repeats = evidence.money.filter((number) => near(number.value, value, exact / 2)).length;
    return score + Math.min(12, 4 * (repeats - 1));
  };
}

/** What the payments say for a total of this value. */
function paymentScore(printed: Printed, value: number): number {
  const { totals, cash, change, cards, prepaid, cashRounding, near } = printed;
  let score = 0;
  const pairs = cash.flatMap((given) =>
    change.map((back) => Math.abs(given.number.value) - Math.abs(back.number.value)),
  );
  if (pairs.some((paid) => near(paid, value))) score += 30;
  else if (pairs.some((paid) => near(paid, value, cashRounding))) score += 15;
  if (cards.some((card) => near(card.number.value, value))) score += 22;
  // Cash without change is the exact sum.
  if (change.length === 0 && cash.some((given) => near(given.number.value, value))) score += 20;
  const isPrepaid = prepaid.some((paid) =>
    totals.some((due) => near(due.number.value + Math.abs(paid.number.value), value)),
  );
  if (isPrepaid) score += 40;
  // Cash is never less than the sum, so a larger number was misread, or is not a total.
  const given = Math.max(...cash.map((each) => each.number.value));
  if (cash.length > 0 && cards.length === 0 && value > given + cashRounding) score -= 45;
  return score;
}

type Parts = Record<
  "subtotal" | "tax" | "service" | "discount" | "shipping" | "rounding" | "tip",
  Labelled[]
>;

/** A sum of printed parts, and how many of them stand beside the subtotal. */
interface Sum {
  value: number;
  parts: number;
}

/** Of one kind of part, so many are tried. */
const MOST_PARTS = 2;

/** Every sum that a subtotal makes with some of the labeled parts, at least one. */
function partSums(parts: Parts): Sum[] {
  const added = [
    ...[parts.tax, parts.service, parts.tip, parts.shipping].map((some) => ({ some, sign: 1 })),
    { some: parts.discount, sign: -1 },
    // A rounding has its own sign.
    { some: parts.rounding, sign: 0 },
  ];
  let sums: Sum[] = parts.subtotal.slice(0, 3).map(({ number }) => ({ value: number.value, parts: 0 }));
  for (const { some, sign } of added) {
    const values = some
      .map(({ number }) => (sign === 0 ? number.value : sign * Math.abs(number.value)))
      .filter((value) => value !== 0)
      .slice(0, MOST_PARTS);
    // CGST beside SGST, two rates of a VAT: they are added together.
    if (some === parts.tax && values.length > 1) values.push(values.reduce((sum, value) => sum + value));
    sums = sums.flatMap((sum) => [
      sum,
      ...values.map((value) => ({ value: sum.value + value, parts: sum.parts + (sign === 0 ? 0 : 1) })),
    ]);
  }
  return sums.filter((sum) => sum.parts > 0);
}

function taxOf(labelled: Labelled[], table: TaxTable, total: number | undefined): Num | undefined {
  const below = labelled.filter((each) => total === undefined || Math.abs(each.number.value) < total * 0.5);
  // India's two halves of one tax: neither is the tax, and no sum of them is printed.
  const halves = new Set(below.map((each) => /(?:c|s|ut)gst/.exec(fold(each.label))?.[0]));
  halves.delete(undefined);
  if (halves.size > 1 && halves.size === below.length) return undefined;
  if (below[0]) return below[0].number;
  // A summary of one rate names the tax; of several, only its line of sums does.
  const sum = table.lines.find((line) => line.isSum && line.tax)?.tax;
  const lines = table.lines.filter((line) => !line.isSum && line.tax && line.tax.value !== 0);
  return sum ?? (lines.length === 1 ? lines[0]?.tax : undefined);
}

/** The subtotal of a paper that labels none. */
function subtotalOf(
  totals: Labelled[],
  total: Num | undefined,
  added: (Num | undefined)[],
  near: Near,
): Num | undefined {
  if (!total) return undefined;
  // "TOTAL 43,181  TAX 4,318  GRAND TOTAL 47,499": the plain total above the tax is the subtotal.
  const extra = added.reduce((sum, number) => sum + Math.abs(number?.value ?? 0), 0);
  return totals.find(
    (each) => extra > 0 && each.number.row < total.row && near(each.number.value + extra, total.value),
  )?.number;
}

function pickChange({ change, cash, near }: Printed, total: number | undefined): Num | undefined {
  if (total !== undefined) {
    const exact = change.find((back) =>
      cash.some((given) => near(Math.abs(given.number.value) - Math.abs(back.number.value), total)),
    );
    if (exact) return exact.number;
  }
  return change.find((each) => each.role === "change")?.number;
}

/** Card, wallet or transfer; the slip repeats the amount, so one that equals the total is preferred. */
function pickCard(cards: Labelled[], total: number | undefined, near: Near): Num | undefined {
  const same = cards.find((each) => total !== undefined && near(each.number.value, total));
  return (same ?? cards.find((each) => each.number.value > 0))?.number;
}

const DUE_LABEL = /due|payable|zahlbetrag|apayer|perludi|balance/;

/** What is left to pay, where the paper prints it beside the total. */
function dueOf(totals: Labelled[], total: Num | undefined, prepaid: Labelled[]): Num | undefined {
  const open = totals.filter((each) => each.role === "due" || DUE_LABEL.test(fold(each.label)));
  return open.find((each) => each.number !== total && (prepaid.length > 0 || each.role === "due"))?.number;
}

function pickCash(
  { cash, cashRounding, near }: Printed,
  change: number | undefined,
  total: number | undefined,
): Num | undefined {
  if (total === undefined) return cash[0]?.number;
  const back = Math.abs(change ?? 0);
  const exact = cash.find((given) => near(Math.abs(given.number.value) - back, total, cashRounding));
  return (exact ?? cash.find((given) => given.number.value >= total) ?? cash[0])?.number;
}
