import { describe, expect, test } from "vitest";
import type { Prediction } from "#core/evaluation/compare/compare";
import { compare } from "#core/evaluation/compare/compare";
import * as Layout from "#core/evaluation/compare/layout";
import * as Sheet from "#core/evaluation/compare/sheet";
import * as Statistics from "#core/evaluation/statistics/statistics";
import type { Item } from "#core/run/schema";
import * as Task from "#core/task/task";
import { labelsOf } from "#test/support/labels";
import { item } from "#test/support/papers";
import * as Accumulator from "./accumulator.ts";
import * as Figures from "./figures.ts";
import * as Documents from "./job/documents.ts";
import * as Older from "./older.ts";
import * as Schema from "./schema.ts";

const fields = Task.get("receipt_v1")?.fields ?? [];

interface Case {
  labels: Record<string, unknown>;
  answer: unknown;
  status?: Prediction["status"];
  file?: string;
  tags?: Record<string, string>;
}

const row = (name: string, price: string) => ({ name, price });
/** Four documents; the sums of every figure below stand beside it. */
const cases: Case[] = [
  {
    labels: {
      date: "24.05.2031",
      totals: { total: "12,50", tip: null },
      items: [row("Tea", "2,50"), row("Cake", "10,00")],
    },
    answer: {
      date: "2031-05-24",
      totals: { total: "12.50", tip: null },
      items: [row("Tea", "2.50"), row("Cake", "10.00")],
    },
    ...{ file: "a/1.jpg", tags: { store: "1" } },
  },
  {
    labels: { date: "25.05.2031", totals: { total: "7,00", tip: null }, items: [row("Soup", "7,00")] },
    answer: {
      date: null,
      totals: { total: "7,00", tip: "1,00" },
      items: [row("Soup", "8,00"), row("Bread", "1,00")],
    },
    ...{ file: "a/2.jpg", tags: { store: "2" } },
  },
  {
    labels: { date: "26.05.2031", totals: { total: "9,00", tip: null } },
    answer: null,
    ...{ status: "failed", file: "b/3.jpg", tags: { store: "2" } },
  },
  { labels: { totals: { total: "5,00" } }, answer: { totals: { total: "6,00" } }, file: "4.jpg" },
];

function addAll(into: Accumulator.Accumulator, from: readonly Case[]): Accumulator.Accumulator {
  for (const { labels, answer, status = "succeeded", file, tags } of from) {
    const comparison = compare(fields, labelsOf(labels), { status, result: answer }, { strMode: "exact" });
    Accumulator.add(into, comparison, { file, tags });
  }
  return into;
}
const whole = () => addAll(Accumulator.create(fields), cases);
const figures = Figures.of(whole());
const field = (path: string) => figures.fields.find((each) => each.path === path);

