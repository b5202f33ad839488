import { expect, test } from "vitest";
import type { Field } from "#core/canonical/normalize";
import * as Task from "#core/task/task";
import * as Table from "./table.ts";

const fields: Field[] = [
  { path: "date", kind: "date" },
  { path: "shop.name", kind: "text" },
  { path: "total", kind: "money" },
  { path: "items[].name", kind: "text" },
  { path: "items[].quantity", kind: "count" },
  { path: "items[].price", kind: "money" },
  { path: "taxes[].amount", kind: "money" },
];
const check = (id: string, ok: boolean, paths: string[]) => ({
  ...{ id, ok, fields: paths, expected: "1", actual: "2", tolerance: "0" },
  ...{ tolerance_from: "magnitude" as const, variant: null },
});
const item: Table.Row = {
  ...{ index: 0, custom_id: null, file: "a.png", status: "succeeded", request_id: "r~0", artifact_rel: null },
  ...{ schema_ok: true, warnings: [], error: null, attempts: 1 },
  timings_ms: { total: 0, image: 0, inference: 0, validate: 0 },
  usage: { prompt_tokens: 0, completion_tokens: 0, attempts: 1 },
  result: {
    ...{ date: "03/04/2026", shop: { name: "S" }, total: "12,50 €" },
    items: [
      { name: "TEA", quantity: "2 kg", price: "5,00" },
      { name: "CAKE", quantity: null, price: "7,50" },
    ],
    taxes: [{ amount: "1,00" }],
  },
  normalized: {
    date: { value: "2026-04-03", ambiguous: true, readings: ["2026-04-03", "2026-03-04"] },
    total: { value: "12.5", currency: "EUR", decimals: 2 },
    "items[0].quantity": { value: "2", unit: "kg" },
    "items[0].price": { value: "5", currency: "EUR", decimals: 2 },
    "items[1].price": { value: "7.5", currency: "EUR", decimals: 2, ambiguous: true },
  },
  checks: [
    check("total_is_sum_of_parts", false, ["total"]),
    check("items_sum_is_subtotal", false, ["items[].price", "subtotal"]),
    check("item_price_is_quantity_times_unit", false, ["items[1].quantity", "items[1].price"]),
    check("cash_minus_total_is_change", true, ["total"]),
  ],
};
const shown = (table: Table.Table | undefined, row = item) =>
  table?.entriesOf(row).map((entry) =>
    Object.fromEntries(
      table.columns.flatMap((column) => {
        const value = column.valueOf(entry);
        return value === undefined || value === null || value === "" ? [] : [[column.name, value]];
      }),
    ),
  );
const namesOf = (table: Table.Table | undefined) => table?.columns.map(({ name }) => name);

test("columns of canonical values come after all columns that existed before them", () => {
  expect(namesOf(Table.ofItems(fields))).toEqual([
    ...["index", "custom_id", "file", "status", "request_id", "schema_ok", "error_code", "error_message"],
    ...["date", "shop.name", "total", "warnings", "complete"],
    ...[
      "date_value",
      "total_value",
      "total_currency",
      "checks_failed",
      "ambiguous",
      "tags",
      "quality",
      "pages",
      "document",
      "model_seconds",
    ],
  ]);
  expect(shown(Table.ofItems(fields))).toEqual([
    {
      ...{ index: 0, file: "a.png", status: "succeeded", request_id: "r~0", schema_ok: true },
      ...{ date: "03/04/2026", "shop.name": "S", total: "12,50 €" },
      ...{ date_value: "2026-04-03", total_value: "12.5", total_currency: "EUR", ambiguous: "date" },
      checks_failed: "total_is_sum_of_parts items_sum_is_subtotal item_price_is_quantity_times_unit",
      model_seconds: "0.000",
    },
  ]);
});

test("a row of a list has its own canonical values and only its own checks", () => {
  expect(namesOf(Table.ofLines(fields))).toEqual([
    ...["index", "custom_id", "file", "line", "name", "quantity", "price", "complete"],
    ...[
      "quantity_value",
      "quantity_unit",
      "price_value",
      "price_currency",
      "checks_failed",
      "ambiguous",
      "tags",
      "document",
    ],
  ]);
  expect(shown(Table.ofLines(fields))).toEqual([
    {
      ...{ index: 0, file: "a.png", line: 1, name: "TEA", quantity: "2 kg", price: "5,00" },
      ...{ quantity_value: "2", quantity_unit: "kg", price_value: "5", price_currency: "EUR" },
    },
    {
      ...{ index: 0, file: "a.png", line: 2, name: "CAKE", price: "7,50" },
      ...{ price_value: "7.5", price_currency: "EUR", ambiguous: "price" },
      checks_failed: "item_price_is_quantity_times_unit",
    },
  ]);
  expect(Table.ofLines([{ path: "total", kind: "money" }])).toBeUndefined();
});

test("the table of printed values is as it was; the table of canonical values leaves out the printed ones that they replace", () => {
  expect(namesOf(Table.ofItems(fields, "printed"))?.slice(8)).toEqual([
    ...["date", "shop.name", "total", "warnings", "complete"],
  ]);
  expect(namesOf(Table.ofItems(fields, "canonical"))?.slice(8)).toEqual([
    ...["shop.name", "warnings", "complete"],
    ...[
      "date_value",
      "total_value",
      "total_currency",
      "checks_failed",
      "ambiguous",
      "tags",
      "quality",
      "pages",
      "document",
      "model_seconds",
    ],
  ]);
});

test("a field with the name of another column gets a column of its own", () => {
  const names = namesOf(
    Table.ofItems([
      ...(["status", "checks_failed", "total_value"] as const).map((path) => ({
        path,
        kind: "text" as const,
      })),
      { path: "total", kind: "money" },
    ]),
  );
  expect(names?.slice(8)).toEqual([
    ...["result.status", "checks_failed", "total_value", "total", "warnings", "complete"],
    ...[
      "canonical.total_value",
      "total_currency",
      "canonical.checks_failed",
      "ambiguous",
      "tags",
      "quality",
      "pages",
      "document",
      "model_seconds",
    ],
  ]);
  expect(new Set(names).size).toBe(names?.length);
  for (const task of Task.list())
    for (const table of [Table.ofItems(task.fields), Table.ofLines(task.fields)])
      expect(new Set(namesOf(table)).size, task.id).toBe(table?.columns.length ?? 0);
});

test("an item of an older server, or one without a result, has empty cells", () => {
  const { normalized, checks, ...older } = item;
  for (const row of [older, { ...item, result: null, normalized: null, checks: null }]) {
    const [cells] = shown(Table.ofItems(fields), row) ?? [];
    expect(Object.keys(cells ?? {}).filter((name) => /_value|_currency|checks|ambiguous/.test(name))).toEqual(
      [],
    );
  }
  expect(Table.ofLines(fields)?.entriesOf({ ...item, result: { items: "none" } })).toEqual([]);
});
