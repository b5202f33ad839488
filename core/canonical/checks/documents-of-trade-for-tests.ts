/** Refunds, rows, payments and currencies: the other half of documents-for-tests.ts. */
import {
  change,
  due,
  fits,
  foot,
  item,
  items,
  leftOut,
  line,
  type MadeUp,
  row,
  subtotal,
  tax,
  taxes,
  total,
} from "./words-for-tests.ts";

const refunds: MadeUp[] = [
  foot(
    "a refund whose discount has no sign",
    { subtotal: "-80.00", discount: "8.00", total: "-72.00" },
    { [total]: fits("no_tax") },
    ["total", "-12.00"],
  ),
  foot(
    "a refund whose discount has one",
    { subtotal: "-80.00", discount: "-8.00", total: "-72.00" },
    { [total]: fits("no_tax") },
    ["discount", "-3.00"],
  ),
  foot(
    "a refund paid out in cash",
    { subtotal: "-24.99", total: "-24.99", cash: "24.99", change: "0.00" },
    { [total]: fits("no_tax"), [change]: fits("refund") },
    ["cash", "29.99"],
  ),
  foot(
    "a refund of two rates, their sum not printed",
    { subtotal: "-30.00", total: "-33.60" },
    { [total]: leftOut("tax_missing") },
    ["total", "-63.60"],
  ),
  {
    kind: "goods taken back",
    taskId: "receipt_v1",
    given: {
      items: [item("-19.99", "-1", "19.99"), item("-5.00")],
      totals: { discount: "2.50", total: "-22.49" },
    },
    says: { [items]: fits("no_tax"), [row]: fits(null) },
    wrong: ["items[0].price", "-17.99"],
  },
  {
    kind: "a credit note, partly paid back",
    taskId: "invoice_v1",
    given: {
      subtotal: "-100.00",
      tax: "-19.00",
      total: "-119.00",
      amount_paid: "19.00",
      amount_due: "-100.00",
    },
    says: { [total]: fits("tax_added"), [due]: fits(null) },
    wrong: ["amount_due", "-160.00"],
  },
];

const moreRefunds: MadeUp[] = [
  foot(
    "a refund whose tax has no sign",
    { subtotal: "-50.00", tax: "4.00", total: "-54.00" },
    { [total]: fits("tax_added") },
    ["total", "-94.00"],
  ),
  {
    kind: "a refund that prints its goods as they were sold",
    taskId: "receipt_v1",
    given: {
      items: [item("20.00"), item("30.00")],
      totals: { subtotal: "-50.00", tax: "-4.00", total: "-54.00" },
    },
    says: { [subtotal]: fits("subtotal"), [total]: fits("tax_added") },
    wrong: ["items[0].price", "70.00"],
  },
  {
    kind: "a deposit that the total knows already",
    taskId: "invoice_v1",
    given: { subtotal: "1.000,00", tax: "190,00", total: "690,00 EUR", amount_paid: "500,00" },
    says: { [total]: fits("tax_added_after_payment") },
    wrong: ["amount_paid", "800,00"],
  },
];

