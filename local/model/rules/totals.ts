import type { Num, Style } from "#local/model/rules/amounts";
import type { Labeled } from "#local/model/rules/labeled";
import { fold } from "#local/model/rules/labels";
import type { Role } from "#local/model/rules/role";
import type { TaxTable } from "#local/model/rules/tax-table";

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

/** The score that a printed amount needs to count as the total. */
const ENOUGH = 40;
/** Cash is rounded to five cents, in rupiah to a hundred. */
const CASH_ROUNDING = { decimals: 0.05, whole: 100 };

/** Further evidence for amounts, besides their labels. */
interface Evidence {
  style: Style;
  table: TaxTable;
  /** All money on the paper. */
  money: Num[];
  /** Prices of the recognized items. */
  prices: number[];
}

/**
 * Chooses among the printed amounts. Arithmetic only confirms: an amount that is not printed is never returned, and a
 * value without a supporting label or sum stays undefined.
 */
export function choose(labeled: Labeled[], evidence: Evidence): Totals {
  const printed = sorted(labeled, evidence);
  const total = totalOf(printed, evidence);
  const { parts, totals, near } = printed;
  const takeBelow = (some: Labeled[]): Num | undefined =>
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

/** The labeled amounts by role, the most certain first. */
interface Printed {
  subtotal: Labeled[];
  parts: Parts;
  /** Totals, amounts due and, if no cash was given, balances. */
  totals: Labeled[];
  cash: Labeled[];
  change: Labeled[];
  cards: Labeled[];
  prepaid: Labeled[];
  /** The tolerance of two amounts that should be equal, and of one that was rounded for payment in cash. */
  exact: number;
  cashRounding: number;
  near: Near;
}

function sorted(labeled: Labeled[], { style }: Evidence): Printed {
  const exact = style.decimals ? 0.011 : 1;
  const of = (...roles: Role[]) =>
    labeled.filter((each) => roles.includes(each.role)).sort((a, b) => b.strength - a.strength);
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
    // The final sum is hardly ever less than a part of it; such a number is a fragment, such as .45 of 599.45.
    if (value < largest * 0.3) score -= 45;
    // Without a label, the largest amount that is printed more than once is the sum.
    const again = evidence.money.filter((number) => near(number.value, value)).length > 1;
    const isPart = parts.subtotal.some((each) => near(each.number.value, value));
    if (totals.length === 0 && again && value === highest && !isPart) score += 40;
    const repeats = evidence.money.filter((number) => near(number.value, value, exact / 2)).length;
    return score + Math.min(12, 4 * (repeats - 1));
  };
}

/** The score from the payments for a total of this value. */
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

type Parts = Record<"subtotal" | "tax" | "service" | "discount" | "shipping" | "rounding" | "tip", Labeled[]>;

/** A sum of printed parts, and the number of parts besides the subtotal. */
interface Sum {
  value: number;
  parts: number;
}

/** The most parts of one kind that are tried. */
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

function taxOf(labeled: Labeled[], table: TaxTable, total: number | undefined): Num | undefined {
  const below = labeled.filter((each) => total === undefined || Math.abs(each.number.value) < total * 0.5);
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
  totals: Labeled[],
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
function pickCard(cards: Labeled[], total: number | undefined, near: Near): Num | undefined {
  const same = cards.find((each) => total !== undefined && near(each.number.value, total));
  return (same ?? cards.find((each) => each.number.value > 0))?.number;
}

const DUE_LABEL = /due|payable|zahlbetrag|apayer|perludi|balance/;

/** The amount left to pay, if the paper prints it beside the total. */
function dueOf(totals: Labeled[], total: Num | undefined, prepaid: Labeled[]): Num | undefined {
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
