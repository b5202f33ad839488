import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as Task from "#core/task/task";
import { labelsOf } from "#test/support/labels";
import type { Comparison } from "./compare.ts";
import { compare } from "./compare.ts";
import * as Outcome from "./outcome.ts";

const fields = Task.get("receipt_v1")?.fields ?? [];

interface Row {
  name: string;
  quantity: string | null;
  unit_price: string | null;
  price: string | null;
}

const row = (name: string, quantity: string, unit: string, price: string): Row => ({
  ...{ name, quantity, unit_price: unit, price },
});

const paper = {
  merchant: { name: "Kleine Bäckerei", address: "Hauptstr. 1", phone: null, tax_id: null },
  receipt_number: "0815",
  date: "24.05.2031",
  time: "14:30",
  currency: "EUR",
  items: [
    row("Brot", "1", "3,50", "3,50"),
    row("Kuchen", "2", "2,25", "4,50"),
    row("Wasser", "3", "0,99", "2,97"),
  ],
  totals: {
    subtotal: "10,97",
    discount: null,
    service: null,
    tax: "0,72",
    tip: null,
    rounding: null,
    total: "10,97",
  },
  payment: { method: "Bar", cash: "20,00", card: null, change: "9,03", card_last4: null },
};
/** The numbers of single values that the paper has, of values that it lacks, and of cells in its three rows. */
const values = 12;
const nothings = 8;
const cells = 12;

function countsOf(comparison: Comparison, mode: "exact" | "canonical" = "canonical", field?: string) {
  const counters = Outcome.none();
  for (const verdict of comparison.verdicts)
    if (field === undefined || verdict.field === field) counters[verdict[mode]] += 1;
  return counters;
}

/** Only the counters that are not 0. */
const shown = (counters: Outcome.Counters) =>
  Object.fromEntries(Object.entries(counters).filter(([, count]) => count !== 0));

const held = (
  result: unknown,
  labels: Record<string, unknown> = paper,
  more: {
    status?: "succeeded" | "failed" | "canceled";
    abstained?: Set<string>;
    strMode?: "exact" | "strip";
  } = {},
) =>
  compare(
    fields,
    labelsOf(labels),
    { status: more.status ?? "succeeded", result, abstained: more.abstained },
    { strMode: more.strMode ?? "exact" },
  );

type Paper = typeof paper;
const changed = (change: (copy: Paper) => void): Paper => {
  const copy = structuredClone(paper);
  change(copy);
  return copy;
};

