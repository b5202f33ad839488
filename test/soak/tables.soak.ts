import { execFile } from "node:child_process";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Field } from "#core/canonical/normalize";
import * as Csv from "#core/export/table/csv";
import * as Table from "#core/export/table/table";
import * as Xlsx from "#core/export/table/xlsx";
import type { Item } from "#core/run/schema";

const run = promisify(execFile);
const fields: Field[] = [
  { path: "day", kind: "date" },
  { path: "shop", kind: "text" },
  { path: "total", kind: "money" },
];

/** Reads both files with independent programs: Python's csv, openpyxl and python-calamine. */
const reader = `
import csv, json, sys
from decimal import Decimal
from openpyxl import load_workbook
from python_calamine import CalamineWorkbook
cents = lambda values: sum(round(Decimal(str(v)) * 100) for v in values if v not in (None, ""))
rows = list(csv.DictReader(open(sys.argv[1], newline="", encoding="utf-8")))
sheet = list(load_workbook(sys.argv[2], read_only=True)["documents"].iter_rows(values_only=True))
other = CalamineWorkbook.from_path(sys.argv[2]).get_sheet_by_name("documents").to_python(skip_empty_area=False)
column = lambda table, name: [row[table[0].index(name)] for row in table[1:]]
print(json.dumps({
  "rows": [len(rows), len(sheet) - 1, len(other) - 1],
  "cents": [int(cents(r["total_value"] for r in rows)), int(cents(column(sheet, "total_value"))), int(cents(column(other, "total_value")))],
  "days": [[r["day_value"] for r in rows], [str(d)[:10] for d in column(sheet, "day_value")], [str(d)[:10] for d in column(other, "day_value")]],
  "texts": column(other, "shop"),
}))`;

/** A Python with both readers, in a folder of its own; undefined without Python or a registry. */
async function python(dir: string): Promise<string | undefined> {
  try {
    await run("python3", ["-m", "venv", dir]);
    const packages = ["openpyxl==3.1.5", "python-calamine==0.9.1"];
    await run(join(dir, "bin", "pip"), ["install", "--quiet", ...packages]);
    return join(dir, "bin", "python");
  } catch {
    return undefined;
  }
}

type Drawn = [shop: string, cents: number, day: Date];

/** Texts that spreadsheets like to read as something else, amounts and days. */
function draw(count: number): Drawn[] {
  const awkward = [
    "=1+1",
    "BOX_x0031_A",
    "_x005F_",
    "a\r\nb\tc",
    " x ",
    "1e5",
    "007",
    "日本 😀",
    "<&>\u0007",
  ];
  const text = fc.oneof(fc.constantFrom(...awkward), fc.string({ unit: "grapheme", minLength: 1 }));
  const cents = fc.integer({ min: -99_999_999_999, max: 99_999_999_999 });
  const day = fc.date({ min: new Date("1900-03-01"), max: new Date("2199-12-31"), noInvalidDate: true });
  return fc.sample(fc.tuple(text, cents, day), { numRuns: count, seed: 14 });
}

function itemOf([shop, amount, at]: Drawn, index: number): Item {
  const sign = amount < 0 ? "-" : "";
  const digits = String(Math.abs(amount)).padStart(3, "0");
  const value = `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`.replace(/\.?0+$/, "");
  const total = { value: value === "-0" ? "0" : value, currency: "EUR", decimals: 2 };
  return {
    ...{
      index,
      task_id: "t",
      custom_id: null,
      file: null,
      tags: null,
      status: "succeeded",
      request_id: `r~${index}`,
    },
    ...{
      artifact_rel: null,
      result: { shop },
      schema_ok: true,
      schema_errors: [],
      checks: [],
      error: null,
    },
    ...{
      normalized: { total, day: { value: at.toISOString().slice(0, 10) } },
      warnings: [],
      pages: 1,
      attempts: 1,
    },
    ...{ model: null, prompt_sha256: null, schema_sha256: null, image_sha256: null },
    timings_ms: { total: 0, image: 0, inference: 0, validate: 0 },
    usage: { prompt_tokens: 0, completion_tokens: 0, attempts: 1 },
  };
}

test("tables of any text and amount read alike by three other programs, and their totals add up", async () => {
  const dir = await fs.mkdtemp(join(tmpdir(), "ocrlty-tables-"));
  try {
    const program = await python(join(dir, "venv"));
    if (program === undefined) {
      console.log(
        "there is no Python here, or it cannot install openpyxl and python-calamine: not tried out",
      );
      return;
    }
    const drawn = draw(5_000);
    const items = drawn.map(itemOf);
    async function* each() {
      yield* items;
    }
    const [csv, xlsx] = [join(dir, "t.csv"), join(dir, "t.xlsx")];
    await fs.writeFile(csv, Csv.stream(Table.ofItems(fields), each()));
    const about = { runId: "r", taskId: "t", createdAt: new Date("2026-01-01T00:00:00Z") };
    const source = { run: about, fields, items: each(), shown: "both", mapping: undefined } as const;
    const heard = { note: (what: string) => expect.fail(what), leaveOut: () => expect.fail("left out") };
    await fs.writeFile(xlsx, Xlsx.make({ ...source, ...heard }));

    const { stdout } = await run(program, ["-c", reader, csv, xlsx], { maxBuffer: 64 * 1024 * 1024 });
    const read = JSON.parse(stdout);
    const sum = drawn.reduce((all, [, amount]) => all + amount, 0);
    expect(read.rows).toEqual([5_000, 5_000, 5_000]);
    expect(read.cents).toEqual([sum, sum, sum]);
    const days = drawn.map(([, , at]) => at.toISOString().slice(0, 10));
    for (const column of read.days) expect(column).toEqual(days);
    expect(read.texts).toEqual(drawn.map(([shop]) => shop.replaceAll("\0", "\ufffd")));
  } finally {
    await fs.rm(dir, { recursive: true, force: true });
  }
});
