import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as Task from "#core/task/task";
import * as GroundTruthRecord from "../record.ts";
import type { ConvertError, Options } from "./converted.ts";
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
  const left = ["sub_total.etc", "total.menuqty_cnt", "menu.sub.nm"];

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
    expect(Cord.read({ name: "gt.json", text: records }, options)).toEqual([
      { file: "b.jpg", fields, left: [...left.slice(0, 2), "note", ...left.slice(2)] },
    ]);
  });

  test("lists each value that is not taken over, once for each value", () => {
    const text = JSON.stringify({
      menu: [{ nm: "Teh", sub: [{ nm: "a" }, { nm: "b", price: "1" }] }, "a text"],
      void_menu: { nm: "x", price: "2" },
      sub_total: [{ tax_price: "1" }, { tax_price: "2" }],
      subtotal: { tax_price: "3" },
      total: { creditcardprice: "4", emoneyprice: "5", total_etc: ["6", "7"] },
      date: "8",
      meta: { version: "2" },
    });
    const [record] = Cord.read({ name: "a.json", text }, options);
    expect(record?.fields).toEqual({
      items: [{ name: "Teh" }],
      "totals.tax": "1",
      "payment.card": "4",
    });
    expect(record?.left.toSorted()).toEqual(
      [
        ...["menu", "menu.sub[].nm", "menu.sub[].nm", "menu.sub[].price"],
        ...["void_menu.nm", "void_menu.price", "sub_total.tax_price", "subtotal.tax_price"],
        ...["total.emoneyprice", "total.total_etc", "date"],
      ].toSorted(),
    );
    const menu = JSON.stringify({ menu: "a text" });
    expect(Cord.read({ name: "a.json", text: menu }, options)[0]).toMatchObject({
      fields: {},
      left: ["menu"],
    });
  });

  test("cannot store labels of other fields, unreadable ones and further accepted values", () => {
    const { record } = GroundTruthRecord.parse(
      {
        fields: {
          date: "1.2.",
          "merchant.name": null,
          "totals.total": { any: ["1", "1.0", null] },
          "totals.tax": "?",
          "payment.cash": { paid: "5" },
          items: [{ name: "TEA", code: "7" }, { price: "?" }],
        },
      },
      { index: 0 },
    );
    expect(Cord.unwritten(record?.labels ?? new Map())).toEqual([
      ...["date", "totals.total (further accepted values)", "totals.total (further accepted values)"],
      ...["totals.tax (unreadable)", "payment.cash.paid"],
      ...["items[].code", "items[].price (unreadable)"],
    ]);
    expect(Cord.write(GroundTruthRecord.plainMembers(record?.labels ?? new Map()))).toEqual({
      menu: [{ nm: "TEA" }, {}],
      total: { total_price: "1" },
    });
  });

  test("with broken lines is refused with the numbers of all of them", () => {
    const line = JSON.stringify({ file_name: "a.png", ground_truth: JSON.stringify({ gt_parse: parse }) });
    const thrown = (() => {
      try {
        Cord.read({ name: "m.jsonl", text: `${line}\n\n{"a":}\n${line}\n${line.slice(0, -1)}\n` }, options);
      } catch (error) {
        return error as ConvertError;
      }
    })();
    expect(thrown?.problems).toEqual([
      "line 3 is not valid JSON at column 6: a value is missing",
      `line 5 is not valid JSON: it breaks off at column ${line.length}`,
    ]);
  });

  test("one row may be an object, and empty fields become labels 'absent' if the option asks for it", () => {
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
    left: ["orig_invoice_time", "type", "detail.colour"],
  });
  const empty = { orig_total: "", std_total: 0, seller_name: null, detail: [] };
  const [none] = ReceiptBench.read({ name: "2.json", text: JSON.stringify(empty) }, options);
  expect(none?.fields).toEqual({ "totals.total": null, "merchant.name": null, items: [] });
  const odd = {
    orig_invoice_time: "24 Mar 2024 12:30",
    total: "own",
    std_total: 1,
    detail: [{ name: "TEA", item_name: "Tea" }, "text"],
  };
  expect(ReceiptBench.read({ name: "3.json", text: JSON.stringify(odd) }, options)[0]).toMatchObject({
    fields: { "totals.total": 1, items: [{ name: "TEA" }] },
    left: ["total", "orig_invoice_time", "detail.item_name", "detail"],
  });
});