describe("an answer is compared with the labels of its document", () => {
  test("an answer equal to the paper is right everywhere, and other answers are not", () => {
    const comparison = held(paper);
    expect(shown(countsOf(comparison))).toEqual({ matched: values + cells, absent_both: nothings });
    expect(shown(countsOf(comparison, "exact"))).toEqual({ matched: values + cells, absent_both: nothings });
    expect(comparison.lists).toEqual([
      {
        path: "items",
        expected: 3,
        predicted: 3,
        pairs: [
          [0, 0],
          [1, 1],
          [2, 2],
        ],
      },
    ]);
  });

  test("a field without a label is not scored, whatever the answer has", () => {
    const labels = { totals: { total: "10,97" } };
    expect(shown(countsOf(held(paper, labels)))).toEqual({ matched: 1 });
    const columns = { items: [{ name: "Brot" }, { name: "Kuchen" }, { name: "Wasser" }] };
    expect(shown(countsOf(held(paper, columns)))).toEqual({ matched: 3 });
  });

  test("failed and canceled items miss every labeled value", () => {
    for (const status of ["failed", "canceled"] as const) {
      const comparison = held(paper, paper, { status });
      expect(shown(countsOf(comparison))).toEqual({ missing: values + nothings + cells });
      expect(comparison.lists).toMatchObject([{ expected: 3, predicted: 0, pairs: [] }]);
    }
    expect(shown(countsOf(held(null)))).toEqual({ missing: values + nothings + cells });
  });

  test("any of the accepted values is right, and each is read separately", () => {
    const labels = { totals: { total: { any: ["10,97", "11"] }, tip: { any: ["1,00", null] } } };
    const answer = (total: string, tip: string | null) => ({ totals: { total, tip } });
    expect(shown(countsOf(held(answer("10.97", null), labels)))).toEqual({ matched: 1, absent_both: 1 });
    expect(shown(countsOf(held(answer("11,00", "1"), labels)))).toEqual({ matched: 2 });
    expect(shown(countsOf(held(answer("12", "2"), labels)))).toEqual({ wrong: 2 });
  });

  test("of many accepted values the first sixteen are read, the others count as they are printed", () => {
    const any = Array.from({ length: 40 }, (_, i) => `${i + 1},50`);
    const labels = { totals: { total: { any } } };
    const is = (total: string) => shown(countsOf(held({ totals: { total } }, labels)));
    expect(is("16.50")).toEqual({ matched: 1 });
    expect(is("17,50")).toEqual({ matched: 1 });
    expect(is("17.50")).toEqual({ wrong: 1 });
  });

  test("values labeled as unreadable are counted separately", () => {
    const labels = { date: "?", time: "?", totals: { total: "10,97" } };
    const comparison = held({ date: null, time: "14:30", totals: { total: "10,97" } }, labels);
    expect(shown(countsOf(comparison))).toEqual({
      ...{ matched: 1, unreadable_matched: 1, unreadable_invented: 1 },
    });
    expect(Outcome.rates(countsOf(comparison))).toEqual({ precision: 1, recall: 1, f1: 1, accuracy: 1 });
  });

  test("values that the model reports as unreadable count against R and accuracy, not against P", () => {
    const answer = changed((copy) => Object.assign(copy, { date: null }));
    const counters = countsOf(held(answer, paper, { abstained: new Set(["date"]) }));
    expect(shown(counters)).toEqual({ matched: 23, abstained: 1, absent_both: 8 });
    expect(Outcome.rates(counters)).toEqual({
      ...{ precision: 1, recall: 23 / 24, f1: 46 / 47, accuracy: 31 / 32 },
    });
  });

  test("blanks around a value are wrong in exact comparison, unless they are stripped", () => {
    const answer = changed((copy) => Object.assign(copy.merchant, { name: " Kleine Bäckerei" }));
    expect(shown(countsOf(held(answer), "exact", "merchant.name"))).toEqual({ wrong: 1 });
    const stripped = held(answer, paper, { strMode: "strip" });
    expect(shown(countsOf(stripped, "exact", "merchant.name"))).toEqual({ matched: 1 });
    expect(shown(countsOf(held(answer), "canonical", "merchant.name"))).toEqual({ matched: 1 });
  });

  test("an answer of any shape is compared with the labels", () => {
    for (const answer of [7, "x", [], { items: "x", totals: 7 }, { items: [null, 7, [[]]] }])
      expect(countsOf(held(answer)).matched).toBe(0);
    const numbers = held({ totals: { total: 10.97 }, items: [] });
    expect(shown(countsOf(numbers, "canonical", "totals.total"))).toEqual({ matched: 1 });
  });
});

