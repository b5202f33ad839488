import type { Definition } from "#core/task/definition/definition";
import * as Field from "#core/task/definition/field";
import { examples } from "./examples.ts";
import { prompt } from "./prompt.ts";

export const definition: Definition = {
  description: "The item lines of a receipt: name, quantity, unit price, price.",
  prompt,
  schema: () =>
    Field.group({
      items: Field.rows("One entry for each item line, in the order of the receipt", {
        name: Field.text("Name of the item"),
        quantity: Field.count("Number bought, with its unit where one is printed"),
        unit_price: Field.money("Price of one"),
        price: Field.money("Amount of the line"),
      }),
    }),
  examples,
  // About 45 tokens an item: enough for 70 items, the longest receipt of a supermarket.
  maxOutputTokens: 3072,
  // A receipt of 20 items.
  usualOutputTokens: 1024,
  lastPage: [],
  checks: [
    {
      rule: "item_price_is_quantity_times_unit",
      quantity: "items[].quantity",
      unitPrice: "items[].unit_price",
      price: "items[].price",
    },
  ],
};
