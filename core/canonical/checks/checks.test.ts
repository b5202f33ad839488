import { describe, expect, test } from "vitest";
import { normalize } from "#core/canonical/normalize";
import { Check } from "#core/canonical/schema";
import * as Task from "#core/task/task";
import * as Checks from "./checks.ts";

function taskOf(id: string): Task.Task {
  const task = Task.get(id);
  if (!task) throw new Error(`no task ${id}`);
  return task;
}

/** The checks of a result; fields that are not given are null. */
function checksOf(id: string, given: Record<string, unknown>): Check[] {
  const task = taskOf(id);
  const result = { ...blank(task.modelSchema), ...given };
  return Checks.run(task, result, normalize(task.fields, result));
}

function blank(schema: Task.JsonSchema): Record<string, unknown> {
  const properties = Object.entries(schema.properties as Record<string, Task.JsonSchema>);
  const empty = (child: Task.JsonSchema) =>
    child.type === "array" ? [] : child.type === "object" ? blank(child) : null;
  return Object.fromEntries(properties.map(([name, child]) => [name, empty(child)]));
}

const fields = (given: Record<string, string>) => checksOf("receipt_fields_v1", given);

describe("the total is the sum of its parts", () => {
  test("Indonesian restaurant: tax and service on top, rounded down to 100", () => {
    const given = { total: "1,591,600", subtotal: "1,346,000", tax: "144,695", service: "100,950" };
    expect(fields(given)).toEqual([
      {
        id: "total_is_sum_of_parts",
        ok: true,
        fields: ["subtotal", "tax", "service", "discount", "total"],
        expected: "1591645",
        actual: "1591600",
        tolerance: "100",
        tolerance_from: "magnitude",
        variant: "tax_added",
      },
    ]);
  });

  test.each([
    ["tax on top", { subtotal: "11.70", tax: "1.17", total: "12.87" }, true, "tax_added"],
    ["tax in the prices", { subtotal: "59,96", tax: "9,57", total: "59,96" }, true, "tax_included"],
    ["a discount with a minus", { subtotal: "£8.00", discount: "-£3.50", total: "£4.50" }, true, "no_tax"],
    ["a discount without", { subtotal: "8.00", discount: "3.50", total: "4.50" }, true, "no_tax"],
    [
      "a discount taken off before",
      { subtotal: "4.50", discount: "3.50", total: "4.50" },
      true,
      "no_tax_discount_applied",
    ],
    ["both", { subtotal: "10.00", tax: "0.60", discount: "2.00", total: "8.60" }, true, "tax_added"],
    ["nothing between", { subtotal: "29,000", total: "29,000" }, true, "no_tax"],
    ["a refund", { subtotal: "-5.00", tax: "-0.30", total: "-5.30" }, true, "tax_added"],
    ["a digit misread", { subtotal: "11.70", tax: "1.17", total: "12.37" }, false, "tax_added"],
    ["a part missing", { subtotal: "108,000", tax: "11,394", total: "125,434" }, false, "tax_added"],
  ])("%s", (_, given, ok, variant) => {
    expect(fields(given)).toMatchObject([{ id: "total_is_sum_of_parts", ok, variant }]);
  });

  test("is left out when a value is not printed or cannot be read", () => {
    expect(fields({ total: "12.00", tax: "1.00" })).toEqual([]);
    expect(fields({ subtotal: "12.00", tax: "1.00" })).toEqual([]);
    expect(fields({ subtotal: "12.00", tax: "l.oo", total: "13.00" })).toEqual([]);
  });

  test.each([
    ["the currency's cash rounding", { subtotal: "RM 53.53", total: "RM 53.55" }, "0.05", "currency"],
    ["a cent a part without one", { subtotal: "53.53", tax: "1.00", total: "54.53" }, "0.02", "precision"],
    ["Sweden's krona", { subtotal: "12,40 SEK", total: "12,00 SEK" }, "1", "currency"],
    [
      "one unit a part in whole amounts below 10,000",
      { subtotal: "9.500", tax: "450", total: "9.950" },
      "2",
      "precision",
    ],
    [
      "a known currency without cash rounding",
      { subtotal: "¥12,000 JPY", total: "¥12,000 JPY" },
      "1",
      "precision",
    ],
  ])("tolerates %s", (_, given, tolerance, from) => {
    expect(fields(given)).toMatchObject([{ ok: true, tolerance, tolerance_from: from }]);
  });

  test("a printed rounding is a part of the sum, and leaves no room for another", () => {
    const totals = { subtotal: "37.55", tax: "2.08", rounding: "0.02", total: "RM 39.65" };
    const [check] = checksOf("receipt_v1", { currency: "RM", totals });
    expect(check).toMatchObject({
      ok: true,
      expected: "39.65",
      tolerance: "0.03",
      tolerance_from: "precision",
    });
    const [off] = checksOf("receipt_v1", { currency: "RM", totals: { ...totals, total: "RM 39.70" } });
    expect(off).toMatchObject({ ok: false });
  });
});

