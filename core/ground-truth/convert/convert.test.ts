import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as Task from "#core/task/task";
import * as GroundTruthRecord from "../record.ts";
import type { Options } from "./converted.ts";
import * as Cord from "./cord.ts";
import * as Csv from "./csv.ts";
import * as Project from "./project.ts";
import * as ReceiptBench from "./receiptbench.ts";
import * as Sroie from "./sroie.ts";

const options: Options = { absent: false, extension: "jpg" };
const labelsOf = (fields: object) => {
  const { record, issues } = GroundTruthRecord.parse({ fields }, { index: 0 });
  if (record === undefined) throw new Error(JSON.stringify(issues));
  return GroundTruthRecord.plainMembers(record.labels);
};

describe("CORD", () => {
  const parse = {
    menu: [
      { nm: ["Nasi", "Goreng"], cnt: "1 x", price: "75,000", sub: { nm: "Pedas" } },
      { nm: "Teh", unitprice: "5,000", price: "10,000" },
    ],
    sub_total: { subtotal_price: "85,000", tax_price: "8,500", etc: "1" },
    total: { total_price: "93,500", cashprice: "100,000", changeprice: "6,500", menuqty_cnt: "3" },
  };
  const fields = {
    items: [
      { name: "Nasi Goreng", quantity: "1 x", price: "75,000" },
      { name: "Teh", unit_price: "5,000", price: "10,000" },
    ],
    "totals.subtotal": "85,000",
    "totals.tax": "8,500",
    "totals.total": "93,500",
    "payment.cash": "100,000",
    "payment.change": "6,500",
  };
  const left = ["sub_total.etc", "total.menuqty_cnt", "menu.sub"];

  test("is read in its own files, in Donut's metadata, and as records", () => {
    const ground_truth = JSON.stringify({ gt_parse: parse, meta: { version: "2.0.0" }, valid_line: [] });
    const line = JSON.stringify({ file_name: "a.png", ground_truth });
    const both = Cord.read({ name: "metadata.jsonl", text: `${line}\n${line}\n` }, options);
    expect(both).toEqual([
      { file: "a.png", fields, left },
      { file: "a.png", fields, left },
    ]);
    for (const given of [ground_truth, JSON.stringify(parse)].slice(1))
      expect(Cord.read({ name: "x.y.json", text: given }, options)).toEqual([
        { file: "x.y.jpg", fields, left },
      ]);
    const records = JSON.stringify([{ file: "b.jpg", fields: parse, note: "n" }]);
    expect(Cord.read({ name: "gt.json", text: records }, options)).toEqual([{ file: "b.jpg", fields, left }]);
  });

  test("one row may be an object, and what is not printed is absent where that is asked for", () => {
    const text = JSON.stringify({ gt_parse: { menu: { nm: "Teh" }, total: { total_price: "1" } } });
    const [record] = Cord.read({ name: "a.json", text }, { ...options, absent: true });
    expect(record?.fields).toMatchObject({
      items: [{ name: "Teh", quantity: null, unit_price: null, price: null }],
      "totals.tax": null,
      "totals.total": "1",
    });
  });

  test("is written back as it was, without what is absent", () => {
    const {
      sub_total: { etc: _, ...sub_total },
      total: { menuqty_cnt: __, ...total },
    } = parse;
    const [first, second] = parse.menu;
    const { sub: ___, ...plain } = first ?? {};
    const menu = [{ ...plain, nm: "Nasi Goreng" }, second];
    expect(Cord.write({ ...labelsOf(fields), date: "x", merchant: null })).toEqual({
      menu,
      sub_total,
      total,
    });
    const [again] = Cord.read({ name: "m.jsonl", text: Cord.line("a.png", labelsOf(fields)) }, options);
    expect(again).toEqual({ file: "a.png", fields, left: [] });
  });

  test.each(["{", "[1]", '{"a":1}'])("an invalid one is refused: %s", (text) => {
    expect(() => Cord.read({ name: "x.json", text }, options)).toThrow(/^x\.json/);
  });
});

