import * as Decimal from "#core/canonical/money/decimal";
import type { Candidate, Reason, Verdict } from "./judge.ts";
import * as Judge from "./judge.ts";
import * as Reading from "./reading.ts";
import type { RowRule } from "./rule.ts";
import type * as Tolerance from "./tolerance.ts";

/** More checks than this would make the answer larger than the rows themselves. */
const maxRowChecks = 200;

/** Products have more decimals than papers print; six are enough for the check. */
const shownPlaces = 6;

const hundred = Decimal.of("100");

interface Row {
  quantity: Reading.Amount;
  unitPrice: Reading.Amount;
  price: Reading.Amount;
  rate: Reading.Amount | null;
}

/** Half of the last printed place: the most that rounding may have changed a value. */
function halfPlace({ places }: Decimal.Decimal): Decimal.Decimal {
  return { digits: 5n, places: places + 1 };
}

function isWhole({ value }: Reading.Amount): boolean {
  return value.places === 0;
}

/**
 * One check per row that has all three values. Whole quantities multiply exactly, within one unit. A weighed quantity,
 * or a unit price finer than the unit, was itself rounded; that error grows with the other factor (first-order error
 * propagation). `sumIsWrong` is true if the printed prices do not add up to the sum below them.
 */
export function itemPriceIsQuantityTimesUnit(
  rule: RowRule,
  reading: Reading.Reading,
  sumIsWrong: boolean,
): Verdict[] {
  const quantities = Reading.column(rule.quantity, reading).rows;
  const unitPrices = Reading.column(rule.unitPrice, reading).rows;
  const prices = Reading.column(rule.price, reading).rows;
  const ownRates = rule.taxRate === undefined ? [] : Reading.column(rule.taxRate, reading).rows;
  const rates = ratesOf(rule, reading);
  const verdicts: Verdict[] = [];
  for (let index = 0; index < Math.min(prices.length, maxRowChecks); index += 1) {
    const [quantity, unitPrice, price] = [quantities[index], unitPrices[index], prices[index]];
    if (!isAmount(quantity) || !isAmount(unitPrice) || !isAmount(price)) continue;
    // Goods measured in grams or milliliters are priced per kilo, liter or hundred; the paper rarely says which.
    const unit = reading.normalized[quantity.path]?.unit ?? "";
    if (quantity.ambiguous || /^(?:g|gr|mg|ml|cl|dl)$/.test(unit)) continue;
    const rate = ownRates[index];
    const row = { quantity, unitPrice, price, rate: isAmount(rate) ? rate : null };
    verdicts.push(...judgeRow(row, { id: rule.rule, rates, sumIsWrong }, reading));
  }
  return verdicts;
}

function isAmount(found: Reading.Found | undefined): found is Reading.Amount {
  return typeof found === "object";
}

/** The document's tax rates, for rows that print no rate of their own. */
function ratesOf({ beside }: RowRule, reading: Reading.Reading): Decimal.Decimal[] {
  const rates = beside?.rates === undefined ? [] : Reading.column(beside.rates, reading).rows;
  return rates.filter(isAmount).map(({ value }) => value);
}

function judgeRow(
  row: Row,
  { id, rates, sumIsWrong }: { id: string; rates: readonly Decimal.Decimal[]; sumIsWrong: boolean },
  reading: Reading.Reading,
): Verdict[] {
  const { quantity, unitPrice, price, rate } = row;
  const product = Decimal.times(quantity.value, unitPrice.value);
  const amounts = [unitPrice, price];
  const scale = Reading.scaleFor(amounts, reading);
  const tolerance = toleranceOf(row, scale.unit);
  const plain = { variant: rate ? "without_tax" : null, expected: Decimal.round(product, shownPlaces) };
  const candidates: Candidate[] = [plain];
  // For a returned item the minus may be at the price only: "1 × 19.99  (19.99)".
  if (Decimal.sign(product) > 0 && Decimal.sign(price.value) < 0)
    candidates.push({ variant: "taken_back", expected: Decimal.negate(plain.expected) });
  // Most rows fit as printed. Only for the others, try whether tax is the difference between unit price and price.
  if (Decimal.compare(Decimal.abs(Decimal.minus(product, price.value)), tolerance.amount) > 0) {
    for (const each of rate ? [rate.value] : rates) candidates.push(...taxed(product, each));
  }
  return Judge.judge(
    {
      id,
      fields: [quantity.path, unitPrice.path, price.path],
      candidates,
      actual: price.value,
      tolerance,
      amounts,
      excuse: () => excuseOf(row, candidates, sumIsWrong, reading),
    },
    reading,
  );
}