describe("ten planted mistakes change exactly the expected counters", () => {
  const right = { matched: values + cells, absent_both: nothings };
  const mistakes: { what: string; answer: unknown; counters: Partial<Outcome.Counters>; fields: string[] }[] =
    [
      {
        what: "two rows change places",
        answer: changed(({ items }) => void items.reverse()),
        counters: right,
        fields: [],
      },
      {
        what: "a row stands there twice",
        answer: changed(({ items }) => void items.push(items[1] as Row)),
        counters: { ...right, invented: 4 },
        fields: ["items[].name", "items[].quantity", "items[].unit_price", "items[].price"],
      },
      {
        what: "a row is left out",
        answer: changed(({ items }) => void items.splice(1, 1)),
        counters: { ...right, matched: values + cells - 4, missing: 4 },
        fields: ["items[].name", "items[].quantity", "items[].unit_price", "items[].price"],
      },
      {
        what: "null for a value",
        answer: changed((copy) => Object.assign(copy.totals, { tax: null })),
        counters: { ...right, matched: values + cells - 1, missing: 1 },
        fields: ["totals.tax"],
      },
      {
        what: "a value for null",
        answer: changed((copy) => Object.assign(copy.totals, { tip: "1,00" })),
        counters: { ...right, absent_both: nothings - 1, invented: 1 },
        fields: ["totals.tip"],
      },
      {
        what: "a sign",
        answer: changed((copy) => Object.assign(copy.payment, { change: "-9,03" })),
        counters: { ...right, matched: values + cells - 1, wrong: 1 },
        fields: ["payment.change"],
      },
      {
        what: "a digit",
        answer: changed((copy) => Object.assign(copy.totals, { total: "10,91" })),
        counters: { ...right, matched: values + cells - 1, wrong: 1 },
        fields: ["totals.total"],
      },
      {
        what: "the currency",
        answer: changed((copy) => Object.assign(copy, { currency: "USD" })),
        counters: { ...right, matched: values + cells - 1, wrong: 1 },
        fields: ["currency"],
      },
      {
        what: "day and month",
        answer: changed((copy) => Object.assign(copy, { date: "25.04.2031" })),
        counters: { ...right, matched: values + cells - 1, wrong: 1 },
        fields: ["date"],
      },
      {
        what: "the prices of two rows",
        answer: changed(({ items: [a, b] }) => {
          if (a && b) [a.price, b.price] = [b.price, a.price];
        }),
        counters: { ...right, matched: values + cells - 2, wrong: 2 },
        fields: ["items[].price"],
      },
      {
        what: "cents lost",
        answer: changed((copy) => Object.assign(copy.payment, { cash: "2000" })),
        counters: { ...right, matched: values + cells - 1, wrong: 1 },
        fields: ["payment.cash"],
      },
    ];

  test.each(mistakes)("$what", ({ answer, counters, fields: moved }) => {
    const comparison = held(answer);
    expect(shown(countsOf(comparison))).toEqual(shown({ ...Outcome.none(), ...counters }));
    const wrong = comparison.verdicts.filter(
      ({ canonical }) => !["matched", "absent_both"].includes(canonical),
    );
    expect([...new Set(wrong.map(({ field }) => field))]).toEqual(moved);
  });
});

/** Amounts of a receipt in cents, printed as a locale prints them. */
function printed(
  locale: string,
  receipt: { cents: number; rows: { cents: number; count: number }[]; day: Date },
) {
  const amount = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const day = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeZone: "UTC" }).format(receipt.day);
  const print = (cents: number) => amount.format(cents / 100);
  return {
    ...{ merchant: { name: "Shop" }, date: day, currency: "EUR" },
    items: receipt.rows.map(({ cents, count }, i) => ({
      ...{
        name: `Item ${i}`,
        quantity: String(count),
        unit_price: print(cents),
        price: print(cents * count),
      },
    })),
    totals: {
      subtotal: print(receipt.cents),
      tax: print(Math.round(receipt.cents / 6)),
      total: print(receipt.cents),
    },
  };
}

test("the paper as another locale prints it is right in meaning and wrong in print", () => {
  for (let n = 0; n < 20; n += 1) {
    const rows = Array.from({ length: 5 }, (_, i) => ({
      cents: 1250 + n * 137 + i * 419,
      count: 1 + (i % 3),
    }));
    const cents = 100_000 + rows.reduce((sum, each) => sum + each.cents * each.count, 0);
    const receipt = { cents, rows, day: new Date(Date.UTC(2031, n % 12, 13 + (n % 15))) };
    for (const other of ["en-US", "fr-FR", "es-ES"]) {
      const comparison = held(printed(other, receipt), printed("de-DE", receipt));
      const accuracy = (mode: "exact" | "canonical") => Outcome.rates(countsOf(comparison, mode)).accuracy;
      expect(accuracy("canonical"), `${other} ${n}`).toBe(1);
      expect(accuracy("exact")).toBeLessThan(1);
    }
  }
});

