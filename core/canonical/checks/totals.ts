import * as Decimal from "#core/canonical/money/decimal";
import type { Candidate, Reason, Verdict } from "./judge.ts";
import * as Judge from "./judge.ts";
import * as Missing from "./missing.ts";
import * as Reading from "./reading.ts";
import type { Beside, ItemsRule, Parts, TotalRule } from "./rule.ts";
import * as Tolerance from "./tolerance.ts";

/** What is printed between a sum and the total. */
interface Between {
  tax: Reading.Amount | null;
  /** Amounts of single taxes; empty without a list of them. */
  taxes: Reading.Amount[];
  /** A row of that list has no amount. */
  taxRowMissing: boolean;
  service: Reading.Amount | null;
  tip: Reading.Amount | null;
  shipping: Reading.Amount | null;
  rounding: Reading.Amount | null;
  discount: Reading.Amount | null;
}

const single = ["tax", "service", "tip", "shipping", "rounding", "discount"] as const;

/** The printed parts; null if one cannot be read. */
function between(parts: Parts, beside: Beside, reading: Reading.Reading): Between | null {
  const found = single.map((name) => Reading.at(parts[name], reading));
  const list = beside.taxes === undefined ? null : Reading.column(beside.taxes, reading);
  const taxes = list ? Reading.amountsOf(list) : [];
  if (found.includes("unreadable") || !taxes) return null;
  const [tax, service, tip, shipping, rounding, discount] = found.map((each) =>
    typeof each === "string" ? null : each,
  );
  return {
    tax: tax ?? null,
    taxes,
    taxRowMissing: list?.rows.includes("absent") ?? false,
    service: service ?? null,
    tip: tip ?? null,
    shipping: shipping ?? null,
    rounding: rounding ?? null,
    discount: discount ?? null,
  };
}

/** The parts of a sum, except the base. Single taxes count only if they replace a tax that is not printed. */
function amountsOf(parts: Between): Reading.Amount[] {
  const { tax, taxes, service, tip, shipping, rounding, discount } = parts;
  const named = [service, tip, shipping, rounding, discount].filter((part) => part !== null);
  return tax ? [tax, ...named] : [...taxes, ...named];
}

/** Paths of parts that are null are included: the check relies on their not being printed. */
function pathsOf(parts: Parts, beside: Beside, { tax, taxes }: Between): string[] {
  const taxPath = !tax && taxes.length > 0 ? beside.taxes : parts.tax;
  return [taxPath, parts.service, parts.tip, parts.shipping, parts.discount, parts.rounding].filter(
    (path) => path !== undefined,
  );
}

/**
 * The whole tax: the printed sum, or else the sum of the single taxes. It may be included in the prices (Europe's and
 * Malaysia's shops) or come on top (North America, Indonesia's restaurants).
 */
function withTax(start: Decimal.Decimal, { tax, taxes }: Between): Candidate[] {
  if (tax) {
    return [
      { variant: "tax_added", expected: Decimal.plus(start, tax.value) },
      { variant: "tax_included", expected: start },
    ];
  }
  if (taxes.length === 0) return [{ variant: "no_tax", expected: start }];
  return [
    { variant: "taxes_added", expected: Decimal.plus(start, Reading.sum(taxes)) },
    { variant: "taxes_included", expected: start },
  ];
}

/**
 * No document lists more single taxes than this; a longer list is a model's mistake. The bound limits the number of
 * candidates.
 */
const maxSingleTaxes = 8;

/** Several taxes, of which one is withheld, or one is included in the prices (or on top) and the others are not. */
function severalTaxes(start: Decimal.Decimal, { tax, taxes }: Between): Candidate[] {
  if (taxes.length < 2 || taxes.length > maxSingleTaxes) return [];
  const all = Decimal.plus(start, Reading.sum(taxes));
  const apart = taxes.flatMap(({ value }): Candidate[] => [
    { variant: "tax_withheld", expected: Decimal.minus(all, Decimal.plus(value, value)) },
    { variant: "taxes_partly_added", expected: Decimal.minus(all, value) },
    { variant: "taxes_partly_added", expected: Decimal.plus(start, value) },
  ]);
  return tax ? [{ variant: "taxes_added", expected: all }, ...apart] : apart;
}

/**
 * The parts with the signs of a refund: parts that a till prints without a sign below negative sums were refunded as
 * well. Rounding and freight keep their own signs.
 */
function ofRefund(parts: Between): Between {
  const negative = <Part extends Reading.Amount | null>(part: Part): Part =>
    part && { ...part, value: Decimal.negate(Decimal.abs(part.value)) };
  return { ...parts, tax: negative(parts.tax), service: negative(parts.service), tip: negative(parts.tip) };
}

