import type { Definition } from "#core/task/definition/definition";
import * as Field from "#core/task/definition/field";
import { examples } from "./examples.ts";
import { prompt } from "./prompt.ts";

/** Between the lines and the total. */
const parts = { tax: "tax", shipping: "shipping", discount: "discount", exact: true } as const;

export const definition: Definition = {
  description: "A whole invoice: numbers and dates, supplier, customer, lines, taxes and totals.",
  prompt,
  schema: () =>
    Field.group({
      invoice_number: Field.text("Number of the invoice"),
      invoice_date: Field.date("Date of issue"),
      due_date: Field.date("Date to pay by"),
      purchase_order: Field.text("The customer's order number"),
      supplier: Field.group({
        name: Field.text("Who issues the invoice"),
        address: Field.text("Postal address in one line"),
        tax_id: Field.text("Tax number of the supplier"),
        email: Field.text("E-mail address"),
        phone: Field.text("Phone number"),
        iban: Field.text("IBAN, or account number, to pay to"),
        bic: Field.text("BIC of the bank"),
      }),
      customer: Field.group({
        name: Field.text("Who is billed"),
        address: Field.text("Billing address in one line"),
        tax_id: Field.text("Tax number of the customer"),
      }),
      currency: Field.currency("Currency of the amounts, code or symbol"),
      line_items: Field.rows("One entry for each line billed, in the order of the invoice", {
        description: Field.text("What is billed"),
        quantity: Field.count("Number billed, with its unit where one is printed"),
        unit_price: Field.money("Price of one"),
        tax_rate: Field.percent("Rate of tax on the line"),
        amount: Field.money("Amount of the line"),
      }),
      taxes: Field.rows("One entry for each tax or rate in the block of totals", {
        rate: Field.percent("Rate of this tax"),
        base: Field.money("Net amount that is taxed"),
        amount: Field.money("Amount of this tax"),
      }),
      subtotal: Field.money("Sum of the lines before tax"),
      discount: Field.money("Discount on the whole invoice"),
      shipping: Field.money("Freight or delivery"),
      tax: Field.money("Sum of all taxes"),
      total: Field.money("Whole amount of the invoice, with tax"),
      amount_paid: Field.money("What has been paid already"),
      amount_due: Field.money("What is left to pay"),
    }),
  examples,
  // The frame takes about 550 tokens, a line about 60: enough for 50 lines.
  maxOutputTokens: 3584,
  // A sheet with 12 lines.
  usualOutputTokens: 1280,
  lastPage: ["taxes", "subtotal", "discount", "shipping", "tax", "total", "amount_paid", "amount_due"],
  checks: [
    {
      rule: "total_is_sum_of_parts",
      total: "total",
      subtotal: "subtotal",
      ...parts,
      beside: { taxes: "taxes[].amount", prices: "line_items[].amount", paid: "amount_paid" },
    },
    {
      rule: "items_sum_is_subtotal",
      items: "line_items[].amount",
      subtotal: "subtotal",
      total: "total",
      ...parts,
      beside: {
        taxes: "taxes[].amount",
        quantity: "line_items[].quantity",
        unitPrice: "line_items[].unit_price",
      },
    },
    {
      rule: "item_price_is_quantity_times_unit",
      quantity: "line_items[].quantity",
      unitPrice: "line_items[].unit_price",
      price: "line_items[].amount",
      taxRate: "line_items[].tax_rate",
      beside: { rates: "taxes[].rate" },
    },
    {
      rule: "taxes_sum_is_tax",
      parts: "taxes[].amount",
      tax: "tax",
      beside: { total: "total", subtotal: "subtotal" },
    },
    {
      rule: "amount_due_is_total_minus_paid",
      total: "total",
      paid: "amount_paid",
      due: "amount_due",
      beside: { subtotal: "subtotal" },
    },
    { rule: "dates_in_order", earlier: "invoice_date", later: "due_date" },
  ],
};
