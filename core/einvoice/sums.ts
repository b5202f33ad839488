import * as Decimal from "#core/canonical/money/decimal";
import type { Beside, Fields } from "./fields.ts";
import type { Sum } from "./schema.ts";

/*
 * The sums of an e-invoice. They are done here because a file that passes the official rules may still be wrong: rule
 * BR-CO-17 of EN 16931 accepts a tax that is up to 1.00 off its base times its rate.
 */

/** Sums have two decimals (BR-DEC-*); generators that add binary fractions write more, which is not an error. */
const halfCent = Decimal.of("0.005");

type Amount = Decimal.Decimal | null;
const of = (value: string | null): Amount => (value === null ? null : Decimal.of(value));

function judge(id: string, fields: string[], expected: Amount, actual: Amount): Sum[] {
  if (expected === null || actual === null) return [];
  const off = Decimal.abs(Decimal.minus(expected, actual));
  return [
    {
      id,
      ok: Decimal.compare(off, halfCent) <= 0,
      fields,
      expected: Decimal.format(expected),
      actual: Decimal.format(actual),
    },
  ];
}

/** The sum; null if a part is missing or there is none. */
function total(values: readonly (string | null)[]): Amount {
  if (values.length === 0 || values.includes(null)) return null;
  return Decimal.sum(values.map((value) => Decimal.of(value ?? "0")));
}

/**
 * - the lines add up to the subtotal (BR-CO-10)
 * - subtotal − discount + charges is the net total (BR-CO-13)
 * - each tax is its base times its rate, to the cent (stricter than BR-CO-17)
 * - the taxes add up to the tax (BR-CO-14)
 * - net + tax is the total (BR-CO-15)
 * - total − paid + rounding is what is due (BR-CO-16)
 *
 * A sum with a part that the file does not have is left out.
 */
export function check(fields: Fields, { net, rounding }: Beside): Sum[] {
  const subtotal = of(fields.subtotal);
  const discount = of(fields.discount) ?? Decimal.zero;
  const shipping = of(fields.shipping) ?? Decimal.zero;
  const tax = of(fields.tax);
  const base = of(net);
  const whole = of(fields.total);
  const paid = of(fields.amount_paid) ?? Decimal.zero;
  const rounded = of(rounding) ?? Decimal.zero;
  return [
    ...judge(
      "items_sum_is_subtotal",
      ["line_items[].amount", "subtotal"],
      total(fields.line_items.map(({ amount }) => amount)),
      subtotal,
    ),
    ...judge(
      "net_is_subtotal_minus_discount_plus_shipping",
      ["subtotal", "discount", "shipping"],
      subtotal && Decimal.plus(Decimal.minus(subtotal, discount), shipping),
      base,
    ),
    ...fields.taxes.flatMap(({ rate, base: taxed, amount }, index) =>
      judge(
        "tax_is_base_times_rate",
        ["rate", "base", "amount"].map((name) => `taxes[${index}].${name}`),
        rate === null || taxed === null ? null : Decimal.percent(Decimal.of(taxed), Decimal.of(rate)),
        of(amount),
      ),
    ),
    ...judge(
      "taxes_sum_is_tax",
      ["taxes[].amount", "tax"],
      total(fields.taxes.map(({ amount }) => amount)),
      tax,
    ),
    ...judge("total_is_net_plus_tax", ["tax", "total"], base && tax && Decimal.plus(base, tax), whole),
    ...judge(
      "amount_due_is_total_minus_paid",
      ["total", "amount_paid", "amount_due"],
      whole && Decimal.plus(Decimal.minus(whole, paid), rounded),
      of(fields.amount_due),
    ),
  ];
}
