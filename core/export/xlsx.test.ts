import { strFromU8, unzipSync } from "fflate";
import { type CellValue, readXlsx } from "hucre/xlsx";
import { expect, test } from "vitest";
import type { Field } from "#core/canonical/normalize";
import * as Cells from "#core/export/table/cells";
import * as Xlsx from "#core/export/table/xlsx";
import type { Item } from "#core/run/schema";

const fields: Field[] = [
  { path: "day", kind: "date" },
  { path: "shop", kind: "text" },
  { path: "total", kind: "money" },
  { path: "items[].name", kind: "text" },
  { path: "items[].price", kind: "money" },
];
const item = (index: number, more: Partial<Item> = {}): Item => ({
  ...{
    index,
    task_id: "t",
    custom_id: null,
    file: `${index}.png`,
    tags: null,
    status: "succeeded",
    request_id: `r~${index}`,
  },
  ...{ artifact_rel: null, schema_ok: true, schema_errors: [], warnings: [], error: null },
  ...{ pages: 1, attempts: 1 },
  ...{ model: "m", prompt_sha256: "p", schema_sha256: "s", image_sha256: "i", checks: [] },
  timings_ms: { total: 0, image: 0, inference: 0, validate: 0 },
  usage: { prompt_tokens: 0, completion_tokens: 0, attempts: 1 },
  ...{ result: null, normalized: {} },
  ...more,
});

async function bytesOf(items: readonly Item[], options: Parameters<typeof Xlsx.make>[1] = {}) {
  async function* each() {
    yield* items;
  }
  const notes: string[] = [];
  const run = { runId: "r", taskId: "t", createdAt: new Date("2026-01-01T00:00:00Z") };
  const source = { run, fields, items: each(), shown: "both", mapping: undefined } as const;
  const pieces: Uint8Array[] = [];
  for await (const piece of Xlsx.make(
    { ...source, note: (what) => void notes.push(what), leaveOut: () => undefined },
    options,
  ))
    pieces.push(piece);
  return { bytes: Buffer.concat(pieces), notes };
}
type Sheet = Awaited<ReturnType<typeof readXlsx>>["sheets"][number];
/** A sheet's records below its header. */
function records(sheet: Sheet | undefined): Record<string, CellValue>[] {
  const [header = [], ...rows] = sheet?.rows ?? [];
  return rows.map((row) => Object.fromEntries(header.map((name, i) => [String(name), row[i] ?? null])));
}

const texts = [
  ...["=1+1", '=HYPERLINK("x")', "+1", "-2+3", "@x", "'=1", "1.234,56", "007", "TRUE", "2026-01-01"],
  ...["BOX_x0031_A", "_x005F_x0031_", "_xZZZZ_", "a\tb\nc", "line\r\nend", "\u0007bell", " two  spaces "],
  ...["<b>&amp;</b>", "日本 😀", "\ufffe"],
];

test("a text comes back as the same text, whatever it looks like, and there is no formula", async () => {
  const { bytes } = await bytesOf(texts.map((shop, i) => item(i, { result: { shop } })));
  const [documents] = (await readXlsx(bytes)).sheets;
  expect(records(documents).map(({ shop }) => shop)).toEqual(texts);
  const parts = Object.entries(unzipSync(bytes)).map(([name, part]) => [name, strFromU8(part)] as const);
  for (const [name, xml] of parts) expect(xml, name).not.toMatch(/<f[ >]/);
  const sheet = parts.find(([name]) => name === "xl/worksheets/sheet1.xml")?.[1];
  // Every text is also marked as a text in the file, so that no program guesses its type.
  expect(sheet?.match(/t="inlineStr"/g)?.length).toBeGreaterThan(texts.length);
});

test("NUL and half a character, which no cell holds, are shown as such", async () => {
  const { bytes } = await bytesOf([item(0, { result: { shop: "a\0b\ud800" } })]);
  expect(records((await readXlsx(bytes)).sheets[0])[0]?.shop).toBe("a\ufffdb\ufffd");
});