/**
 * All ways from a base to the total. A discount reduces the absolute base, whatever its printed sign, also for a
 * refund, whose base is negative. The printed base may already be reduced by the discount, a service charge may be
 * included in the prices, and a tip may be printed below the total.
 */
function totals(
  base: Decimal.Decimal,
  printed: Between,
  { paid = null, shippingIsLine = false }: { paid?: Reading.Amount | null; shippingIsLine?: boolean } = {},
): { applied: Candidate[]; others: Candidate[] } {
  const parts = Decimal.sign(base) < 0 ? ofRefund(printed) : printed;
  const { service, tip, shipping, rounding, discount } = parts;
  const added = [service, tip, shipping, rounding].filter((part) => part !== null);
  const start = Decimal.plus(base, Reading.sum(added));
  const main = withTax(start, parts);
  const off = discount ? reduction(base, discount) : null;
  const applied: Candidate[] = off
    ? [
        ...main.map(({ variant, expected }) => ({ variant, expected: Decimal.minus(expected, off) })),
        ...main.map(({ variant, expected }) => ({ variant: `${variant}_discount_applied`, expected })),
      ]
    : main;
  const without = (part: Decimal.Decimal | undefined, suffix: string): Candidate[] =>
    part
      ? applied.map(({ variant, expected }) => ({
          variant: `${variant}_${suffix}`,
          expected: Decimal.minus(expected, part),
        }))
      : [];
  return {
    applied,
    others: [
      ...without(service?.value, "service_included"),
      ...without(tip?.value, "tip_apart"),
      ...without(shippingIsLine ? shipping?.value : undefined, "shipping_included"),
      ...without(paid ? reduction(base, paid) : undefined, "after_payment"),
      ...severalTaxes(off ? Decimal.minus(start, off) : start, parts),
    ],
  };
}

/** The base with the sign of the total: some tills print the goods of a refund with positive prices. */
function alike(base: Decimal.Decimal, total: Decimal.Decimal): Decimal.Decimal {
  return Decimal.sign(base) > 0 && Decimal.sign(total) < 0 ? Decimal.negate(base) : base;
}

/** The amount of a discount or payment, with the sign of the base. */
function reduction(base: Decimal.Decimal, { value }: Reading.Amount): Decimal.Decimal {
  const size = Decimal.abs(value);
  return Decimal.sign(base) < 0 ? Decimal.negate(size) : size;
}

interface Sum {
  id: string;
  rule: Parts & { beside?: Beside };
  /** The path of the base in the check's fields. */
  basePath: string;
  bases: Reading.Amount[];
  total: Reading.Amount;
  parts: Between;
  /** Called before any part is assumed to be missing. */
  excuse?: () => Reason | null;
}

function judgeTotal(asked: Sum, reading: Reading.Reading): Verdict[] {
  const { rule, total, parts } = asked;
  const base = alike(Reading.sum(asked.bases), total.value);
  const used = amountsOf(parts);
  const amounts = [...asked.bases, ...used, total];
  const scale = Reading.scaleFor(amounts, reading);
  const paid = Reading.amountAt(rule.beside?.paid, reading);
  const { applied, others } = totals(base, parts, {
    paid,
    shippingIsLine: isLine(parts.shipping, asked, reading),
  });
  const count = used.length + 1;
  const rounded = rule.exact === true || parts.rounding !== null;
  const cash = rounded ? Tolerance.ofParts(scale, count) : Tolerance.ofCash(scale, total.value, count);
  const question: Judge.Question = {
    id: asked.id,
    fields: [asked.basePath, ...pathsOf(rule, rule.beside ?? {}, parts), total.path],
    candidates: [...applied, ...others],
    actual: total.value,
    tolerance: rule.exact ? (difference) => Tolerance.ofInvoice(scale, total.value, count, difference) : cash,
    amounts,
    excuse: () =>
      asked.excuse?.() ?? missingPart(asked, { base, applied, tolerance: cash, unit: scale.unit }, reading),
  };
  return Judge.judge(question, reading);
}

/** True if freight is also one of the line items, and so already in their sum. */
function isLine(shipping: Reading.Amount | null, { rule, bases }: Sum, reading: Reading.Reading): boolean {
  const prices = rule.beside?.prices;
  const rows = prices === undefined ? bases : (Reading.amountsOf(Reading.column(prices, reading)) ?? []);
  return shipping !== null && rows.some(({ value }) => Decimal.compare(value, shipping.value) === 0);
}

