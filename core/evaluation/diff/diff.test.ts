import { describe, expect, test } from "vitest";
import type { Field } from "#core/canonical/normalize";
import { compare } from "#core/evaluation/compare/compare";
import * as Random from "#core/evaluation/statistics/random";
import * as Statistics from "#core/evaluation/statistics/statistics";
import { labelsOf } from "#test/support/labels";
import * as Agreement from "./agreement.ts";
import * as Diff from "./diff.ts";
import * as Schema from "./schema.ts";

const fields: Field[] = [
  { path: "date", kind: "date" },
  { path: "total", kind: "money" },
  { path: "items[].name", kind: "text" },
  { path: "items[].price", kind: "money" },
];
const row = (name: string, price: string) => ({ name, price });
const paper = { date: "24.05.2031", total: "9,50", items: [row("Tea", "2,50"), row("Cake", "7,00")] };
const held = (result: unknown, labels: Record<string, unknown> = paper) =>
  compare(fields, labelsOf(labels), { status: "succeeded", result }, { strMode: "exact" });

describe("two runs over the same documents", () => {
  test("what got right, what got wrong, what is another mistake and what is the same one", () => {
    const before = {
      date: null,
      total: "9,50",
      items: [row("Tea", "2,60"), row("Cake", "7,00"), row("VAT", "1,00")],
    };
    // Rows change places; tea's price is wrong in another way, cake's is wrong now, the invented row is still there.
    const after = {
      date: "2031-05-24",
      total: "9,56",
      items: [row("Cake", "7,10"), row("VAT", "1,00"), row("Tea", "2,70")],
    };
    const diff = Diff.create(fields);
    const changes = Diff.add(diff, held(before), held(after), "canonical");
    expect(changes.map(({ path, kind, before: a, after: b }) => [path, kind, a, b])).toEqual([
      ["date", "fixed", null, "2031-05-24"],
      ["total", "broken", "9,50", "9,56"],
      ["items[0].price", "changed", "2,60", "2,70"],
      ["items[1].price", "broken", "7,00", "7,10"],
      ["items[2].name", "still_wrong", "VAT", "VAT"],
      ["items[2].price", "still_wrong", "1,00", "1,00"],
    ]);
    expect(Object.fromEntries(diff.fields.map(({ path, b, c }) => [path, [b, c]]))).toEqual({
      ...{ date: [0, 1], total: [1, 0] },
      // Wrong before and after: as a column it is one field of one document.
      ...{ "items[].name": [0, 0], "items[].price": [0, 0] },
    });
    expect(Schema.DiffFigures.parse(Diff.figures(diff))).toMatchObject({
      verdict: "INCONCLUSIVE",
      fields_tested: 4,
    });
  });

  test("seven documents that changed sides say nothing among four fields, eight do, and none is not a change", () => {
    const of = (regressed: number) => {
      const diff = Diff.create(fields);
      for (let i = 0; i < 20; i += 1)
        Diff.add(diff, held(paper), held({ ...paper, total: i < regressed ? "1" : "9.50" }), "canonical");
      return Diff.figures(diff);
    };
    // Least 2/2ⁿ ≤ 0.05/4: eight. 2/256·4 = 0.03.
    expect(of(8)).toMatchObject({ verdict: "regressed", least_discordant: 8, documents: 20 });
    expect(of(8).fields[1]).toMatchObject({ regressed_documents: 8, p: 2 / 256, p_adjusted: 8 / 256 });
    expect(of(7)).toMatchObject({ verdict: "INCONCLUSIVE" });
    expect(of(7).fields[1]).toMatchObject({
      ...{ p_adjusted: (4 * 2) / 128, verdict: "INCONCLUSIVE" },
      documents_needed: Statistics.neededReceipts(7 / 20, 4),
    });
    expect(of(0)).toMatchObject({ verdict: "no_change" });
    expect(of(0).fields.every(({ verdict }) => verdict === "no_change")).toBe(true);
  });

  test("parts of a long comparison add up", () => {
    const [whole, part, other] = [Diff.create(fields), Diff.create(fields), Diff.create(fields)];
    for (const into of [whole, part]) Diff.add(into, held(paper), held({}), "canonical");
    for (const into of [whole, other]) Diff.add(into, held({}), held(paper), "exact");
    Diff.merge(part, JSON.parse(JSON.stringify(other)));
    expect(part).toEqual(whole);
  });
});