describe("the figures of an evaluation", () => {
  test("have the schema of the OpenAPI document", () => {
    expect(Schema.Figures.parse(figures)).toEqual(figures);
    expect(figures.summary).toMatchObject({ documents: 4, documents_judged: 4, answered: 3 });
    expect(figures.fields.map(({ path }) => path)).toEqual(fields.map(({ path }) => path));
  });

  test("of a field count documents, as meant and as printed", () => {
    // Right twice, wrong once, missing once.
    expect(field("totals.total")).toMatchObject({
      ...{ matched: 2, wrong: 1, missing: 1, invented: 0, scored: 4 },
      ...{ precision: 2 / 3, recall: 2 / 4, f1: 4 / 7, accuracy: 2 / 4 },
      exact: {
        matched: 1,
        wrong: 2,
        missing: 1,
        precision: 1 / 3,
        recall: 1 / 4,
        f1: 2 / 7,
        accuracy: 1 / 4,
      },
    });
    expect(field("totals.total")?.intervals).toMatchObject({
      precision: Statistics.wilson(2, 3),
      recall: Statistics.wilson(2, 4),
      accuracy: Statistics.wilson(2, 4),
    });
    // Absent on both sides once, invented once, missing with the failed item once.
    expect(field("totals.tip")).toMatchObject({
      ...{ matched: 0, invented: 1, absent_both: 1, missing: 1, scored: 3 },
      ...{ precision: 0, recall: 0, f1: 0, accuracy: 1 / 3 },
    });
    expect(field("payment.cash")).toMatchObject({
      scored: 0,
      precision: null,
      recall: null,
      f1: null,
      accuracy: null,
    });
  });

  test("of a column count cells, and rows that are not on the paper are invented", () => {
    expect(field("items[].price")).toMatchObject({
      ...{ matched: 2, wrong: 1, invented: 1, missing: 0, precision: 2 / 4, recall: 2 / 3, accuracy: 2 / 4 },
      exact: { matched: 0, wrong: 3, invented: 1 },
    });
    // 3 of 3 rows are found, of 4 given; of 6 cells 5 are right, 3 as they are printed.
    expect(figures.summary.line_items).toMatchObject([
      {
        ...{ path: "items", rows_expected: 3, rows_predicted: 4, rows_paired: 3 },
        ...{ row_recall: 1, row_precision: 3 / 4, cell_accuracy: 5 / 6, cell_accuracy_exact: 3 / 6 },
      },
    ]);
  });

  test("of all fields are sums and means", () => {
    // Matched: date 1, total 2, name 3, price 2. Predicted: date 1, total 3, tip 1, name 4, price 4. Expected: 3, 4, 1, 3, 3.
    const { micro, macro } = figures.summary.canonical;
    expect(micro).toMatchObject({ precision: 8 / 13, recall: 8 / 14, f1: 16 / 27 });
    // Right: 1 + 2 + 1 + 3 + 2 of 3 + 4 + 3 + 4 + 4.
    expect(micro.accuracy).toBeCloseTo(9 / 18, 14);
    expect(macro.precision).toBeCloseTo((1 / 1 + 2 / 3 + 0 + 3 / 4 + 2 / 4) / 5, 14);
    expect(macro.recall).toBeCloseTo((1 / 3 + 2 / 4 + 0 + 3 / 3 + 2 / 3) / 5, 14);
    expect(figures.summary.canonical).toMatchObject({ documents_right: 1, documents_right_share: 1 / 4 });
    expect(figures.summary.exact.documents_right).toBe(0);
    for (const { f1, intervals } of [micro, macro]) {
      const [low = 1, high = 0] = intervals.f1 ?? [];
      expect(low).toBeLessThan(f1 ?? 0);
      expect(high).toBeGreaterThan(f1 ?? 1);
    }
  });

  test("of published evaluators are computed as by their authors", () => {
    const { donut, sroie, extract_bench } = figures.summary.published;
    // Date and total are labeled three times, total once; right by their text: total of the second.
    expect(sroie).toMatchObject({ precision: 1 / 4, recall: 1 / 7, f1: 2 / 11 });
    // The first: items 4 cells of which 2 names, date as ISO once written with points: none, totals as a group: none. 2/6.
    // The second: name of 2 + 4 cells, no group, no date: 1 of (4 and 6). The failed one 0, the last 0 of 1.
    expect(extract_bench.value_f1).toBeCloseTo((2 / 6 + 2 / 10 + 0 + 0) / 4, 14);
    expect(donut).toMatchObject({ accuracy: expect.toSatisfy((value) => value > 0.3), documents: 4 });
    // Texts: Tea, Cake; 7,00 and Soup. Given: 6 + 6 + 1; labeled: 6 + 4 + 2 + 1.
    expect(donut.f1).toBeCloseTo((2 * 4) / (6 + 6 + 1 + (6 + 4 + 2 + 1)), 14);
  });

  test("of slices are those of their documents", () => {
    const of = (dimension: string) => figures.slices.filter((slice) => slice.dimension === dimension);
    expect(of("folder").map(({ value, documents }) => [value, documents])).toEqual([
      ["a", 2],
      ["b", 1],
    ]);
    expect(of("tags.store")).toMatchObject([
      // The second and the third document: total and soup are right of what is given: 6 values; there are 6.
      { value: "2", documents: 2, documents_right: 0, precision: 2 / 6, recall: 2 / 7 },
      { value: "1", documents: 1, documents_right: 1, precision: 1, recall: 1, exact: { precision: 2 / 6 } },
    ]);
    expect(of("rows").map(({ value }) => value)).toEqual(["1–5"]);
    expect(of("language")).toMatchObject([{ value: "Latin", documents: 2 }]);
  });
});

test("labeled fields that the task does not have are listed", () => {
  const labels = { totals: { total: "1", vat: "2" }, items: [{ name: "Tea", shelf: "3" }], shop: null };
  expect(Sheet.unknownLabels(Layout.of(fields), labelsOf(labels))).toEqual(["items[].shelf", "totals.vat"]);
});

test("a document is in the slices of its currency, its letters, and of twenty tags at most", () => {
  const tags = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`t${i}`, "x"]));
  const labels = { merchant: { name: "ร้านชา" }, totals: { total: "฿120.00" } };
  const accumulator = addAll(Accumulator.create(fields), [{ labels, answer: labels, tags }]);
  const slices = Figures.of(accumulator).slices.map(({ dimension, value }) => [dimension, value]);
  expect(slices.filter(([dimension]) => !dimension?.startsWith("tags."))).toEqual([
    ["currency", "THB"],
    ["language", "th"],
    ["merchant", "ร้านชา"],
  ]);
  expect(slices).toHaveLength(3 + 20);
});

