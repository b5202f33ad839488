import type { Definition } from "#core/task/definition/definition";
import * as Field from "#core/task/definition/field";
import { examples } from "./examples.ts";
import { prompt } from "./prompt.ts";

export const definition: Definition = {
  description:
    "The ten amounts at the foot of a receipt: total, subtotal, tax, service, tip, discount, rounding, cash, card, change.",
  prompt,
  schema: () =>
    Field.group({
      total: Field.money("Final amount to pay, after tax, service, tip, discount and rounding"),
      subtotal: Field.money("Sum of the items before tax, service and final discount"),
      tax: Field.money("Amount of tax"),
      service: Field.money("Service charge"),
      tip: Field.money("Tip"),
      discount: Field.money("Discount on the whole receipt"),
      rounding: Field.money("Rounding of the total, with its sign"),
      cash: Field.money("Cash handed over"),
      card: Field.money("Amount paid without cash"),
      change: Field.money("Money given back"),
    }),
  examples,
  // Ten amounts are about 150 tokens; more than twice that is a loop.
  maxOutputTokens: 400,
  lastPage: ["total", "subtotal", "tax", "service", "tip", "discount", "rounding", "cash", "card", "change"],
  checks: [
    {
      rule: "total_is_sum_of_parts",
      total: "total",
      subtotal: "subtotal",
      tax: "tax",
      service: "service",
      tip: "tip",
      discount: "discount",
      rounding: "rounding",
      beside: { cash: "cash", card: "card", change: "change" },
    },
    {
      rule: "cash_minus_total_is_change",
      cash: "cash",
      card: "card",
      total: "total",
      change: "change",
      beside: { discount: "discount", tip: "tip" },
    },
  ],
};