test("amounts are numbers with the printed decimals, days are days, and rows have a sheet of their own", async () => {
  const result = {
    ...{ day: "31.12.26", total: "1.234,50 €" },
    items: [
      { name: "TEA", price: "1.234,50" },
      { name: "CAKE", price: null },
    ],
  };
  const normalized = {
    ...{ day: { value: "2026-12-31" }, total: { value: "1234.5", currency: "EUR", decimals: 2 } },
    "items[0].price": { value: "-1234.5", currency: "EUR", decimals: 0 },
  };
  const { bytes } = await bytesOf([item(0, { result, normalized })]);
  const { sheets } = await readXlsx(bytes, { readStyles: true });
  const [documents, lines] = sheets;
  expect(sheets.map(({ name }) => name)).toEqual(["documents", "line_items"]);
  expect(records(documents)).toEqual([
    expect.objectContaining({
      ...{ index: 0, schema_ok: true, day: "31.12.26", total: "1.234,50 €" },
      ...{ day_value: new Date("2026-12-31T00:00:00Z"), total_value: 1234.5, total_currency: "EUR" },
    }),
  ]);
  expect(records(lines).map(({ line, name, price_value }) => [line, name, price_value])).toEqual([
    [1, "TEA", -1234.5],
    [2, "CAKE", null],
  ]);
  const formats = (sheet: Sheet | undefined) =>
    [...(sheet?.cells?.values() ?? [])].flatMap(({ value, style }) =>
      typeof value === "number" || value instanceof Date ? [style?.numFmt] : [],
    );
  expect(formats(documents)).toEqual(expect.arrayContaining(["#,##0.00", "yyyy\\-mm\\-dd"]));
  expect(formats(lines)).toContain("#,##0");
});

test("a number with more digits than a spreadsheet keeps, and a day that it counts wrong, stay texts", () => {
  expect(Cells.number("A1", "123456789012345", 0)).toContain("<v>123456789012345</v>");
  expect(Cells.number("A1", "0.00123456789012345", undefined)).toContain("<v>0.00123456789012345</v>");
  for (const value of ["1234567890123456", "1234567890123.456", "1e5", "", "-"])
    expect(Cells.number("A1", value, 2), value).toBeUndefined();
  expect(Cells.date("A1", "1900-03-01")).toContain("<v>61</v>");
  expect(Cells.date("A1", "2024-02-29")).toContain("<v>45351</v>");
  for (const value of ["1900-02-28", "2026-02-30", "2026-13-01", "26-01-01"])
    expect(Cells.date("A1", value), value).toBeUndefined();
});

test("a text that is too long for a cell is marked as cut, and reported to the caller", async () => {
  const fits = "é".repeat(Cells.maxText);
  const { bytes, notes } = await bytesOf([
    item(0, { result: { shop: fits } }),
    item(1, { result: { shop: `${fits}!` } }),
  ]);
  const [first, second] = records((await readXlsx(bytes)).sheets[0]);
  expect(first?.shop).toBe(fits);
  expect(second?.shop).toHaveLength(Cells.maxText);
  expect(second?.shop).toMatch(/é … \(cut: these are 32768 characters, and a cell holds 32767; /);
  expect(notes).toEqual([expect.stringMatching(/^documents: the cell J3 is cut, 32768 characters/)]);
});

test("rows beyond what a sheet holds go on in another sheet, which is reported to the caller", async () => {
  const items = Array.from({ length: 5 }, (_, i) => item(i, { result: { items: [{ name: `n${i}` }] } }));
  const { bytes, notes } = await bytesOf(items, { maxRows: 3 });
  const { sheets } = await readXlsx(bytes);
  const names = sheets.filter(({ name }) => name.startsWith("line_items")).map(({ name }) => name);
  expect(names).toEqual(["line_items", "line_items_2", "line_items_3"]);
  const all = sheets.filter(({ name }) => name.startsWith("line_items")).flatMap(records);
  expect(all.map(({ name }) => name)).toEqual(["n0", "n1", "n2", "n3", "n4"]);
  expect(notes).toContain("line_items: a sheet holds 3 rows, the others are in line_items_2");
});

test("columns beyond Z have two letters; the same items give the same bytes", async () => {
  expect([0, 25, 26, 51, 52, 701, 702].map(Cells.letters)).toEqual(["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
  expect((await bytesOf([item(0)])).bytes).toEqual((await bytesOf([item(0)])).bytes);
});