test("SROIE's key files are read, by the name of their picture", () => {
  const text = `{"company": "A SDN BHD", "date": "14/03/2018", "address": "", "total": "RM5.00"}`;
  expect(Sroie.read({ name: "X510.txt", text }, { ...options, extension: ".png" })).toEqual([
    {
      file: "X510.png",
      fields: {
        "merchant.name": "A SDN BHD",
        date: "14/03/2018",
        "merchant.address": "",
        "totals.total": "RM5.00",
      },
      left: [],
    },
  ]);
  expect(() => Sroie.read({ name: "x.txt", text: "{}" }, options)).toThrow(/has none of SROIE's/);
});

test("ReceiptBench's files are read: values or contents, both ways to write an amount or a date, empty as absent", () => {
  const file = {
    seller_name: { content: "SHOP", coord: [1, 2, 3, 4] },
    seller_address: "",
    orig_total: { content: "$1,234.50" },
    std_total: 1234.5,
    orig_curr: ["$"],
    std_curr: "USD",
    orig_invoice_time: "24 Mar 2024 12:30",
    std_invoice_time: "2024-03-24 12:30:00",
    type: "dining",
    detail: { content: [{ name: "TEA", amount: { content: "1.00" }, colour: "red" }] },
  };
  const [record] = ReceiptBench.read({ name: "1.json", text: JSON.stringify(file) }, options);
  expect(record).toEqual({
    file: "1.jpg",
    fields: {
      "merchant.name": "SHOP",
      "merchant.address": "",
      "totals.total": { any: ["$1,234.50", 1234.5] },
      currency: { any: ["$", "USD"] },
      date: "2024-03-24",
      time: "12:30:00",
      items: [{ name: "TEA", price: "1.00" }],
    },
    left: ["type", "detail.colour"],
  });
  const empty = { orig_total: "", std_total: 0, seller_name: null, detail: [] };
  const [none] = ReceiptBench.read({ name: "2.json", text: JSON.stringify(empty) }, options);
  expect(none?.fields).toEqual({ "totals.total": null, "merchant.name": null, items: [] });
});

describe("a CSV", () => {
  const csv = (text: string, more: Partial<Options> = {}) =>
    Csv.read({ name: "t.csv", text }, { ...options, imageKey: "file", ...more }).map(({ file, fields }) => [
      file,
      fields,
    ]);

  test("has a column with the picture and columns named by paths; an empty cell is not scored", () => {
    const text =
      '\ufefffile;totals.total;date\r\na.jpg;"1.234,50";\r\nb.jpg;?;"{""any"":[""1.2."",""01.02.""]}"\r\n';
    expect(csv(text)).toEqual([
      ["a.jpg", { "totals.total": "1.234,50" }],
      ["b.jpg", { "totals.total": "?", date: { any: ["1.2.", "01.02."] } }],
    ]);
    expect(csv("file,total\na.jpg,\n", { absent: true })).toEqual([["a.jpg", { total: null }]]);
  });

  test("may have a row a line item", () => {
    const text = "file,total,items[].name,items[].price\na,3,TEA,1\n,,CAKE,2\nb,5,,\n";
    expect(csv(text)).toEqual([
      [
        "a",
        {
          total: "3",
          items: [
            { name: "TEA", price: "1" },
            { name: "CAKE", price: "2" },
          ],
        },
      ],
      ["b", { total: "5" }],
    ]);
  });

  test("without the column, or broken, is refused", () => {
    expect(() => csv("a,b\n1,2\n")).toThrow('t.csv: has no column "file" that names the picture');
    expect(() => csv('file,b\n"1,2\n')).toThrow(/is not CSV from line/);
  });
});

test("labels go to another task's fields of the same name, and labels without such a field are reported", () => {
  const fields = {
    "totals.total": "1",
    "payment.cash": "2",
    date: "x",
    items: [{ name: "TEA", price: "1", code: "7" }],
  };
  const to = (id: string) => Project.project(fields, Task.get(id)?.fields ?? []);
  expect(to("receipt_fields_v2")).toEqual({ fields: { total: "1", cash: "2" }, left: ["date", "items"] });
  expect(to("items_light_v1")).toEqual({
    fields: { items: [{ name: "TEA", price: "1" }] },
    left: ["totals.total", "payment.cash", "date"],
  });
  expect(to("receipt_v1").left).toEqual([]);
});

/** Receipts that people labeled; not part of the repository. */
const gt = join(import.meta.dirname, "..", "..", "..", "..", "shared", "data", "dev", "gt.json");

test.skipIf(!existsSync(gt))(
  "real labels of CORD and SROIE are all carried over (../shared/data/dev)",
  () => {
    const records = JSON.parse(readFileSync(gt, "utf8")) as {
      file: string;
      source_key: string;
      fields: object;
    }[];
    const cord = records.filter(({ source_key }) => source_key === "cord");
    const read = Cord.read({ name: "gt.json", text: JSON.stringify(cord) }, options);
    expect(read.map(({ file }) => file)).toEqual(cord.map(({ file }) => file));
    const receipt = Task.get("receipt_v1")?.fields ?? [];
    for (const { fields } of read) {
      expect(Object.keys(fields)).toEqual(expect.arrayContaining(["items", "totals.total"]));
      expect(Project.project(fields, receipt).left).toEqual([]);
    }
    const sroie = records.filter(({ source_key }) => source_key === "sroie");
    for (const { file, fields } of sroie) {
      const name = file.replace(/\.jpg$/, ".txt");
      const [one] = Sroie.read({ name, text: JSON.stringify(fields) }, options);
      expect(one).toMatchObject({ file, left: [] });
      expect(Object.values(one?.fields ?? {})).toEqual(Object.values(fields));
    }
    expect([cord.length, sroie.length]).toEqual([13, 14]);
  },
);