const goods: MadeUp[] = [
  {
    kind: "a bottle deposit and empties given back",
    taskId: "receipt_v1",
    given: {
      items: [item("4,99"), item("0,25"), item("1,50-")],
      totals: { tax: "0,60", total: "3,74 EUR" },
    },
    says: { [items]: fits("tax_included") },
    wrong: ["items[2].price", "7,50-"],
  },
  {
    kind: "a deposit outside of the subtotal",
    taskId: "receipt_v1",
    given: {
      items: [item("13.00"), item("24.00"), item("0.40")],
      totals: { subtotal: "37.00", tax: "1.85", total: "39.25" },
    },
    says: { [subtotal]: leftOut("row_outside"), [total]: leftOut("row_outside") },
    wrong: ["items[1].price", "29.00"],
  },
  {
    kind: "a discount below its line",
    taskId: "receipt_v1",
    given: {
      items: [item("28.80", "3", "12.00"), item("5.00")],
      totals: { subtotal: "33.80", total: "33.80" },
    },
    says: { [subtotal]: fits("subtotal"), [total]: fits("no_tax"), [row]: leftOut("line_discount") },
    wrong: ["items[0].price", "23.80"],
  },
  {
    kind: "a price for a hundred grams",
    taskId: "receipt_v1",
    given: { items: [item("4,51", "0,456 kg", "0,99/100g")], totals: { total: "4,51 EUR" } },
    says: { [items]: fits("no_tax"), [row]: leftOut("measure") },
    wrong: ["totals.total", "1,51 EUR"],
  },
  {
    kind: "a row whose price could not be read",
    taskId: "receipt_v1",
    given: { items: [item("2.00"), item(null, "1", "3.50")], totals: { subtotal: "5.50", total: "5.50" } },
    says: { [subtotal]: leftOut("row_missing"), [total]: fits("no_tax") },
    wrong: ["totals.subtotal", "8.50"],
  },
  {
    kind: "net unit prices, gross amounts",
    taskId: "invoice_v1",
    given: {
      line_items: [line("95,20", "2", "40,00"), line("47,60", "4", "10,00")],
      taxes: [tax("22,80", "19%", "120,00")],
      subtotal: "120,00",
      tax: "22,80",
      total: "142,80 EUR",
    },
    says: {
      [total]: fits("tax_added"),
      [subtotal]: fits("subtotal_before_tax"),
      [row]: fits("with_tax"),
      [taxes]: fits(null),
    },
    wrong: ["line_items[1].unit_price", "16,00"],
  },
];

const paid: MadeUp[] = [
  foot(
    "a voucher printed as a discount below the total",
    { subtotal: "25,00", discount: "5,00", total: "25,00 EUR", cash: "20,00", change: "0,00" },
    { [total]: fits("no_tax_discount_applied"), [change]: fits("voucher") },
    ["total", "95,00 EUR"],
  ),
  {
    kind: "a voucher and cash, as the method says",
    taskId: "payment_v1",
    given: { total: "22,00 EUR", method: "Gutschein / Bar", cash: "20,00", change: "8,00" },
    says: { [change]: leftOut("other_tender") },
    wrong: ["cash", "90,00"],
  },
  {
    kind: "cash and card",
    taskId: "payment_v1",
    given: { total: "58.40", cash: "20.00", card: "38.40", change: "0.00" },
    says: { [change]: fits("cash_and_card") },
    wrong: ["card", "88.40"],
  },
  foot(
    "cash and two cards",
    { total: "58.40", cash: "20.00", card: "18.40", change: "0.00" },
    { [change]: leftOut("other_tender") },
    ["cash", "80.00"],
  ),
];

const currencies: MadeUp[] = [
  {
    kind: "a total in crowns, paid in euros",
    taskId: "payment_v1",
    given: { total: "450 CZK", cash: "20 EUR", change: "35 CZK" },
    says: { [change]: leftOut("currencies") },
    wrong: null,
  },
  foot(
    "prices in one currency, the total in another",
    { subtotal: "80,00 BGN", tax: "16,00 BGN", total: "49,08 €" },
    { [total]: leftOut("currencies") },
    null,
  ),
  foot(
    "a mark that several currencies share beside another",
    { subtotal: "200,00 kr", total: "20,00 EUR" },
    { [total]: leftOut("currencies") },
    null,
  ),
  {
    kind: "an amount in a foreign currency that no sum needs",
    taskId: "receipt_v1",
    given: {
      totals: { subtotal: "100,00 BGN", tax: "20,00 BGN", total: "120,00 BGN" },
      payment: { card: "61,36 €" },
    },
    says: { [total]: fits("tax_added") },
    wrong: ["totals.tax", "80,00 BGN"],
  },
];

export const trade: readonly MadeUp[] = [...refunds, ...moreRefunds, ...goods, ...paid, ...currencies];
