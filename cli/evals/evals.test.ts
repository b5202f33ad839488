import { parse } from "csv-parse/sync";
import { expect, test } from "vitest";
import type * as Run from "#cli/batch/run";
import type { Context } from "#cli/terminal/context";
import type { Outcome } from "#core/evaluation/compare/outcome";
import type * as Read from "#core/evaluation/read";
import type * as Wire from "#core/evaluation/wire";
import * as Bar from "./bar.ts";
import * as Show from "./show.ts";
import { tell } from "./tell.ts";

const rates = (accuracy: number | null, interval: [number, number] | null) => ({
  ...{ precision: accuracy, recall: accuracy, f1: accuracy, accuracy },
  intervals: { precision: interval, recall: interval, f1: interval, accuracy: interval },
});
const counters = {
  ...{ matched: 9, wrong: 1, missing: 0, invented: 0, abstained: 0, absent_both: 0 },
  ...{ unreadable_matched: 0, unreadable_invented: 0, scored: 10 },
};
const evaluation = {
  ...{ run_id: 'a<b>"', task_id: "receipt_fields_v1" },
  fields: [
    {
      path: "total",
      kind: "money",
      ...counters,
      ...rates(0.9, [0.6, 0.98]),
      exact: { ...counters, ...rates(0.8, null) },
    },
    {
      path: "tip",
      kind: "money",
      ...counters,
      scored: 0,
      ...rates(null, null),
      exact: { ...counters, ...rates(null, null) },
    },
  ],
  summary: {
    ...{ documents: 12, documents_judged: 10, answered: 11, line_items: [], published: {} },
    canonical: {
      micro: rates(0.9, [0.6, 0.98]),
      documents_right: 9,
      documents_right_share: 0.9,
      documents_right_interval: [0.6, 0.98],
    },
    exact: { micro: rates(0.8, null) },
  },
  unmatched: {
    items: { count: 0, first: [] },
    records: { count: 7, first: [{ index: 0, image: "x\u001b[31m.png", reason: "no_item" }] },
    unknown_fields: [],
  },
  cost: null,
} as unknown as Read.Shown;

test("the table names unused records by reason, and counts those that it does not name", () => {
  const records = Array.from({ length: 8 }, (_, index) => ({
    ...{ index, image: index === 7 ? null : `${index}.jpg` },
    reason: index === 7 ? "unnamed" : "duplicate",
  }));
  const unmatched = {
    items: { count: 1, first: [{ index: 3, file: "c.jpg", reason: "ambiguous" }] },
    records: { count: 108, first: records },
    documents: {
      count: 6,
      first: Array.from({ length: 6 }, (_, i) => ({ index: 4, file: i ? "d.pdf" : null, document: i + 1 })),
    },
    unknown_fields: Array.from({ length: 23 }, (_, i) => `f${i}`),
  } as Wire.Unmatched;
  const lines = Show.table({ ...evaluation, unmatched }, { columns: undefined }).split("\n");
  expect(lines.slice(lines.indexOf("1 item has no labels:"), -1)).toEqual([
    "1 item has no labels:",
    "  records name it and other items as well (ambiguous): c.jpg",
    "108 records are not used:",
    "  another record labels the same document (duplicate): 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, … and 2 more",
    "  names no picture (unnamed): number 8",
    "  … and 100 more",
    "6 documents have no labels, while others of their pictures have: number 5#1, d.pdf#2, d.pdf#3, d.pdf#4, d.pdf#5, … and 1 more",
    expect.stringMatching(/^fields that are labeled and not read by the task: f0, .*, f19, … and 3 more$/),
  ]);
});

test("a bar is a share of a field, of all values or of documents, or the lower end of its interval", () => {
  const bars = ["total=0.9", "total=.95", "micro=0.5:lower", "documents=0.7:lower", "tip=0"].map(Bar.parse);
  expect(Bar.judge(bars, evaluation).map(({ what, value, ok }) => [what, value, ok])).toEqual([
    ...[
      ["total", 0.9, true],
      ["total", 0.9, false],
      ["micro", 0.6, true],
      ["documents", 0.6, false],
    ],
    // Nothing was scored, so no bar is reached, however low.
    ["tip", null, false],
  ]);
  for (const wrong of ["total", "total=95", "total=0.9:upper", "=0.5", "total=1.5", "total=-0.1"])
    expect(() => Bar.parse(wrong), wrong).toThrow(/takes FIELD=SHARE/);
  expect(() => Bar.judge([Bar.parse("totl=0.5")], evaluation)).toThrow(
    /there is no field "totl"; there are micro/,
  );
});

test("the table shows scored fields with an interval, and no characters that control a terminal", () => {
  const text = Show.table(evaluation, {});
  expect(text).toMatch(/^total +90\.0 % +60\.0–98\.0 +80\.0 %/m);
  expect(text).not.toMatch(/^tip/m);
  expect(text).toContain(
    "7 records are not used:\n  no item has its name (no_item): x\\u{1b}[31m.png\n  … and 6 more\n",
  );
  expect(text).not.toContain("\u001b");
});

