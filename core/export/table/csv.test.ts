import { expect, test } from "vitest";
import type { Item } from "#core/run/schema";
import * as Csv from "./csv.ts";
import * as Table from "./table.ts";

const { records } = Csv.of(Table.ofItems([{ path: "total", kind: "text" }]));
const item: Item = {
  ...{
    index: 0,
    task_id: "receipt_v1",
    custom_id: null,
    file: null,
    tags: null,
    status: "succeeded",
    request_id: "a~0",
    artifact_rel: null,
  },
  ...{ result: null, schema_ok: true, warnings: [], pages: null, error: null, attempts: 1 },
  ...{ schema_errors: [], normalized: {}, checks: [] },
  ...{ model: "m", prompt_sha256: "p", schema_sha256: "s", image_sha256: "i" },
  timings_ms: { total: 0, image: 0, inference: 1_250, validate: 0 },
  usage: { prompt_tokens: 0, completion_tokens: 0, attempts: 1 },
};
/** The cell of a value, without the quotes around it. */
const cell = (total: unknown) => {
  const [, quoted, plain] =
    /,(?:"((?:[^"]|"")*)"|([^",]*)),,,,,,,,,1\.250\n$/.exec(records({ ...item, result: { total } })) ?? [];
  return (quoted ?? plain)?.replaceAll('""', '"');
};

test.each([
  "-2,84",
  "-5.00",
  "+1",
  "-1.234,56",
  "-1'000.00",
  "-1 234,50",
  "-1\u00a0234,50 €",
  "- 5.00",
  "-$5.00",
  "-€ 5",
  "-USD 5.00",
  "-5.00 EUR",
  "-5kr.",
  "-10%",
  "-10 %",
  "5.00-",
  "12,50",
])("the printed number %j stays as it is", (text) => {
  expect(cell(text)).toBe(text);
});

test.each([
  "=1",
  "=-5.00",
  "@5",
  "\t-5",
  "\r-5",
  "-",
  "+",
  "--5",
  "-+5",
  "-1+1",
  "-1-1",
  "-1*2",
  "-1/2",
  "-1^2",
  "-(1)",
  "-1+1|cmd",
  "-5|cmd",
  "-1!A1",
  "-A1",
  "-EUR5",
  "-AB12",
  "-5 A1",
  "-5:B2",
  "-PI()",
  "-5;1",
  '-5"',
  "-5&A1",
  "＝1",
  "＋5",
  "－5",
  "＠5",
])("%j is made safe", (text) => {
  expect(cell(text)).toBe(`'${text}`);
});

test.each([
  ["Tea; =1+1", "Tea; '=1+1"],
  ["Tea;=1+1", "Tea;'=1+1"],
  ["Tea\t@SUM(A1)", "Tea\t'@SUM(A1)"],
  ["Tea,+cmd", "Tea,'+cmd"],
  ["Tea|=1", "Tea|'=1"],
  ['Tea;"=1+1"', `Tea;"'=1+1"`],
  ["-5\n=1", "'-5\n'=1"],
  ["Tea\r\n=1", "Tea\r\n'=1"],
  ["\t=1", "'\t'=1"],
  [" =1", " '=1"],
  ["Tea;＝1", "Tea;'＝1"],
])("%j is made safe for a spreadsheet that splits at another separator", (text, expected) => {
  expect(cell(text)).toBe(expected);
});

test.each(["Milk, -5.00", "Main St 5, +49 30 1234", "A=B", "a-b; c-d", "2+2", "x@y.example", "'=1"])(
  "%j begins no formula anywhere and stays as it is printed",
  (text) => {
    expect(cell(text)).toBe(text);
  },
);