describe("verdicts over many pairs of runs", () => {
  /** Two runs over receipts with eight fields whose errors are drawn: what share of each is wrong in each run. */
  function drawn(draw: () => number, receipts: number, rates: readonly (readonly [number, number])[]) {
    const diff = Diff.create(rates.map((_, i) => ({ path: `f${i}`, kind: "text" })));
    diff.documents = receipts;
    rates.forEach(([first, second], i) => {
      const field = diff.fields[i];
      if (field === undefined) return;
      field.documents = receipts;
      for (let n = 0; n < receipts; n += 1) {
        const [a, b] = [draw() / 2 ** 32 < first, draw() / 2 ** 32 < second];
        field.b += Number(!a && b);
        field.c += Number(a && !b);
      }
    });
    return Diff.figures(diff);
  }
  const shareOf = (trials: number, holds: () => boolean) => {
    let found = 0;
    for (let trial = 0; trial < trials; trial += 1) found += Number(holds());
    return found / trials;
  };
  const same = [0.1, 0.1] as const;

  test("equal runs, 10 % wrong in 200 receipts, have any verdict in at most 5 %", () => {
    const draw = Random.generator(1);
    const found = shareOf(1500, () =>
      ["regressed", "improved"].includes(drawn(draw, 200, Array(8).fill(same)).verdict),
    );
    expect(found).toBeLessThanOrEqual(0.05);
    // Some have: a test that never finds anything would pass as well.
    expect(found).toBeGreaterThan(0.005);
  });

  test("one of eight fields that goes from 10 % to 20 % wrong in 400 receipts is found in at least 80 %", () => {
    const draw = Random.generator(2);
    const rates = [[0.1, 0.2] as const, ...Array(7).fill(same)];
    const found = shareOf(500, () => drawn(draw, 400, rates).fields[0]?.verdict === "regressed");
    expect(found).toBeGreaterThanOrEqual(0.8);
  });

  test("as many receipts as are said to be needed find 5 points in about 80 %", () => {
    const draw = Random.generator(3);
    // 10 % wrong and 15 %: 0.9·0.15 + 0.1·0.85 = 0.22 of the pairs differ. The exact test finds a little less than 80 %.
    const needed = Statistics.neededReceipts(0.22, 1);
    const found = shareOf(800, () => drawn(draw, needed, [[0.1, 0.15]]).verdict === "regressed");
    expect(found).toBeGreaterThan(0.74);
    expect(found).toBeLessThan(0.86);
  });
});

test("two runs agree field by field without a ground truth, in either order", () => {
  const first = { date: "24.05.2031", total: "9,50", items: [row("Tea", "2,50"), row("Cake", "7,00")] };
  const second = { date: null, total: "9.50", items: [row("Cake", "7,10"), row("Tea", "2.50")] };
  const of = (a: unknown, b: unknown) => {
    const agreement = Agreement.create(fields);
    const answer = (result: unknown) => ({ status: "succeeded" as const, result });
    Agreement.add(agreement, fields, [answer(a), answer(b)], { strMode: "exact" });
    Agreement.add(agreement, fields, [answer(a), { status: "failed", result: null }], { strMode: "exact" });
    return Agreement.figures(agreement);
  };
  const figures = of(first, second);
  expect(Schema.AgreementFigures.parse(figures)).toEqual(of(second, first));
  expect(figures).toMatchObject({ documents: 2, not_compared: 1 });
  expect(figures.fields).toMatchObject([
    { path: "date", compared: 1, same: 0, one_sided: 1, agreement: 0 },
    { path: "total", compared: 1, same: 1, same_exact: 0, agreement: 1, agreement_exact: 0 },
    { path: "items[].name", compared: 2, same: 2, agreement: 1 },
    { path: "items[].price", compared: 2, same: 1, same_exact: 0, agreement: 0.5 },
  ]);
});