describe("a CSV", () => {
  const csv = (text: string, more: Partial<Options> = {}) =>
    Csv.read({ name: "t.csv", text }, { ...options, imageKey: "file", ...more }).map(({ file, fields }) => [
      file,
      fields,
    ]);

  const problemsOf = (text: string) => {
    try {
      return csv(text);
    } catch (error) {
      return (error as ConvertError).problems;
    }
  };

  test("has a column with the picture and columns named by paths; an empty cell is not scored", () => {
    const text =
      '\ufefffile;totals.total;date\r\na.jpg;"1.234,50";\r\nb.jpg;?;"{""any"":[""1.2."",""01.02.""]}"\r\n';
    expect(csv(text)).toEqual([
      ["a.jpg", { "totals.total": "1.234,50" }],
      ["b.jpg", { "totals.total": "?", date: { any: ["1.2.", "01.02."] } }],
    ]);
    expect(csv("file,total\na.jpg,\n", { absent: true })).toEqual([["a.jpg", { total: null }]]);
  });

  test("may have one row per line item", () => {
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
    expect(problemsOf("fil,b\n1,2\n")).toEqual(['no column "file" names the picture: did you mean `fil`?']);
    expect(problemsOf('file,b\n1,2\n"1,2\n3,4\n5,6\n')).toEqual([
      "is not CSV from line 3 on: a quote that begins there is never closed",
    ]);
    expect(problemsOf('file,b\n1,"2"3\n')).toEqual([
      'is not CSV from line 2 on: a quote within a cell is written twice (""), and the cell stands in quotes',
    ]);
    expect(problemsOf("file\na.jpg\n")).toEqual(["no column has labels"]);
    expect(problemsOf("file|total\na.jpg|1\n")).toEqual([
      'no column "file" names the picture: its only column is `file|total`',
    ]);
  });

  test("with a name that two columns have is refused, and both are named", () => {
    expect(problemsOf("file,total, total ,file\na,1,2,b\n")).toEqual([
      'columns 2 and 3 have the same name, "total"',
      'columns 1 and 4 have the same name, "file"',
    ]);
    expect(problemsOf("items[].price,file,items,a[].b[].c\n")).toEqual([
      'columns 3 and 1 label the same list: "items" and "items[].price"',
      'column 4 is called "a[].b[].c": a cell of a list is written as items[].price',
    ]);
  });

  test("with rows that do not fit its header is refused, with each line", () => {
    const text =
      '\ufefffile;total;;date\r\na.jpg;1;;x\r\n\r\nb.jpg;"1\n2";;x;y\r\nc.jpg;1\r\nd.jpg;1;lost;x\r\n;1;;\r\n;;;;\r\n';
    expect(problemsOf(text)).toEqual([
      "line 4: has 5 cells, and the header has 4",
      "line 6: has 2 cells, and the header has 4",
      "line 7: column 3 has a value, and no name in the header",
      'line 8: names no picture: "file" is empty',
    ]);
    const fits = "file,total,,\na,1,,\n,,,\nb,2,,,,\n";
    expect(csv(fits)).toEqual([
      ["a", { total: "1" }],
      ["b", { total: "2" }],
    ]);
    expect(problemsOf('file,total\na,"{""any"":[1}"\n')).toEqual([
      'line 2: total is not valid JSON at line 1, column 10: a comma is missing, or a quote within a string is not written as \\"',
    ]);
  });

  test("must have the rows of a picture next to each other: labels that would not be used are refused, with both lines", () => {
    expect(problemsOf("file,total\na.jpg,1\nb.jpg,2\n./a.jpg,1\nb.jpg,3\na.jpg#1,1\n")).toEqual([
      "line 4: is of the same picture as line 2: a picture has one row",
      "line 5: is of the same picture as line 3: a picture has one row",
      "line 6: is of the same picture as line 2: a picture has one row",
    ]);
    expect(problemsOf("file,items[].name\na,TEA\nb,PIE\na,CAKE\n,HAM\n")).toEqual([
      "line 4: is of the same picture as line 2: the rows of a picture follow one another",
    ]);
    // The second document of a picture counts as another picture; a row without an item belongs to the picture, too.
    expect(csv("file,total,items[].name\na,,TEA\na,3,\na#2,4,PIE\n")).toEqual([
      ["a", { total: "3", items: [{ name: "TEA" }] }],
      ["a#2", { total: "4", items: [{ name: "PIE" }] }],
    ]);
    expect(problemsOf("file,total,items[].name\na,1,TEA\na,2,\n")).toEqual([
      "line 3: total has another value than in an earlier row of the same picture",
    ]);
  });

  test("may separate cells by tabs and contain commas; two values for a label of one picture are refused", () => {
    expect(csv("file\ttotal, in all\na\t1,5\n")).toEqual([["a", { "total, in all": "1,5" }]]);
    expect(csv('"file";"a,b,c,d"\na;1\n')).toEqual([["a", { "a,b,c,d": "1" }]]);
    expect(problemsOf("file,total,items[].name\na,1,TEA\na,1,CAKE\na,2,PIE\n")).toEqual([
      "line 4: total has another value than in an earlier row of the same picture",
    ]);
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
  expect(to("receipt_fields_v2")).toEqual({
    fields: { total: "1", cash: "2" },
    left: ["date", "items[].name", "items[].price", "items[].code"],
  });
  expect(to("items_light_v1")).toEqual({
    fields: { items: [{ name: "TEA", price: "1" }] },
    left: ["totals.total", "payment.cash", "date", "items[].code"],
  });
  expect(to("receipt_v1").left).toEqual(["items[].code"]);
  const twice = {
    total: "1",
    "totals.total": { any: ["2", "3"] },
    cash: null,
    "payment.cash": null,
    items: null,
  };
  expect(Project.project(twice, Task.get("receipt_fields_v2")?.fields ?? [])).toEqual({
    fields: { total: "1", cash: null },
    left: ["totals.total", "payment.cash", "items"],
  });
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