interface Failed {
  base: Decimal.Decimal;
  applied: readonly Candidate[];
  tolerance: Tolerance.Tolerance;
  unit: Decimal.Decimal;
}

function missingPart(asked: Sum, failed: Failed, reading: Reading.Reading): Reason | null {
  const { rule, total, parts } = asked;
  const { base, applied, tolerance, unit } = failed;
  if (parts.taxRowMissing) return "row_missing";
  const paid = paidBy(rule.beside ?? {}, reading);
  const isPaid = (value: Decimal.Decimal) =>
    paid.some((each) => Decimal.compare(Decimal.abs(Decimal.minus(each, value)), tolerance.amount) <= 0);
  // The payment confirms the sum of the parts, so the total was misread.
  if (!isPaid(total.value) && applied.some(({ expected }) => isPaid(expected))) return null;
  return Missing.explain({
    base,
    actual: total.value,
    ways: applied.filter((each) => !isTaxMisread(each, asked)).map(wayOf),
    tax: parts.tax?.value ?? (parts.taxes.length > 0 ? Reading.sum(parts.taxes) : null),
    unit,
    tolerance: tolerance.from === "precision" ? unit : tolerance.amount,
    lacksTax: parts.tax === null && parts.taxes.length === 0,
    lacksService: rule.service !== undefined && parts.service === null,
    lacksTip: rule.tip === undefined,
    paidByCard: Reading.amountAt(rule.beside?.card, reading) !== null && isPaid(total.value),
  });
}

function wayOf({ variant, expected }: Candidate): Missing.Way {
  const name = variant ?? "";
  return {
    expected,
    taxAdded: /^tax(?:es)?_added/.test(name),
    plain: !/_included|_discount_applied/.test(name),
  };
}

/**
 * True if the tax was misread: the tax that would fit differs from the printed one in one digit, and any other
 * explanation needs two rare things at once (a tax in the prices and something missing, or a tax withheld on a
 * receipt).
 */
function isTaxMisread({ variant, expected }: Candidate, { rule, total, parts }: Sum): boolean {
  const tax = parts.tax?.value;
  if (!tax) return false;
  const missing = Decimal.minus(total.value, expected);
  if (variant?.startsWith("tax_included")) return Decimal.differsInOneDigit(missing, tax);
  const isLess = Decimal.sign(missing) === -Decimal.sign(expected);
  return isLess && rule.exact !== true && Decimal.differsInOneDigit(Decimal.plus(missing, tax), tax);
}

/** The amount that was finally paid, computed in every way that the payment fields allow. */
function paidBy({ cash, card, change }: Beside, reading: Reading.Reading): Decimal.Decimal[] {
  const byCard = Reading.amountAt(card, reading)?.value;
  const given = Reading.amountAt(cash, reading)?.value;
  const back = Reading.amountAt(change, reading)?.value;
  const inCash = given && Decimal.minus(given, back ? Decimal.abs(back) : Decimal.zero);
  // Cash without change may exceed the sum by a tip.
  const sums = [
    byCard,
    back ? inCash : undefined,
    byCard && inCash ? Decimal.plus(byCard, inCash) : undefined,
  ];
  return sums.filter((each) => each !== undefined);
}

/** Compares the total with the subtotal and the parts printed between them. */
export function totalIsSumOfParts(rule: TotalRule, reading: Reading.Reading): Verdict[] {
  const total = Reading.amountAt(rule.total, reading);
  const subtotal = Reading.amountAt(rule.subtotal, reading);
  const parts = between(rule, rule.beside ?? {}, reading);
  if (!total || !subtotal || !parts) return [];
  const excuse = () => {
    const prices = rule.beside?.prices === undefined ? null : Reading.column(rule.beside.prices, reading);
    const rows = (prices && Reading.amountsOf(prices)) ?? [];
    return isRowOutside({ prices: rows, subtotal, total, parts }, reading) ? "row_outside" : null;
  };
  return judgeTotal(
    { id: rule.rule, rule, basePath: rule.subtotal, bases: [subtotal], total, parts, excuse },
    reading,
  );
}

/**
 * Compares the printed prices of all rows with the subtotal or, without one, with the total. Rows without a price
 * (remarks, options) are ignored. Prices are exact as printed, so against a subtotal only one unit of rounding is
 * allowed.
 */
