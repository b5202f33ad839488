import * as Decimal from "#core/canonical/money/decimal";
import type { Candidate, Reason, Verdict } from "./judge.ts";
import * as Judge from "./judge.ts";
import * as Missing from "./missing.ts";
import * as Reading from "./reading.ts";
import type { CashRule, DueRule, TaxesRule } from "./rule.ts";
import * as Tolerance from "./tolerance.ts";

/**
 * The sign of change is ignored: it is printed with and without a minus. Part may have been paid by card, or by a
 * voucher that is printed as a discount but is not deducted from the total.
 */
export function cashMinusTotalIsChange(rule: CashRule, reading: Reading.Reading): Verdict[] {
  const cash = Reading.amountAt(rule.cash, reading);
  const total = Reading.amountAt(rule.total, reading);
  const change = Reading.amountAt(rule.change, reading);
  const card = Reading.at(rule.card, reading);
  if (!cash || !total || !change || card === "unreadable") return [];
  const byCard = card === "absent" ? null : card;
  const voucher = Reading.amountAt(rule.beside?.discount, reading);
  const tip = Reading.amountAt(rule.beside?.tip, reading);
  const candidates = paid(cash.value, total.value, byCard?.value ?? null, { voucher, tip });
  const amounts = [cash, ...(byCard ? [byCard] : []), total, change];
  const scale = Reading.scaleFor(amounts, reading);
  const back = Decimal.abs(change.value);
  const tolerance = Tolerance.ofChange(scale, { cash: cash.value, total: total.value, change: back });
  return Judge.judge(
    {
      id: rule.rule,
      fields: amounts.map(({ path }) => path),
      candidates,
      actual: back,
      tolerance,
      amounts,
      excuse: () => {
        const left = candidates[0]?.expected ?? Decimal.zero;
        const more = Decimal.minus(left, back);
        if (Decimal.sign(more) < 0) return otherTender(rule, { left, back }, reading);
        return rule.beside?.tip === undefined && isTip(total.value, more, scale.unit) ? "tip" : null;
      },
    },
    reading,
  );
}

function paid(
  cash: Decimal.Decimal,
  total: Decimal.Decimal,
  card: Decimal.Decimal | null,
  beside: { voucher: Reading.Amount | null; tip: Reading.Amount | null },
): Candidate[] {
  // A refund reverses the direction of the money. The amounts are printed with and without a minus.
  const isRefund = Decimal.sign(total) < 0;
  const left = isRefund
    ? Decimal.abs(Decimal.minus(Decimal.abs(cash), Decimal.abs(total)))
    : Decimal.minus(Decimal.abs(cash), total);
  const main: Candidate[] = card
    ? [
        { variant: "cash_and_card", expected: Decimal.plus(left, card) },
        { variant: "cash_alone", expected: left },
      ]
    : [{ variant: isRefund ? "refund" : null, expected: left }];
  if (isRefund) main.push({ variant: "cash_minus_refund", expected: Decimal.minus(cash, total) });
  const { voucher, tip } = beside;
  const first = main[0]?.expected ?? left;
  if (voucher) main.push({ variant: "voucher", expected: Decimal.plus(first, Decimal.abs(voucher.value)) });
  if (tip) main.push({ variant: "tip_apart", expected: Decimal.minus(first, Decimal.abs(tip.value)) });
  return main;
}

/** Words and signs of a payment method that names more than one: "Gutschein + Bar", "VISA/CASH". */
const severalMethods = /[+,/&]|\p{L} (?:und|and|et|y|e|dan|en|och|og) \p{L}/iu;
const vouchers =
  /voucher|gift|gutschein|coupon|bon |cadeau|ch[eè]que|vale|tessera|buono|points|punkte|loyalty/iu;

/**
 * True if another means of payment (voucher, points, second card) explains the difference: more change was given than
 * the cash explains, no change was given although the cash is less than the total, or the payment method names several.
 */
function otherTender(
  { beside }: CashRule,
  { left, back }: { left: Decimal.Decimal; back: Decimal.Decimal },
  reading: Reading.Reading,
): Reason | null {
  if (Decimal.sign(back) === 0 && Decimal.sign(left) < 0) return "other_tender";
  const method = Reading.printedAt(beside?.method, reading) ?? "";
  return severalMethods.test(method) || vouchers.test(method) ? "other_tender" : null;
}

