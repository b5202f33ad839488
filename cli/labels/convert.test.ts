import { afterAll, describe, expect, test } from "vitest";
import * as BatchCli from "#test/support/batch-cli";

const cli = BatchCli.open();
afterAll(() => cli.remove());

const convert = (...args: string[]) => cli.run(["gt", "convert", ...args]);

describe("ocrlty gt convert", () => {
  const records = [
    { file: "a.jpg", note: "creased", fields: { date: "1.2.", "totals.total": { any: ["1", "1.0"] } } },
    { file: "b.jpg", note: "", fields: { date: "3.4.", "merchant.name": "SHOP", "totals.total": "2" } },
  ];

  test("reports which fields and how many values have no place in the target, on stderr and as JSON", async () => {
    cli.file("labels.json", JSON.stringify(records));
    const cord = await convert("records", "labels.json", "--to", "cord", "--out", "cord.jsonl", "--json");
    expect(cord.status, cord.stderr).toBe(0);
    expect(JSON.parse(cord.stdout)).toEqual({
      ...{ files: 1, records: 2 },
      left_out: {
        date: { values: 2, records: 2 },
        "totals.total (further accepted values)": { values: 1, records: 1 },
        "merchant.name": { values: 1, records: 1 },
      },
      remarks_left_out: { note: { values: 1, records: 1 } },
      ...{ duplicates: [], duplicate_count: 0 },
    });
    expect(cord.stderr.trimEnd().split("\n")).toEqual([
      "left out, because they have no place there: 4 values",
      "  date: 2 (in 2 records)",
      "  totals.total (further accepted values): 1 (in 1 record)",
      "  merchant.name: 1 (in 1 record)",
      "left out as well, since they are no labels: 1 remark",
      "  note: 1 (in 1 record)",
    ]);
    const back = await convert("cord", "cord.jsonl", "--task", "receipt_fields_v2");
    expect(back.stdout).toBe(
      '{"file":"a.jpg","fields":{"total":"1"}}\n{"file":"b.jpg","fields":{"total":"2"}}\n',
    );
    expect(back.stderr).toBe("2 records of 1 file\n");
  });

  test("keeps remarks, and counts the labels that another task does not have", async () => {
    cli.file("labels.json", JSON.stringify(records));
    const other = await convert("records", "labels.json", "--task", "receipt_fields_v2", "--out", "o.jsonl");
    expect([other.status, other.stdout]).toEqual([0, "2 records of 1 file\n"]);
    expect(other.stderr).toContain("  date: 2 (in 2 records)\n");
    expect(JSON.parse(cli.read("o.jsonl").split("\n")[0] ?? "")).toMatchObject({
      file: "a.jpg",
      note: "creased",
    });
  });

  test("writes labels of a task with other names in CORD's, which are read back as that task's", async () => {
    const fields = { total: "9", subtotal: "8", cash: "10", card: null };
    cli.file("flat.jsonl", JSON.stringify({ file: "a.jpg", fields }));
    const to = ["records", "flat.jsonl", "--to", "cord", "--task", "receipt_fields_v1"];
    const cord = await convert(...to, "--out", "flat-cord.jsonl");
    expect([cord.status, cord.stderr]).toEqual([0, ""]);
    const line = JSON.parse(cli.read("flat-cord.jsonl")) as { ground_truth: string };
    expect(JSON.parse(line.ground_truth).gt_parse).toEqual({
      sub_total: { subtotal_price: "8" },
      total: { total_price: "9", cashprice: "10" },
    });
    const back = await convert("cord", "flat-cord.jsonl", "--task", "receipt_fields_v1");
    expect(JSON.parse(back.stdout).fields).toEqual({ total: "9", subtotal: "8", cash: "10" });
  });

  test("reports names that several records have, also across files", async () => {
    cli.file("one.csv", "file,totals.total\na.jpg,1\nb.jpg,1\n");
    cli.file("more.csv", "file,totals.total\n./a.jpg,2\nb.jpg#2,1\n");
    const { status, stderr, stdout } = await convert(
      "csv",
      "one.csv",
      "more.csv",
      "--out",
      "both.jsonl",
      "--json",
    );
    expect([status, stderr]).toEqual([
      0,
      "1 name has several records, of which none is used (duplicate): a.jpg\n",
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ records: 4, duplicates: ["a.jpg"], duplicate_count: 1 });
  });

  test("lists the first of many mistakes and counts the others, and writes no file", async () => {
    cli.file("wrong.csv", `file,total,total\n${"a.jpg,1\n".repeat(3)}`);
    const doubled = await convert("csv", "wrong.csv", "--out", "w.jsonl");
    expect([doubled.status, doubled.stderr]).toEqual([
      2,
      'error: wrong.csv: columns 2 and 3 have the same name, "total"\n',
    ]);
    cli.file("short.csv", `file,total\n${"a.jpg\n".repeat(30)}`);
    const short = await convert("csv", "short.csv", "--out", "w.jsonl");
    expect(short.stderr).toMatch(
      /^error: short\.csv has 30 mistakes:\n {2}line 2: has 1 cells[\s\S]*line 21: [^\n]*\n {2}… and 10 more\n$/,
    );
    expect(() => cli.read("w.jsonl")).toThrow();
  });

  test("never writes over the labels that it reads, and not over others without --force", async () => {
    const text = JSON.stringify(records);
    cli.file("labels.json", text);
    cli.file("other.jsonl", "corrected by hand");
    const own = await convert("records", "labels.json", "--force", "--out", "labels.json");
    expect([own.status, own.stderr, cli.read("labels.json")]).toEqual([
      ...[2, "error: labels.json is a file that this command reads: name another one\n", text],
    ]);
    const other = await convert("records", "labels.json", "--out", "other.jsonl");
    expect([other.status, cli.read("other.jsonl")]).toEqual([2, "corrected by hand"]);
    expect((await convert("records", "labels.json", "--force", "--out", "other.jsonl")).status).toBe(0);
    expect(cli.read("other.jsonl")).toContain("a.jpg");
  });

  test("refuses options that have no meaning for the format, and a record without a picture for CORD", async () => {
    cli.file("labels.json", '[{"totals.total":"1"},{"file":"a.jpg","totals.total":"1"}]');
    const refusals = [
      ["sroie", "labels.json", "--image-key", "img"],
      ["csv", "labels.json", "--extension", "png"],
      ["records", "labels.json", "--absent"],
      ["records", "labels.json", "--json"],
      ["records", "labels.json", "--to", "cord"],
    ];
    for (const args of refusals) {
      const { status, stderr } = await convert(...args);
      expect([status, stderr], args.join(" ")).toEqual([2, expect.stringMatching(/^error: /)]);
    }
  });
});
