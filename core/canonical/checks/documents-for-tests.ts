/**
 * Made-up documents of the kinds that shops print, right to the last cent: what each must say, and an amount that is
 * read wrongly and must be noticed. `given` are the fields that are printed; all others are null.
 */
import * as Task from "#core/task/task";
import { trade } from "./documents-of-trade-for-tests.ts";
import {
  change,
  due,
  fits,
  foot,
  items,
  leftOut,
  line,
  type MadeUp,
  subtotal,
  tax,
  taxes,
  total,
} from "./words-for-tests.ts";

/** The whole answer: what is not given is null, lists are empty. */
export function answerOf({ taskId, given }: Pick<MadeUp, "taskId" | "given">): unknown {
  const task = Task.get(taskId);
  if (!task) throw new Error("no such task");
  return merged(blank(task.modelSchema), given);
}

type Tree = Record<string, unknown>;

function blank(schema: Task.JsonSchema): Tree {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Task.JsonSchema>);
  const empty = (child: Task.JsonSchema) =>
    child.type === "array" ? [] : child.type === "object" ? blank(child) : null;
  return Object.fromEntries(properties.map(([name, child]) => [name, empty(child)]));
}

function merged(base: Tree, given: Tree): Tree {
  const isTree = (value: unknown): value is Tree =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const entries = Object.entries(given).map(([name, value]): [string, unknown] => {
    const below = base[name];
    return [name, isTree(value) && isTree(below) ? merged(below, value) : value];
  });
  return { ...base, ...Object.fromEntries(entries) };
}

const taxed: MadeUp[] = [
  {
    kind: "two rates on top of an invoice, no printed sum",
    taskId: "invoice_v1",
    given: {
      line_items: [line("150,00"), line("90,00")],
      taxes: [tax("10,50", "7%", "150,00"), tax("17,10", "19%", "90,00")],
      subtotal: "240,00",
      total: "267,60 EUR",
    },
    says: { [total]: fits("taxes_added"), [subtotal]: fits("subtotal") },
    wrong: ["taxes[1].amount", "11,10"],
  },
  {
    kind: "two rates inside of the prices, no subtotal",
    taskId: "invoice_v1",
    given: {
      line_items: [line("107,00"), line("119,00")],
      taxes: [tax("7,00", "7%"), tax("19,00", "19%")],
      total: "226,00 EUR",
    },
    says: { [items]: fits("taxes_included") },
    wrong: ["line_items[0].amount", "177,00"],
  },
  {
    kind: "gross lines above a net subtotal of two rates",
    taskId: "invoice_v1",
    given: {
      line_items: [line("107,00"), line("119,00")],
      taxes: [tax("7,00", "7%"), tax("19,00", "19%")],
      subtotal: "200,00",
      total: "226,00 EUR",
    },
    says: { [total]: fits("taxes_added"), [subtotal]: fits("subtotal_before_tax") },
    wrong: ["subtotal", "230,00"],
  },
  {
    kind: "one tax in the prices, one on top (Brazil's ICMS and IPI)",
    taskId: "invoice_v1",
    given: {
      taxes: [tax("18,00", "18%"), tax("5,00", "5%")],
      subtotal: "R$ 100,00",
      total: "R$ 105,00",
    },
    says: { [total]: fits("taxes_partly_added") },
    wrong: ["total", "R$ 705,00"],
  },
  {
    kind: "a tax whose amount is not printed",
    taskId: "invoice_v1",
    given: { taxes: [tax("7,00", "7%"), tax(null, "19%")], subtotal: "200,00", total: "226,00 EUR" },
    says: { [total]: leftOut("row_missing") },
    wrong: null,
  },
  foot(
    "two taxes of Quebec on a few of the goods",
    { subtotal: "84.50", total: "86.30" },
    { [total]: leftOut("tax_missing") },
    ["total", "36.30"],
  ),
  foot(
    "no tax was read, and the cash says that the total is wrong",
    { subtotal: "84.50", total: "84.50", cash: "100.00", change: "15.50" },
    { [total]: fits("no_tax"), [change]: fits(null) },
    ["total", "94.50"],
  ),
  foot(
    "tax in the prices and a service on top (London)",
    { subtotal: "£64.00", tax: "£10.67", service: "£8.00", total: "£72.00" },
    { [total]: fits("tax_included") },
    ["service", "£3.00"],
  ),
  foot(
    "service in the prices, printed for information (Paris)",
    { subtotal: "50,00", service: "6,52", total: "50,00 €" },
    { [total]: fits("no_tax_service_included") },
    ["total", "10,00 €"],
  ),
  foot(
    "a service line that was not read",
    { subtotal: "£64.00", tax: "£10.67", total: "£72.00" },
    { [total]: leftOut("service_missing") },
    ["total", "£79.00"],
  ),
  foot(
    "a service of five and a half percent that was not read",
    { subtotal: "Rp216.000", tax: "Rp22.788", total: "Rp250.668" },
    { [total]: leftOut("service_missing") },
    ["total", "Rp250.068"],
  ),
];