/** A unit price without tax beside a price with tax, or the reverse. */
function taxed(product: Decimal.Decimal, rate: Decimal.Decimal): Candidate[] {
  const factor = Decimal.plus(hundred, rate);
  if (Decimal.sign(factor) <= 0) return [];
  const gross = Decimal.percent(product, factor);
  return [
    { variant: "with_tax", expected: Decimal.round(gross, shownPlaces) },
    {
      variant: "tax_taken_off",
      expected: Decimal.divide(Decimal.times(product, hundred), factor, shownPlaces),
    },
  ];
}

function toleranceOf({ quantity, unitPrice }: Row, unit: Decimal.Decimal): Tolerance.Tolerance {
  const weighed = !isWhole(quantity);
  const isFine = unitPrice.value.places > unit.places;
  let amount = unit;
  if (weighed) {
    amount = Decimal.plus(amount, Decimal.times(halfPlace(quantity.value), Decimal.abs(unitPrice.value)));
  }
  if (weighed || isFine) {
    amount = Decimal.plus(amount, Decimal.times(halfPlace(unitPrice.value), Decimal.abs(quantity.value)));
  }
  return { amount, from: "precision" };
}

/** `0,99/100g`: the price is per a measure that the quantity does not count. */
const otherMeasure = /\/ ?\d{2,4} ?\p{L}/u;

function excuseOf(
  row: Row,
  candidates: readonly Candidate[],
  sumIsWrong: boolean,
  reading: Reading.Reading,
): Reason | null {
  const printed = Reading.printedIn(row.unitPrice.path, reading);
  if (printed !== null && otherMeasure.test(printed)) return "measure";
  if (isPerHundred(row, candidates)) return "measure";
  if (sumIsWrong) return null;
  // "2 for 1": the second item is printed with its unit price and costs nothing.
  return Decimal.sign(row.price.value) === 0 || isDiscounted(row, candidates) ? "line_discount" : null;
}

const tenfold = Decimal.of("10");

/** Cheese and meat counters weigh in kilos and price per hundred grams: "0.236  2.95  6.96". */
function isPerHundred({ quantity, unitPrice, price }: Row, [plain]: readonly Candidate[]): boolean {
  if (!plain || isWhole(quantity) || quantity.value.places !== 3) return false;
  const off = Decimal.abs(Decimal.minus(Decimal.times(plain.expected, tenfold), price.value));
  const rounding = Decimal.times(halfPlace(price.value), tenfold);
  return Decimal.sign(unitPrice.value) !== 0 && Decimal.compare(off, rounding) <= 0;
}

/** A discount rarely leaves less than this percentage of a line's price. */
const leastLeft = Decimal.of("20");

/**
 * True if the price is the product less a discount of the line. A misread digit is the likelier cause, and the answer
 * false, if the price matches another whole number of pieces, or if changing a single digit of one of the three values
 * makes the row fit.
 */
function isDiscounted({ quantity, unitPrice, price }: Row, candidates: readonly Candidate[]): boolean {
  if (Decimal.sign(quantity.value) === 0 || Decimal.sign(unitPrice.value) === 0) return false;
  const left = Decimal.abs(price.value);
  const [plain] = candidates;
  const full = plain ? Decimal.abs(plain.expected) : Decimal.zero;
  if (plain && Decimal.sign(plain.expected) !== Decimal.sign(price.value)) return false;
  if (Decimal.compare(left, full) >= 0) return false;
  if (Decimal.compare(left, Decimal.percent(full, leastLeft)) < 0) return false;
  if (Decimal.isMultiple(price.value, unitPrice.value)) return false;
  const pricePlaces = Math.max(unitPrice.value.places, price.value.places);
  return !candidates.some(({ expected }) => {
    // The value that would fit is the printed value, scaled by how much the price differs from the product.
    const scaled = (printed: Decimal.Decimal, places: number) =>
      Decimal.divide(Decimal.times(printed, price.value), expected, places);
    const needed = [
      ...(isWhole(quantity)
        ? []
        : [[scaled(quantity.value, quantity.value.places), quantity.value] as const]),
      [scaled(unitPrice.value, pricePlaces), unitPrice.value] as const,
      [Decimal.round(expected, pricePlaces), price.value] as const,
    ];
    return needed.some(([value, printed]) => Decimal.differsInOneDigit(value, printed));
  });
}