test.each([80, 120, 200])(
  "on a terminal of %i columns no line is longer, no cell is cut, and every counter is there",
  (columns) => {
    const text = Show.table(evaluation, { columns });
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(columns);
    const [figures = ""] = text.split("ACCURACY is by meaning");
    expect(figures).not.toContain("…");
    for (const name of ["MATCHED", "INVENTED", "ABSTAINED", "ABSENT", "?"])
      expect(text).toMatch(new RegExp(` ${name.replace("?", "\\?")}(?: |$)`, "m"));
    // One table where there is room for it.
    expect(text.match(/^total /gm)).toHaveLength(columns < 100 ? 2 : 1);
  },
);

test("right documents are counted among the judged ones; documents that were not judged or not answered are reported", () => {
  const text = Show.table(evaluation, {});
  expect(text).toContain("documents right: 9 of 10 (90.0 %, 95 % 60.0–98.0)");
  expect(text).toContain("2 more labeled documents have no value that is scored");
  expect(text).toContain("1 document has no answer (failed, canceled or not read)");
});

test("an evaluation that measured nothing says why and fails; unreadable values are in no count", () => {
  const said: string[] = [];
  const context = { say: (line: string) => said.push(line), out: () => undefined } as unknown as Context;
  const how = { bars: [], json: false };
  const with_ = (summary: object) =>
    tell(context, { ...evaluation, summary: { ...evaluation.summary, ...summary } } as Read.Shown, how)
      .isGood;
  expect(tell(context, evaluation, how).isGood).toBe(true);
  expect([with_({ documents: 0, documents_judged: 0 }), with_({ documents_judged: 0 })]).toEqual([
    false,
    false,
  ]);
  expect(said).toEqual([
    'error: nothing was measured: of 7 records none labels one of the 0 items of a<b>"',
    expect.stringContaining("12 labeled documents have no value that is scored"),
  ]);
});

test("the table says that labels are an uncorrected draft, and which can be read in several ways", () => {
  const ambiguous_labels = { count: 7, first: [{ file: "a\u001b.jpg", path: "total", label: "35.000" }] };
  const of = (gt_from_run_id: string | null) =>
    Show.table({ ...evaluation, ambiguous_labels, gt_from_run_id } as Read.Shown, {});
  expect(of(null)).toContain(
    "7 labeled values can be read in several ways, and are compared as printed: a\\u{1b}.jpg total 35.000, … and 6 more\n",
  );
  expect(of(null)).not.toContain("NOT CORRECTED");
  expect(of('a<b>"')).toContain("NOT CORRECTED: the labels are a draft of this run itself");
  expect(of("other")).toContain("NOT CORRECTED: the labels are a draft of other: this says how far");
});

test("JUnit counts what was missed, and a name cannot break the XML", () => {
  const text = Show.junit(evaluation, Bar.judge(["total=0.95", "micro=0.5"].map(Bar.parse), evaluation));
  expect(text).toContain('<testsuites tests="2" failures="1">');
  expect(text).toContain('name="evaluation of a&lt;b&gt;&quot;"');
  expect(
    text.match(/<failure message="MISSED: total accuracy 90\.0 % of 10 values, at least 95\.0 %"\/>/g),
  ).toHaveLength(1);
});

test("the worst receipts come first, with their artifacts; a file's name is not a formula", () => {
  const sample = (index: number, outcomes: Outcome[]): Wire.Sample => ({
    ...{ index, document: 1, file: `=cmd|${index}`, custom_id: null, request_id: `r~${index}` },
    ...{ answered: true, right: false, right_exact: false },
    verdicts: outcomes.map((canonical, i) => ({
      // The last value of the first receipt is in a row that the paper does not have.
      ...(canonical === "invented" ? { rows: { expected: null, predicted: i } } : {}),
      ...{
        field: "total",
        path: canonical === "invented" ? `i[${i}]` : `f${i}`,
        exact: canonical,
        canonical,
        expected: "1",
        predicted: "2",
      },
    })),
  });
  const run = { key_id: "alice", created_at: "2026-11-23T23:59:50.000Z" } as Run.Run;
  const text = Show.worst(
    [
      sample(0, ["matched", "wrong", "unreadable_invented"]),
      sample(1, ["wrong", "unreadable_invented", "unreadable_matched", "absent_both", "matched", "invented"]),
    ],
    run,
  );
  // Like every table for people, it has the byte order mark by which Excel recognizes UTF-8.
  expect(text.startsWith("\ufeff")).toBe(true);
  const [, first, second] = parse(text, { bom: true }) as string[][];
  expect(first).toEqual([
    "2",
    "3",
    "1",
    "'=cmd|1",
    "1",
    "",
    "r~1",
    "extracts/2026-11-23/alice/r~1.json",
    "f0 i[+5]",
  ]);
  expect(second?.[0]).toBe("1");
});