describe("cash minus total is change", () => {
  test.each([
    ["paid in cash", { total: "16.500", cash: "50.500", change: "34.000" }, true],
    ["change printed with a minus", { total: "334,000", cash: "350,000", change: "-16,000" }, true],
    ["exact money", { total: "29,000", cash: "29,000", change: "0" }, true],
    ["a card paid a part", { total: "30.00", cash: "20.00", card: "15.00", change: "5.00" }, true],
    [
      "the cash is the change of a card",
      { total: "30.00", cash: "50.00", card: "30.00", change: "20.00" },
      true,
    ],
    ["a digit misread", { total: "16.500", cash: "50.500", change: "31.000" }, false],
  ])("%s", (_, given, ok) => {
    expect(fields(given)).toMatchObject([{ id: "cash_minus_total_is_change", ok }]);
  });

  test("is left out without change", () => {
    expect(fields({ total: "16.500", cash: "50.500" })).toEqual([]);
  });
});

describe("the rows", () => {
  const item = (price: string | null, quantity: string | null = null, unit_price: string | null = null) => ({
    name: "x",
    quantity,
    unit_price,
    price,
  });
  const receipt = (items: unknown[], totals: Record<string, string> = {}) =>
    checksOf("receipt_v1", { items, totals });

  test.each([
    ["add up to the subtotal", ["2.00", "3.50"], { subtotal: "5.50" }, true, "subtotal"],
    [
      "add up to it after a discount",
      ["2.00", "3.50"],
      { subtotal: "4.50", discount: "-1.00" },
      true,
      "subtotal_after_discount",
    ],
    [
      "are gross where the subtotal is net",
      ["2.00", "3.35"],
      { subtotal: "5.00", tax: "0.35" },
      true,
      "subtotal_before_tax",
    ],
    ["count nothing without a price", ["2.00", null, "3.50"], { subtotal: "5.50" }, true, "subtotal"],
    ["are compared as they are, returns included", ["2.00", "-0.25"], { subtotal: "1.75" }, true, "subtotal"],
    ["miss one", ["2.00"], { subtotal: "5.50" }, false, "subtotal"],
  ])("%s", (_, prices, totals, ok, variant) => {
    expect(
      receipt(
        prices.map((price) => item(price)),
        totals,
      ),
    ).toMatchObject([{ id: "items_sum_is_subtotal", ok, variant }]);
  });

  test("add up to the total where no subtotal is printed", () => {
    expect(receipt([item("2,00"), item("5,16")], { total: "7,16", tax: "0,47" })).toMatchObject([
      { id: "items_sum_is_total", ok: true, variant: "tax_included" },
    ]);
    expect(receipt([item("20.000")], { total: "22.000", tax: "2.000" })).toMatchObject([
      { id: "items_sum_is_total", ok: true, variant: "tax_added" },
    ]);
  });

  test("are not added up when a price cannot be read", () => {
    expect(receipt([item("2.00"), item("3.5O")], { subtotal: "5.50" })).toEqual([]);
  });

  test.each([
    ["whole", "2x", "10.000", "20.000", true],
    ["weighed", "0,456 kg", "12,99", "5,92", true],
    ["fuel", "13,77", "1,579", "21,74", true],
    ["misread", "2", "1.50", "3.10", false],
    ["off by a cent", "3", "1.99", "5.98", true],
    ["returned", "-1", "4.00", "-4.00", true],
  ])("quantity times unit price is the price: %s", (_, quantity, unitPrice, price, ok) => {
    const checks = receipt([item(price, quantity, unitPrice)]);
    expect(checks).toMatchObject([{ id: "item_price_is_quantity_times_unit", ok }]);
    expect(checks[0]?.fields).toEqual(["items[0].quantity", "items[0].unit_price", "items[0].price"]);
  });

  test("grams are not multiplied with a price by the kilo, and an ambiguous quantity with nothing", () => {
    expect(receipt([item("5.92", "456 g", "12.99")])).toEqual([]);
    expect(receipt([item("2.000", "2.000", "1.000"), item("5.000")])).toEqual([]);
  });
});