describe("of any paper and answer", () => {
  const text = fc.oneof(
    fc.string({ minLength: 1, maxLength: 12 }),
    fc.constantFrom("1,234.50", "3 x", "€ 5", "0"),
  );
  const value = fc.option(
    text.filter((each) => each.trim() !== "" && each.trim() !== "?"),
    { nil: null },
  );
  const rowOf = fc.record({ name: value, quantity: value, unit_price: value, price: value });
  const receipt = fc.record({
    ...{ date: value, time: value, currency: value },
    items: fc.array(rowOf, { maxLength: 6 }),
    totals: fc.record({ subtotal: value, tax: value, total: value }),
  });
  const recall = ({ lists }: Comparison) => lists.map(({ pairs, expected }) => [pairs.length, expected]);

  test("a perfect answer is 1, an empty one 0, the order of fields does not matter, and shuffled rows keep their recall", () => {
    fc.assert(
      fc.property(receipt, receipt, fc.infiniteStream(fc.nat()), (truth, answer, draws) => {
        const perfect = held(truth, truth);
        expect(Outcome.rates(countsOf(perfect, "exact")).accuracy ?? 1).toBe(1);
        expect(Outcome.rates(countsOf(perfect)).f1 ?? 1).toBe(1);
        expect(Outcome.rates(countsOf(held({}, truth))).f1 ?? 0).toBe(0);

        const compared = held(answer, truth);
        const backward = Object.fromEntries(Object.entries(answer).reverse());
        expect(held(backward, truth).verdicts).toEqual(compared.verdicts);
        // No answer changes a counter of the labeled side.
        const counters = countsOf(compared);
        const labelled = compared.verdicts.filter(({ rows }) => rows?.expected !== null);
        expect(labelled).toHaveLength(6 + truth.items.length * 4);
        expect(Outcome.right(counters)).toBeLessThanOrEqual(Outcome.scored(counters));

        const shuffled = truth.items.toSorted(() => ((draws.next().value ?? 0) % 2 === 0 ? -1 : 1));
        expect(recall(held({ ...truth, items: shuffled }, truth))).toEqual(recall(perfect));
      }),
      { numRuns: 1000, seed: 16 },
    );
  });
});

test("a verdict has all accepted values, and shows which labels can be read in several ways", () => {
  const of = (totals: { readonly [name: string]: unknown }, answer: object) => {
    const prediction = { status: "succeeded", result: { totals: answer } } as const;
    const { verdicts } = compare(fields, labelsOf({ totals }), prediction, { strMode: "strip" });
    return verdicts.find(({ path }) => path === `totals.${Object.keys(totals)[0]}`);
  };
  expect(of({ tax: { any: ["2", "3"] } }, { tax: "3" })).toMatchObject({
    ...{ expected: "2", accepted: ["2", "3"], canonical: "matched" },
  });
  expect(of({ tax: { any: ["2", null] } }, {})).toMatchObject({
    ...{ expected: "2", accepted: ["2", null], canonical: "absent_both" },
  });
  expect(of({ total: "35.000" }, { total: "35000" })).toMatchObject({ ambiguous: true, canonical: "wrong" });
  // If another amount of the paper decides, the value is not ambiguous.
  expect(of({ total: "35.000", tip: "1,50" }, { total: "35000" })).toEqual({
    ...{ field: "totals.total", path: "totals.total", expected: "35.000", predicted: "35000" },
    ...{ exact: "wrong", canonical: "matched" },
  });
});