test("the tags of an item are one cell, as JSON; results of an older version have none", () => {
  const tags = { store: 'nine, "red"', till: "3" };
  expect(records({ ...item, tags })).toMatch(
    /,"\{""store"":""nine, \\""red\\"""",""till"":""3""\}",,,,1\.250\n$/,
  );
  const { tags: _, ...older } = item;
  expect(records(older)).toBe(records(item));
});

test("the quality of an item's picture is one cell: ok, or each fault; empty if the picture was not checked", () => {
  const reasons = ["blurred", "dark"] as const;
  expect(records({ ...item, quality: { ok: false, reasons: [...reasons] } })).toMatch(
    /,blurred dark,,,1\.250\n$/,
  );
  expect(records({ ...item, quality: { ok: true, reasons: [] } })).toMatch(/,ok,,,1\.250\n$/);
  expect(records({ ...item, quality: null })).toBe(records(item));
});

test("a NUL, at which readers end a text, is shown instead of written", () => {
  expect(cell("5.00\u0000=1")).toBe("5.00\ufffd=1");
});

test("the time for a long text that is almost a number grows only with its length", () => {
  const startedAt = Date.now();
  expect(cell(`-${"1 ".repeat(500_000)}!`)).toMatch(/^'/);
  expect(Date.now() - startedAt).toBeLessThan(1_000);
});

test("a text that a caller chose is never an amount: a file name that looks like one is made safe", () => {
  const row = records({ ...item, custom_id: "-5.00", file: "-5.jpg", result: { total: "-5.00" } });
  expect(row).toBe("0,'-5.00,'-5.jpg,succeeded,a~0,true,,,-5.00,,,,,,,,,1.250\n");
});

test("rows of a result that does not end are marked, in both tables; those of a whole one are not", () => {
  const fields = ["shop", "items[].name"].map((path) => ({ path, kind: "text" as const }));
  const result = { shop: "S", items: [{ name: "TEA" }, { name: "CAKE" }] };
  const error = { code: "answer_too_long", message: "m" } as const;
  const cut: Item = { ...item, status: "failed", schema_ok: null, complete: false, error, result };
  const table = Csv.of(Table.ofItems(fields));
  expect(table.header).toMatch(
    /,shop,warnings,complete,checks_failed,ambiguous,tags,quality,pages,document,model_seconds\n$/,
  );
  expect(table.records(cut)).toBe("0,,,failed,a~0,,answer_too_long,m,S,,false,,,,,,,1.250\n");
  const rows = Table.ofLines(fields);
  const lines = rows && Csv.of(rows);
  expect(lines?.header).toBe(
    "index,custom_id,file,line,name,complete,checks_failed,ambiguous,tags,document\n",
  );
  expect(lines?.records(cut)).toBe("0,,,1,TEA,false,,,,\n0,,,2,CAKE,false,,,,\n");
  expect(lines?.records({ ...item, result })).toBe("0,,,1,TEA,,,,,\n0,,,2,CAKE,,,,,\n");
});

test("a file of several documents has a row for each in both tables, with its number; the printed table has the rows alone", () => {
  const fields = ["shop", "items[].name"].map((path) => ({ path, kind: "text" as const }));
  const part = {
    ...{ pages: [1], status: "succeeded" as const, schema_ok: true, schema_errors: [] },
    ...{ normalized: {}, checks: [], warnings: [], quality: null, usage: item.usage },
  };
  const failed = { code: "invalid_model_output", message: "m" } as const;
  const documents: Item["documents"] = [
    { ...part, result: { shop: "A", items: [{ name: "TEA" }] } },
    { ...part, result: { shop: "B", items: [{ name: "CAKE" }, { name: "PIE" }] } },
    { ...part, status: "failed", schema_ok: null, result: null, error: failed },
  ];
  const split: Item = { ...item, file: "a.jpg", documents };
  expect(Csv.of(Table.ofItems(fields)).records(split)).toBe(
    [
      "0,,a.jpg,succeeded,a~0,true,,,A,,,,,,,1,1,1.250\n",
      "0,,a.jpg,succeeded,a~0,true,,,B,,,,,,,1,2,\n",
      "0,,a.jpg,failed,a~0,,invalid_model_output,m,,,,,,,,1,3,\n",
    ].join(""),
  );
  const rows = Table.ofLines(fields);
  expect(rows && Csv.of(rows).records(split)).toBe(
    "0,,a.jpg,1,TEA,,,,,1\n0,,a.jpg,1,CAKE,,,,,2\n0,,a.jpg,2,PIE,,,,,2\n",
  );
  expect(Csv.of(Table.ofItems(fields, "printed")).records(split).split("\n")).toHaveLength(4);
});
