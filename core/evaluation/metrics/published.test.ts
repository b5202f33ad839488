import { describe, expect, test } from "vitest";
import * as Task from "#core/task/task";
import * as ExtractBench from "./extract-bench.ts";
import * as Sroie from "./sroie.ts";
import * as WrittenDate from "./written-date.ts";

describe("SROIE's figures", () => {
  test("exist if a task has the four fields", () => {
    const paths = (task: string) => Sroie.pathsOf(Task.get(task)?.fields ?? []);
    expect(paths("receipt_v1")).toEqual(["merchant.name", "date", "merchant.address", "totals.total"]);
    expect(paths("items_light_v1")).toBeNull();
  });

  test("count exact texts, and only labeled values", () => {
    const values: Record<string, [boolean, string | null, string | null]> = {
      company: [true, "TEO HENG", "TEO HENG"],
      date: [true, "01/02/2018", "01-02-2018"],
      address: [true, "No. 1", null],
      total: [false, null, "9.00"],
    };
    const counts = Sroie.counts(Object.keys(values), (path) => {
      const [labelled = false, expected = null, predicted = null] = values[path] ?? [];
      return { labelled, expected, predicted };
    });
    expect(counts).toEqual({ matched: 1, predicted: 2, expected: 3 });
    expect(Sroie.rates(counts)).toEqual({ precision: 1 / 2, recall: 1 / 3, f1: 2 / 5 });
  });
});

describe("ExtractBench's value F1", () => {
  const counts = (answer: unknown, truth: unknown, columns: string[] = []) =>
    ExtractBench.counts(answer, truth, () => columns);

  test("counts every scalar on both sides, with null for missing ones", () => {
    const truth = { shop: "A  B", date: "2031-05-24", tip: null, total: "5" };
    const answer = { shop: "A B ", date: "May 24, 2031", total: "6", more: "x" };
    // shop, date and tip of five names.
    expect(counts(answer, truth)).toEqual({ correct: 3, expected: 5, predicted: 5 });
    expect(ExtractBench.f1(counts(answer, truth))).toBeCloseTo(3 / 5, 14);
    expect(counts(null, truth).correct).toBe(1);
  });

  test("rows are paired so that the fewest cells differ", () => {
    const truth = {
      items: [
        { n: "tea", p: "2" },
        { n: "milk", p: "3" },
      ],
    };
    const answer = {
      items: [
        { n: "milk", p: "2" },
        { n: "tea", p: "2" },
        { n: "egg", p: "1" },
      ],
    };
    // Right: both cells of tea/2, and milk's name: 3 of 4 and of 6.
    expect(counts(answer, truth)).toEqual({ correct: 3, expected: 4, predicted: 6 });
    expect(ExtractBench.f1(counts(answer, truth))).toBeCloseTo((2 * 3) / 10, 14);
    expect(counts({ items: [{ n: "x" }] }, { items: [] }, ["n", "p"])).toEqual({
      ...{ correct: 0, expected: 0, predicted: 2 },
    });
  });

  test("a group is one cell, right or wrong as a whole", () => {
    const truth = { totals: { tax: "1", total: "5" } };
    expect(counts({ totals: { total: "5", tax: "1" } }, truth).correct).toBe(1);
    expect(counts({ totals: { total: "5", tax: "2" } }, truth)).toEqual({
      correct: 0,
      expected: 1,
      predicted: 1,
    });
  });

  test("lists of groups within rows are paired within them", () => {
    const truth = { a: [{ n: "x", tags: [{ k: "1" }, { k: "2" }] }] };
    const answer = {
      a: [
        { n: "x", tags: [{ k: "2" }, { k: "3" }] },
        { n: "y", tags: [{ k: "1" }] },
      ],
    };
    // Right: n, and one of two tags. The second row's cell and tag have no partner.
    expect(counts(answer, truth)).toEqual({ correct: 2, expected: 3, predicted: 5 });
  });

  test("dates are read in the forms that the evaluator knows", () => {
    const forms = [
      ["2031-5-4", "2031-05-04"],
      ["05/24/2031", "2031-05-24"],
      ["24/05/2031", "2031-05-24"],
      ["05/04/31", "2031-05-04"],
      ["5-4-99", "1999-05-04"],
      ["May 24,2031", "2031-05-24"],
      ["Mon. May 24, 2031", "2031-05-24"],
      ["24 Dec 2031 14:30", "2031-12-24"],
      ["24.05.2031", "24.05.2031"],
      ["13/13/2031", "13/13/2031"],
      ["2031-13-05", "2031-13-05"],
      ["99/01/02", "1999-01-02"],
      ["1234567890", "1234567890"],
      ["May 24, 1800", "May 24, 1800"],
    ];
    for (const [printed = "", iso] of forms) expect(WrittenDate.normalize(printed), printed).toBe(iso);
  });
});