function isTip(total: Decimal.Decimal, more: Decimal.Decimal, unit: Decimal.Decimal): boolean {
  const gap = { base: total, actual: Decimal.plus(total, more), tax: null, unit, tolerance: unit };
  const ways = [{ expected: total, taxAdded: false, plain: false }];
  const lacks = { lacksTax: false, lacksService: false, lacksTip: true, paidByCard: false };
  return Missing.explain({ ...gap, ways, ...lacks }) === "tip";
}

/**
 * Compares the single taxes with their printed sum. A tax that the customer withholds is printed among them but is not
 * part of the sum; the total shows which it is.
 */
export function taxesSumIsTax(rule: TaxesRule, reading: Reading.Reading): Verdict[] {
  const tax = Reading.amountAt(rule.tax, reading);
  const list = Reading.column(rule.parts, reading);
  const parts = Reading.amountsOf(list);
  if (!tax || !parts || parts.length === 0) return [];
  const all = Reading.sum(parts);
  const amounts = [...parts, tax];
  const scale = Reading.scaleFor(amounts, reading);
  const tolerance = Tolerance.ofParts(scale, parts.length);
  const candidates: Candidate[] = [{ variant: null, expected: all }];
  if (parts.length > 1) {
    for (const { value } of parts) {
      if (Decimal.sign(value) === -Decimal.sign(tax.value) || knowsWithheld(rule, tax, value, reading))
        candidates.push({ variant: "tax_withheld", expected: Decimal.minus(all, value) });
    }
  }
  const isMore = Decimal.compare(Decimal.abs(tax.value), Decimal.abs(all)) > 0;
  const excuse = () => (isMore && list.rows.includes("absent") ? ("row_missing" as const) : null);
  const fields = [rule.parts, tax.path];
  return Judge.judge(
    { id: rule.rule, fields, candidates, actual: tax.value, tolerance, amounts, excuse },
    reading,
  );
}

/** True if the total is the subtotal with the tax and without this withheld tax. */
function knowsWithheld(
  { beside }: TaxesRule,
  tax: Reading.Amount,
  withheld: Decimal.Decimal,
  reading: Reading.Reading,
): boolean {
  const total = Reading.amountAt(beside?.total, reading);
  const subtotal = Reading.amountAt(beside?.subtotal, reading);
  if (!total || !subtotal) return false;
  const expected = Decimal.minus(Decimal.plus(subtotal.value, tax.value), Decimal.abs(withheld));
  return Decimal.compare(expected, total.value) === 0;
}

/** A payment reduces the absolute amount due, whatever its printed sign, and also for a credit note. */
export function amountDueIsTotalMinusPaid(rule: DueRule, reading: Reading.Reading): Verdict[] {
  const total = Reading.amountAt(rule.total, reading);
  const paid = Reading.amountAt(rule.paid, reading);
  const due = Reading.amountAt(rule.due, reading);
  if (!total || !paid || !due) return [];
  const size = Decimal.abs(paid.value);
  const off = Decimal.sign(total.value) < 0 ? Decimal.negate(size) : size;
  const expected = Decimal.minus(total.value, off);
  const amounts = [total, paid, due];
  const scale = Reading.scaleFor(amounts, reading);
  const fields = amounts.map(({ path }) => path);
  const subtotal = Reading.amountAt(rule.beside?.subtotal, reading);
  return Judge.judge(
    {
      id: rule.rule,
      fields,
      candidates: [{ variant: null, expected }],
      actual: due.value,
      tolerance: (difference) => Tolerance.ofInvoice(scale, due.value, 1, difference),
      amounts,
      excuse: () => {
        const bases = [subtotal?.value, total.value].filter((each) => each !== undefined);
        return bases.some((base) => isWithheld(base, expected, due.value, scale.unit)) ? "withholding" : null;
      },
    },
    reading,
  );
}

function isWithheld(
  base: Decimal.Decimal,
  expected: Decimal.Decimal,
  actual: Decimal.Decimal,
  unit: Decimal.Decimal,
): boolean {
  const ways = [{ expected, taxAdded: false, plain: true }];
  const lacks = { lacksTax: false, lacksService: false, lacksTip: false, paidByCard: false };
  const reason = Missing.explain({ base, actual, ways, tax: null, unit, tolerance: unit, ...lacks });
  return reason === "withholding";
}