describe("an invoice", () => {
  test("is checked against its lines, taxes, payments and dates", () => {
    const [example] = taskOf("invoice_v1").examples;
    const checks = checksOf("invoice_v1", example?.answer as Record<string, unknown>);
    expect(checks.map(({ id, ok }) => [id, ok])).toEqual([
      ["total_is_sum_of_parts", true],
      ["items_sum_is_subtotal", true],
      ["item_price_is_quantity_times_unit", true],
      ["item_price_is_quantity_times_unit", true],
      ["taxes_sum_is_tax", true],
      ["amount_due_is_total_minus_paid", true],
      ["dates_in_order", true],
    ]);
  });

  test("is not rounded for cash: five cents are a mistake", () => {
    const given = { currency: "CHF", subtotal: "100.00", tax: "8.10", total: "108.15" };
    expect(checksOf("invoice_v1", given)).toMatchObject([
      { ok: false, tolerance: "0.02", tolerance_from: "precision" },
    ]);
  });

  test("that is due before it was written is flagged; dates that may be swapped are not judged", () => {
    expect(checksOf("invoice_v1", { invoice_date: "14.07.2031", due_date: "13.06.2031" })).toMatchObject([
      { id: "dates_in_order", ok: false, tolerance: null },
    ]);
    expect(checksOf("invoice_v1", { invoice_date: "6/10/2019", due_date: "5/9/2019" })).toEqual([]);
  });
});

describe("forms that tills commonly print raise no alarm", () => {
  const alarms = (id: string, given: Record<string, unknown>) => checksOf(id, given).filter(({ ok }) => !ok);
  const receipt = (given: Record<string, unknown>) => alarms("receipt_v1", given);
  const row = { name: "x", quantity: "1", unit_price: "19.99" };

  test("change in coins of five cents, of ten, on a paper that names no currency", () => {
    expect(fields({ total: "54.53", cash: "60.00", change: "5.45" })[0]).toMatchObject({
      ok: true,
      tolerance: "0.02",
      tolerance_from: "magnitude",
    });
    expect(fields({ total: "10.83", cash: "10.85", change: "0.00" })[0]?.ok).toBe(true);
    expect(fields({ total: "12.43", cash: "20.00", change: "7.60" })[0]?.ok).toBe(true);
    expect(fields({ total: "12.43", cash: "20.00", change: "7.65" })[0]?.ok).toBe(false);
    expect(fields({ total: "12.50", cash: "20.00", change: "7.54" })[0]?.ok).toBe(false);
    // In countries with smaller coins, change is given back to the last unit.
    expect(fields({ total: "£54.53", cash: "60.00", change: "5.45" })[0]?.ok).toBe(false);
  });

  test("cash that is handed over with a minus", () => {
    expect(fields({ total: "12.00", cash: "-20.00", change: "8.00" })[0]?.ok).toBe(true);
  });

  test("a second piece for nothing, and a price for a hundred grams that does not say so", () => {
    expect(receipt({ items: [{ ...row, price: "0.00" }], totals: { subtotal: "0.00" } })).toEqual([]);
    expect(receipt({ items: [{ name: "x", quantity: "0.236", unit_price: "2.95", price: "6.96" }] })).toEqual(
      [],
    );
    expect(
      receipt({ items: [{ name: "x", quantity: "0.236", unit_price: "2.95", price: "6.76" }] }),
    ).toHaveLength(1);
  });

  test("freight that is a line of the invoice and named below it again", () => {
    const of = (description: string, amount: string) => ({
      description,
      quantity: null,
      unit_price: null,
      tax_rate: null,
      amount,
    });
    const invoice = {
      line_items: [of("x", "100,00"), of("Versand", "4,95")],
      subtotal: "104,95",
      shipping: "4,95",
      tax: "19,94",
    };
    expect(alarms("invoice_v1", { ...invoice, total: "124,89" })).toEqual([]);
    expect(alarms("invoice_v1", { ...invoice, total: "124,39" })).toHaveLength(1);
  });

  test("a row that is taken back, with its minus at the price alone", () => {
    expect(receipt({ items: [{ ...row, price: "(19.99)" }] })).toEqual([]);
    expect(receipt({ items: [{ ...row, price: "-19.49" }] })).toHaveLength(1);
  });
});

test("nothing is thrown on results that break the schema, and a list of any length has bounded checks", () => {
  const task = taskOf("receipt_v1");
  const rows = Array.from({ length: 5000 }, () => ({
    name: "x",
    quantity: "1",
    unit_price: "1.00",
    price: "1.00",
  }));
  const hostile = JSON.parse(
    '{"__proto__":{"totals":{"total":"1.00"}},"totals":[{"total":"1.00"}],"items":{"length":1e9}}',
  );
  for (const result of [
    null,
    undefined,
    4,
    "x",
    [],
    {},
    { items: 3 },
    { items: [null, 4, []] },
    { items: rows },
    hostile,
  ]) {
    const checks = Checks.run(task, result, normalize(task.fields, result));
    expect(checks.length).toBeLessThanOrEqual(250);
    expect(Check.array().safeParse(checks).success).toBe(true);
  }
});
