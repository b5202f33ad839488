import { describe, expect, it } from "vitest";
import * as Facts from "#local/model/rules/facts";
import { receipts } from "#local/model/rules/fixtures/receipts";
import * as Paper from "#local/model/rules/paper";

describe.each(receipts)("$name", ({ text, expected, items }) => {
  const facts = Facts.find([Paper.fromText(text)]);

  it("gives the printed values and nothing else", () => {
    const found = Object.fromEntries(
      Object.keys(expected).map((key) => [key, facts.values.get(key)?.text ?? null]),
    );
    expect(found).toEqual(expected);
  });

  it.runIf(items)("gives the item lines", () => {
    const columns = ["name", "quantity", "unit_price", "price"];
    expect(facts.items.map((item) => columns.map((column) => item.get(column)?.text ?? null))).toEqual(items);
  });
});