test("a picture is in the slice of each of its faults, in `ok`, or in a separate slice if it was not looked at", () => {
  const qualities: Item["quality"][] = [
    { ok: true, reasons: [] },
    { ok: false, reasons: ["blurred", "dark"] },
    { ok: false, reasons: ["blurred"] },
    null,
  ];
  const looks = qualities.map((quality, i) => ({ ...item("receipt_v1", i, {}), quality }));
  // Results of a version without facts about the picture, and of a version without tags.
  const { tags: _, ...older } = item("receipt_v1", 4, {});
  const into = Accumulator.create(fields);
  const totals = { totals: { total: "1,00" } };
  const comparison = compare(
    fields,
    labelsOf(totals),
    { status: "succeeded", result: totals },
    { strMode: "exact" },
  );
  for (const each of [...looks, older as Item]) Accumulator.add(into, comparison, Documents.aboutOf(each));
  const slices = Figures.of(into).slices.map(({ dimension, value, documents }) => [
    dimension,
    value,
    documents,
  ]);
  expect(slices).toEqual([
    ["quality", "blurred", 2],
    ...["ok", "dark", "not looked at"].map((value) => ["quality", value, 1]),
  ]);
});

test("a document has a slice of every kind: tag, folder, merchant, currency, language, picture and rows", () => {
  const labels = {
    ...{ merchant: { name: "Teehaus Süd" }, totals: { total: "12,50 €" } },
    items: Array.from({ length: 7 }, (_, i) => row(`Tee ${i}`, `${i},00`)),
  };
  const comparison = compare(
    fields,
    labelsOf(labels),
    { status: "succeeded", result: labels },
    { strMode: "exact" },
  );
  const into = Accumulator.create(fields);
  const about = { file: "march/till-2/1.jpg", tags: { store: "12" }, quality: { ok: true, reasons: [] } };
  Accumulator.add(into, comparison, about);
  expect(Figures.of(into).slices.map(({ dimension, value }) => [dimension, value])).toEqual([
    ["currency", "EUR"],
    ["folder", "march/till-2"],
    ["language", "Latin"],
    ["merchant", "Teehaus Süd"],
    ["quality", "ok"],
    ["rows", "6–10"],
    ["tags.store", "12"],
  ]);
});

test("a document without a scored value is not judged, and the share of right documents is of the judged ones", () => {
  const unreadable = {
    labels: { totals: { total: "?" } },
    answer: { totals: { total: null } },
    file: "a/9.jpg",
  };
  const { summary, slices } = Figures.of(addAll(whole(), [unreadable]));
  expect(summary).toMatchObject({ documents: 5, documents_judged: 4 });
  expect(summary.canonical).toMatchObject({ documents_right: 1, documents_right_share: 1 / 4 });
  expect(slices.find(({ value }) => value === "a")).toMatchObject({
    ...{ documents: 3, documents_judged: 2, documents_right: 1 },
    documents_right_interval: Statistics.wilson(1, 2),
  });
});

test("a value labeled as unreadable is in no rate, so it makes no document wrong", () => {
  const labels = { date: "1.1.2031", totals: { total: "?" } };
  const answer = { date: "1.1.2031", totals: { total: "9,99" } };
  const {
    summary,
    slices,
    fields: found,
  } = Figures.of(addAll(Accumulator.create(fields), [{ labels, answer, file: "a/1.jpg" }]));
  expect(found.find(({ path }) => path === "totals.total")).toMatchObject({
    unreadable_invented: 1,
    scored: 0,
  });
  for (const { documents_right, micro } of [summary.canonical, summary.exact])
    expect([documents_right, micro.accuracy]).toEqual([1, 1]);
  expect(slices.find(({ value }) => value === "a")).toMatchObject({
    documents_judged: 1,
    documents_right: 1,
  });
});