const tips: MadeUp[] = [
  foot(
    "a tip paid by card",
    { subtotal: "36.50", tax: "3.01", total: "46.51", card: "46.51" },
    { [total]: leftOut("tip") },
    ["total", "96.51"],
  ),
  foot(
    "a tip paid in cash, a fifth of the sum",
    { subtotal: "50.00", tax: "4.00", total: "64.00", cash: "70.00", change: "6.00" },
    { [total]: leftOut("service_missing"), [change]: fits(null) },
    ["cash", "10.00"],
  ),
  foot(
    "a printed tip",
    { subtotal: "36.50", tax: "3.01", tip: "7.00", total: "46.51", card: "46.51" },
    { [total]: fits("tax_added") },
    ["tip", "1.00"],
    "receipt_fields_v2",
  ),
  foot(
    "a printed tip and a printed rounding",
    {
      subtotal: "37.55",
      tax: "2.08",
      tip: "4.00",
      rounding: "0.02",
      total: "RM 43.65",
      cash: "50.00",
      change: "6.35",
    },
    { [total]: fits("tax_added"), [change]: fits(null) },
    ["rounding", "0.52"],
    "receipt_fields_v2",
  ),
  {
    kind: "a tip below the total",
    taskId: "receipt_v1",
    given: {
      totals: { subtotal: "36.50", tax: "3.01", tip: "7.00", total: "39.51" },
      payment: { card: "46.51" },
    },
    says: { [total]: fits("tax_added_tip_apart") },
    wrong: ["totals.subtotal", "36.80"],
  },
];

const rounded: MadeUp[] = [
  foot("rounded to the krona", { subtotal: "87,50 SEK", total: "88,00 SEK" }, { [total]: fits("no_tax") }, [
    "subtotal",
    "97,50 SEK",
  ]),
  {
    kind: "rounded to the krona, as it is printed",
    taskId: "receipt_v1",
    given: { currency: "SEK", totals: { subtotal: "87,60", rounding: "0,40", total: "88,00" } },
    says: { [total]: fits("no_tax") },
    wrong: ["totals.subtotal", "97,60"],
  },
  foot(
    "rounded to five centimes, tax in the prices",
    { subtotal: "CHF 17.83", tax: "CHF 1.34", total: "CHF 17.85" },
    { [total]: fits("tax_included") },
    ["total", "CHF 17.95"],
  ),
  {
    kind: "an invoice rounded to five centimes",
    taskId: "invoice_v1",
    given: { currency: "CHF", subtotal: "100.30", tax: "8.12", total: "108.40" },
    says: { [total]: fits("tax_added") },
    wrong: ["tax", "8.72"],
  },
  {
    kind: "an invoice rounded to the rupee, central and state tax",
    taskId: "invoice_v1",
    given: {
      currency: "INR",
      taxes: [tax("111.11", "9%"), tax("111.11", "9%")],
      subtotal: "1,234.50",
      total: "1,457.00",
    },
    says: { [total]: fits("taxes_added") },
    wrong: ["taxes[0].amount", "171.11"],
  },
];

const withheld: MadeUp[] = [
  {
    kind: "income tax withheld in Spain",
    taskId: "invoice_v1",
    given: { taxes: [tax("210,00", "21%")], subtotal: "1.000,00", tax: "210,00", total: "1.060,00 €" },
    says: { [total]: leftOut("withholding"), [taxes]: fits(null) },
    wrong: ["taxes[0].amount", "270,00"],
  },
  {
    kind: "the same, printed among the taxes with its minus",
    taskId: "invoice_v1",
    given: {
      taxes: [tax("210,00", "21%"), tax("-150,00", "-15%")],
      subtotal: "1.000,00",
      total: "1.060,00 €",
    },
    says: { [total]: fits("taxes_added") },
    wrong: ["subtotal", "4.000,00"],
  },
  {
    kind: "the same without the minus, beside the sum of the other tax",
    taskId: "invoice_v1",
    given: {
      taxes: [tax("210,00", "21%"), tax("150,00", "15%")],
      subtotal: "1.000,00",
      tax: "210,00",
      total: "1.060,00 €",
    },
    says: { [total]: fits("tax_withheld"), [taxes]: fits("tax_withheld") },
    wrong: ["tax", "260,00"],
  },
  {
    kind: "ritenuta d'acconto",
    taskId: "invoice_v1",
    given: { subtotal: "2.000,00", tax: "440,00", total: "2.040,00 €" },
    says: { [total]: leftOut("withholding") },
    wrong: ["total", "9.040,00 €"],
  },
  {
    kind: "nine tenths of the tax withheld in Türkiye",
    taskId: "invoice_v1",
    given: { subtotal: "1.234,00 TL", tax: "246,80 TL", total: "1.258,68 TL" },
    says: { [total]: leftOut("withholding") },
    wrong: ["total", "1.758,68 TL"],
  },
  {
    kind: "tax deducted at source, from what is due",
    taskId: "invoice_v1",
    given: {
      subtotal: "10,000.00",
      tax: "1,800.00",
      total: "11,800.00",
      amount_paid: "5,000.00",
      amount_due: "5,800.00",
    },
    says: { [total]: fits("tax_added"), [due]: leftOut("withholding") },
    wrong: ["amount_due", "8,800.00"],
  },
];

export const documents: readonly MadeUp[] = [...taxed, ...tips, ...rounded, ...withheld, ...trade];