export function itemsSumIsSubtotal(rule: ItemsRule, reading: Reading.Reading): Verdict[] {
  const prices = Reading.amountsOf(Reading.column(rule.items, reading));
  const subtotal = Reading.at(rule.subtotal, reading);
  const total = Reading.amountAt(rule.total, reading);
  const parts = between(rule, rule.beside ?? {}, reading);
  if (!prices || prices.length === 0 || subtotal === "unreadable") return [];
  if (subtotal !== "absent") return judgeSubtotal(rule, { prices, subtotal, total, parts }, reading);
  if (!total || !parts) return [];
  const lower = Decimal.compare(Decimal.abs(Reading.sum(prices)), Decimal.abs(total.value)) < 0;
  const asked = { id: "items_sum_is_total", rule, basePath: rule.items, bases: prices, total, parts };
  return judgeTotal(
    { ...asked, excuse: () => (lower && lacksPrice(rule, reading) ? "row_missing" : null) },
    reading,
  );
}

interface Rows {
  prices: Reading.Amount[];
  subtotal: Reading.Amount;
  total: Reading.Amount | null;
  parts: Between | null;
}

function judgeSubtotal(rule: ItemsRule, { prices, subtotal, total, parts }: Rows, reading: Reading.Reading) {
  const items = alike(Reading.sum(prices), subtotal.value);
  const taxes = parts?.taxes ?? [];
  const tax = parts?.tax?.value ?? (taxes.length > 0 ? Reading.sum(taxes) : null);
  const off = parts?.discount ? reduction(items, parts.discount) : null;
  const candidates: Candidate[] = [{ variant: "subtotal", expected: items }];
  if (off) candidates.push({ variant: "subtotal_after_discount", expected: Decimal.minus(items, off) });
  if (tax) candidates.push({ variant: "subtotal_before_tax", expected: Decimal.minus(items, tax) });
  if (off && tax) {
    const expected = Decimal.minus(Decimal.minus(items, off), tax);
    candidates.push({ variant: "subtotal_after_discount_before_tax", expected });
  }
  const amounts = [...prices, subtotal];
  const scale = Reading.scaleFor(amounts, reading);
  const question: Judge.Question = {
    id: rule.rule,
    fields: [rule.items, subtotal.path],
    candidates,
    actual: subtotal.value,
    tolerance: Tolerance.ofParts(scale, 1),
    amounts,
    excuse: () => {
      const left = Decimal.minus(subtotal.value, items);
      if (Decimal.sign(left) === Decimal.sign(items) && lacksPrice(rule, reading)) return "row_missing";
      const rows = { prices, subtotal, total, parts };
      if (isRowOutside(rows, reading)) return "row_outside";
      return !tax && isTaxInside(rows, reading) ? "tax_missing" : null;
    },
  };
  return Judge.judge(question, reading);
}

/** True if the rows add up to the total and the subtotal does not. */
function rowsMakeTotal({ prices, total, parts }: Rows, reading: Reading.Reading): boolean {
  if (!total || !parts || prices.length === 0) return false;
  const { unit } = Reading.scaleFor([...prices, total], reading);
  const { applied, others } = totals(Reading.sum(prices), parts);
  return [...applied, ...others].some(
    (each) => Decimal.compare(Judge.distance(each, total.value), unit) <= 0,
  );
}

/** True if a row, such as a deposit, counts in the total but not in the subtotal. */
function isRowOutside(rows: Rows, reading: Reading.Reading): boolean {
  const more = Decimal.minus(Reading.sum(rows.prices), rows.subtotal.value);
  return rows.prices.some(({ value }) => Decimal.compare(more, value) === 0) && rowsMakeTotal(rows, reading);
}

/** True if the prices include tax and the subtotal does not. */
function isTaxInside(rows: Rows, reading: Reading.Reading): boolean {
  const { unit } = Reading.scaleFor(rows.prices, reading);
  const reason = Missing.explain({
    base: rows.subtotal.value,
    actual: Reading.sum(rows.prices),
    ways: [{ expected: rows.subtotal.value, taxAdded: false, plain: false }],
    tax: null,
    unit,
    tolerance: unit,
    lacksTax: true,
    lacksService: false,
    lacksTip: false,
    paidByCard: false,
  });
  return reason !== null && rowsMakeTotal(rows, reading);
}

/** True if a row that was bought has no price: it could not be read, so the rows may add up to less. */
function lacksPrice({ items, beside }: ItemsRule, reading: Reading.Reading): boolean {
  const columns = [beside?.quantity, beside?.unitPrice].flatMap((path) =>
    path === undefined ? [] : [Reading.column(path, reading)],
  );
  return Reading.column(items, reading).rows.some(
    (row, index) => row === "absent" && columns.some(({ rows }) => rows[index] !== "absent"),
  );
}
