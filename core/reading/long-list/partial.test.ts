import { expect, test } from "vitest";
import * as Checks from "#core/canonical/checks/checks";
import * as Normalize from "#core/canonical/normalize";
import * as Task from "#core/task/task";
import { rulesWithout } from "./partial.ts";

const task = (id: string) => {
  const found = Task.get(id);
  if (found === undefined) throw new Error("no such task");
  return found;
};
const checked = (id: string, result: unknown, brokenList: string) => {
  const { checks, fields } = task(id);
  const rules = rulesWithout(checks, brokenList);
  return Checks.run({ checks: rules }, result, Normalize.normalize(fields, result));
};

test("no sum over an incomplete list is checked; its rows are still checked one by one", () => {
  const result = {
    items: [
      { name: "TEA", quantity: "2", unit_price: "1.00", price: "2.00" },
      { name: "CAKE", quantity: "2", unit_price: "3.00", price: "7.00" },
    ],
    totals: { subtotal: "50.00", tax: "5.00", total: "55.00" },
  };
  const ids = checked("receipt_v1", result, "items").map(({ id, ok }) => [id, ok]);
  expect(ids).not.toContainEqual(["items_sum_is_subtotal", false]);
  expect(ids).toContainEqual(["total_is_sum_of_parts", true]);
  expect(ids).toContainEqual(["item_price_is_quantity_times_unit", false]);
});

test("a complete list is summed although another one is incomplete", () => {
  const rules = task("invoice_v1").checks;
  const lists = new Set(
    rules.flatMap((rule) =>
      Object.values(rule)
        .flat()
        .flatMap((path) => (typeof path === "string" && path.includes("[]") ? [path.split("[]")[0]] : [])),
    ),
  );
  expect(lists.size).toBeGreaterThan(1);
  for (const list of lists) {
    const left = rulesWithout(rules, String(list));
    expect(left.length).toBeLessThan(rules.length);
    const others = [...lists].filter((each) => each !== list).map(String);
    expect(left.some((rule) => others.some((each) => JSON.stringify(rule).includes(`${each}[]`)))).toBe(true);
  }
});
