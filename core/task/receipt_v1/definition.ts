import type { Definition } from "#core/task/definition/definition";
import * as Field from "#core/task/definition/field";
import { examples } from "./examples.ts";
import { prompt } from "./prompt.ts";

/** Between the items and the total. */
const parts = {
  tax: "totals.tax",
  service: "totals.service",
  tip: "totals.tip",
  discount: "totals.discount",
  rounding: "totals.rounding",
};

const paid = { cash: "payment.cash", card: "payment.card", change: "payment.change" };

export const definition: Definition = {
  description: "A whole receipt: merchant, date, items, totals and payment.",
  prompt,
  schema: () =>
    Field.group({
      merchant: Field.group({
        name: Field.text("Shop or company"),
        address: Field.text("Postal address in one line"),
        phone: Field.text("Phone number"),
        tax_id: Field.text("Tax number of the merchant"),
      }),
      receipt_number: Field.text("Number of the receipt"),
      date: Field.date("Date of the purchase"),
      time: Field.time("Time of the purchase"),
      currency: Field.currency("Currency of the amounts, code or symbol"),
      items: Field.rows("One entry for each item line, in the order of the receipt", {
        name: Field.text("Name of the item"),
        quantity: Field.count("Number bought, with its unit where one is printed"),
        unit_price: Field.money("Price of one"),
        price: Field.money("Amount of the line"),
      }),
      totals: Field.group({
        subtotal: Field.money("Sum of the items before tax, service and final discount"),
        discount: Field.money("Discount on the whole receipt"),
        service: Field.money("Service charge"),
        tax: Field.money("Amount of tax"),
        tip: Field.money("Tip"),
        rounding: Field.money("Rounding of the total, with its sign"),
        total: Field.money("Final amount to pay"),
      }),
      payment: Field.group({
        method: Field.text("How it was paid, in the printed words"),
        cash: Field.money("Cash handed over"),
        card: Field.money("Amount paid without cash"),
        change: Field.money("Money given back"),
        card_last4: Field.text("Last four digits of the card number"),
      }),
    }),
  examples,
  // The frame takes about 350 tokens, an item about 45: enough for 70 items.
  maxOutputTokens: 3584,
  // A receipt of 20 items.
  usualOutputTokens: 1280,
  lastPage: ["totals", "payment"],
  checks: [
    {
      rule: "total_is_sum_of_parts",
      total: "totals.total",
      subtotal: "totals.subtotal",
      ...parts,
      beside: { ...paid, prices: "items[].price" },
    },
    {
      rule: "items_sum_is_subtotal",
      items: "items[].price",
      subtotal: "totals.subtotal",
      total: "totals.total",
      ...parts,
      beside: { ...paid, quantity: "items[].quantity", unitPrice: "items[].unit_price" },
    },
    {
      rule: "item_price_is_quantity_times_unit",
      quantity: "items[].quantity",
      unitPrice: "items[].unit_price",
      price: "items[].price",
    },
    {
      rule: "cash_minus_total_is_change",
      cash: "payment.cash",
      card: "payment.card",
      total: "totals.total",
      change: "payment.change",
      beside: { discount: "totals.discount", tip: "totals.tip", method: "payment.method" },
    },
  ],
};