test("labels that can be read in several ways are counted and named, also if the evaluation was saved and resumed", () => {
  const labels = { totals: { total: "35.000" } };
  const twice = [
    { labels, answer: labels, file: "a.jpg" },
    { labels, answer: labels, file: "b.jpg" },
  ];
  const [first = twice[0], second = twice[1]] = twice;
  const paused = addAll(Accumulator.create(fields), first ? [first] : []);
  const stored = JSON.parse(JSON.stringify(Accumulator.stateOf(paused)));
  const resumed = Accumulator.restore(fields, stored) ?? Accumulator.create(fields);
  const { ambiguous } = addAll(resumed, second ? [second] : []);
  const named = (file: string) => ({ file, path: "totals.total", label: "35.000" });
  expect(ambiguous).toEqual({ count: 2, first: [named("a.jpg"), named("b.jpg")] });
  expect(whole().ambiguous).toEqual({ count: 0, first: [] });
  const merged = Accumulator.create(fields);
  Accumulator.merge(merged, resumed);
  expect(merged.ambiguous).toEqual(ambiguous);
});

test("an interval of one document is as wide as one trial, whatever the figure", () => {
  const perfect = { labels: cases[0]?.labels ?? {}, answer: cases[0]?.labels };
  const { summary } = Figures.of(addAll(Accumulator.create(fields), [perfect]));
  const one = Statistics.wilson(1, 1);
  const { micro, macro } = summary.canonical;
  for (const { intervals } of [micro, macro]) expect([intervals.accuracy, intervals.f1]).toEqual([one, one]);
  const [list] = summary.line_items;
  expect(list?.intervals).toMatchObject({ row_recall: one, cell_accuracy: one });
  expect(summary.published.donut.accuracy_interval).toEqual(one);
});

test("figures that were stored without the number of judged documents get it from the share of right ones", () => {
  const { documents_judged: _, ...stored } = figures.summary;
  expect(Older.summaryOf(stored)).toEqual(figures.summary);
  const none = { ...stored.canonical, documents_right: 0, documents_right_share: null };
  expect(Older.summaryOf({ ...stored, canonical: none }).documents_judged).toBe(0);
  for (const slice of figures.slices) {
    const { documents_judged: judged, ...older } = slice;
    expect(Older.sliceOf(slice).documents_judged).toBe(judged);
    expect(Older.sliceOf(older).documents_judged).toBe(slice.documents);
  }
});

describe("an evaluation that is saved and resumed", () => {
  test("gives the same figures, in parts and in any order of parts", () => {
    const through = (accumulator: Accumulator.Accumulator) => {
      const state = JSON.parse(JSON.stringify(Accumulator.stateOf(accumulator)));
      return Accumulator.restore(fields, state) ?? Accumulator.create([]);
    };
    let stepped = Accumulator.create(fields);
    for (const each of cases) stepped = addAll(through(stepped), [each]);
    expect(Figures.of(stepped)).toEqual(figures);

    const merged = addAll(Accumulator.create(fields), cases.slice(0, 2));
    Accumulator.merge(merged, through(addAll(Accumulator.create(fields), cases.slice(2))));
    expect(Figures.of(merged)).toEqual(figures);
    expect([...Accumulator.each(merged)]).toEqual([...Accumulator.each(whole())]);
  });

  test("is resumed only with the same fields and the same version of the state", () => {
    const state = Accumulator.stateOf(whole());
    const other = Task.get("receipt_fields_v1")?.fields ?? [];
    expect(Accumulator.restore(other, state)).toBeUndefined();
    expect(Accumulator.restore(fields, { ...state, version: 1 })).toBeUndefined();
    expect(() => Accumulator.merge(Accumulator.create(other), whole())).toThrow(TypeError);
  });

  test("needs some hundred bytes per document, however long it is", () => {
    const items = Array.from({ length: 60 }, (_, i) => row(`Item ${i}`, `${i},00`));
    const long = addAll(Accumulator.create(fields), [{ labels: { items }, answer: { items } }]);
    const bytes = Buffer.from(Accumulator.stateOf(long).vectors, "base64").length;
    expect(bytes).toBeGreaterThan(50);
    expect(bytes).toBeLessThan(150);
  });

  test("distinguishes 200 values of a dimension and counts the others together", () => {
    const accumulator = Accumulator.create(fields);
    const totals = { totals: { total: "1" } };
    for (let i = 0; i < 300; i += 1)
      addAll(accumulator, [{ labels: totals, answer: totals, file: `folder-${i}/a.jpg` }]);
    const folders = Figures.of(accumulator).slices.filter(({ dimension }) => dimension === "folder");
    expect(folders).toHaveLength(201);
    expect(folders[0]).toMatchObject({ value: "(others)", documents: 100 });
  });

  test("of nothing has no figures", () => {
    const empty = Figures.of(Accumulator.create(fields));
    expect(empty.summary.canonical.micro).toMatchObject({
      precision: null,
      f1: null,
      intervals: { f1: null },
    });
    expect(Schema.Figures.parse(empty)).toEqual(empty);
  });
});
