import type { Definition } from "#core/task/definition/definition";
import * as Field from "#core/task/definition/field";
import { examples } from "./examples.ts";
import { prompt } from "./prompt.ts";

export const definition: Definition = {
  description: "How a receipt was paid: amounts, method, card, approval, date and time.",
  prompt,
  schema: () =>
    Field.group({
      total: Field.money("Final amount to pay"),
      currency: Field.currency("Currency of the amounts, code or symbol"),
      method: Field.text("How it was paid, in the printed words"),
      cash: Field.money("Cash handed over"),
      card: Field.money("Amount paid without cash"),
      change: Field.money("Money given back"),
      card_brand: Field.text("Scheme of the card"),
      card_last4: Field.text("Last four digits of the card number"),
      approval_code: Field.text("Authorisation of the card payment"),
      reference_number: Field.text("Number of the payment"),
      terminal_id: Field.text("Card terminal"),
      date: Field.date("Date of the payment"),
      time: Field.time("Time of the payment"),
    }),
  examples,
  maxOutputTokens: 480,
  lastPage: ["total", "cash", "card", "change"],
  checks: [
    {
      rule: "cash_minus_total_is_change",
      cash: "cash",
      card: "card",
      total: "total",
      change: "change",
      beside: { method: "method" },
    },
  ],
};
