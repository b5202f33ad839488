import { describe, expect, test } from "vitest";
import * as Bootstrap from "./bootstrap.ts";
import * as Random from "./random.ts";
import * as Statistics from "./statistics.ts";

describe("intervals and tests", () => {
  test("the normal distribution is that of the tables, to 12 digits", () => {
    expect(Statistics.normal(0)).toBe(0.5);
    expect(Statistics.normal(1.959963984540054)).toBeCloseTo(0.975, 12);
    expect(Statistics.normal(-3)).toBeCloseTo(0.0013498980316301, 12);
    expect(Statistics.quantile(0.975)).toBeCloseTo(1.959963984540054, 10);
    expect(Statistics.quantile(0.8)).toBeCloseTo(0.8416212335729143, 10);
    expect(Statistics.quantile(1 - 0.025 / 8)).toBeCloseTo(2.734368786, 8);
  });

  test("Wilson's interval of 8 in 10 is 0.4902 to 0.9433, and stays within 0 and 1", () => {
    // p = 0.8, z² = 3.8415: middle (0.8 + 0.19207)/1.38415 = 0.71674; half 1.41599·√(0.016 + 0.0096037) = 0.22657.
    const [low, high] = Statistics.wilson(8, 10) ?? [];
    expect(low).toBeCloseTo(0.71674 - 0.22657, 4);
    expect(high).toBeCloseTo(0.71674 + 0.22657, 4);
    expect(Statistics.wilson(0, 10)?.[0]).toBe(0);
    expect(Statistics.wilson(10, 10)).toEqual([expect.closeTo(10 / (10 + 3.841458821), 6), 1]);
    expect(Statistics.wilson(0, 0)).toBeNull();
  });

  test("McNemar's exact p is the sum of the binomial's tails", () => {
    expect(Statistics.mcnemar(0, 0)).toBe(1);
    // 2 · (1 + 6)/64, 2/64, 2 · (1 + 10 + 45)/1024; 3 and 3 is more than 1.
    expect(Statistics.mcnemar(1, 5)).toBeCloseTo(14 / 64, 14);
    expect(Statistics.mcnemar(6, 0)).toBeCloseTo(2 / 64, 14);
    expect(Statistics.mcnemar(8, 2)).toBeCloseTo(112 / 1024, 14);
    expect(Statistics.mcnemar(3, 3)).toBe(1);
    expect(Statistics.mcnemar(2000, 1000)).toBeGreaterThan(0);
    // 2.5 standard deviations of 10,000 throws: the normal tail, to a percent.
    expect(Statistics.mcnemar(5125, 4875)).toBeCloseTo(2 * (1 - Statistics.normal(2.49)), 3);
  });

  test("Holm's values are those of the example 0.01, 0.04, 0.03, 0.005", () => {
    // Sorted 0.005·4, 0.01·3, 0.03·2, 0.04·1, none under the one before.
    expect(Statistics.holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
    expect(Statistics.holm([0.9, 0.9])).toEqual([1, 1]);
    expect(Statistics.holm([])).toEqual([]);
  });

  test("the fewest pairs for a verdict are 6 for one field and 9 for eight", () => {
    expect([1, 2, 8, 20].map(Statistics.leastDiscordant)).toEqual([6, 7, 9, 10]);
    for (const m of [1, 8, 20]) {
      const least = Statistics.leastDiscordant(m);
      expect(Statistics.mcnemar(0, least) * m).toBeLessThanOrEqual(0.05);
      expect(Statistics.mcnemar(0, least - 1) * m).toBeGreaterThan(0.05);
    }
  });

  test("a difference of 5 points needs 626 receipts where a fifth of the pairs differ, more for more fields", () => {
    // (1.959964·√0.2 + 0.841621·√0.1975)/0.05 = (0.876522 + 0.374023)/0.05 = 25.0109; squared 625.55.
    expect(Statistics.neededReceipts(0.2, 1)).toBe(626);
    // (2.734369·√0.2 + 0.374023)/0.05 = 31.9371; squared 1019.98.
    expect(Statistics.neededReceipts(0.2, 8)).toBe(1020);
    expect(Statistics.neededReceipts(0, 1)).toBe(Statistics.neededReceipts(0.05, 1));
  });
});

describe("the bootstrap", () => {
  /** Documents with one counter each, in the form that the bootstrap takes. */
  function matrixOf(values: number[]): Bootstrap.Matrix {
    return {
      documents: values.length,
      usual: new Float64Array([0, 1]),
      starts: Uint32Array.from({ length: values.length + 1 }, (_, i) => i),
      columns: new Uint16Array(values.length),
      differences: Float64Array.from(values),
    };
  }
  const mean: Bootstrap.Figure = (sums) => (sums[0] ?? 0) / (sums[1] ?? 1);

  test("is the same every time, and agrees with theory for a share of 30 in 100", () => {
    const shares = Array.from({ length: 100 }, (_, i) => (i < 30 ? 1 : 0));
    const [interval] = Bootstrap.intervals(matrixOf(shares), [mean]);
    expect(Bootstrap.intervals(matrixOf(shares), [mean])).toEqual([interval]);
    // 0.3 ± 1.96·√(0.3·0.7/100) is 0.210 to 0.390; drawn shares are hundredths.
    expect(interval?.[0]).toBeCloseTo(0.21, 1.5);
    expect(interval?.[1]).toBeCloseTo(0.39, 1.5);
  });

  test("of no documents is null, and draws in which the figure is undefined are left out", () => {
    expect(Bootstrap.intervals(matrixOf([]), [mean])).toEqual([null]);
    const found = Bootstrap.intervals(matrixOf([0, 1]), [(sums) => (sums[0] === 0 ? null : 1), () => null]);
    expect(found).toEqual([[1, 1], null]);
  });

  describe("of shares", () => {
    const interval = (values: number[], of: Bootstrap.Figure = mean) => {
      const sums = new Float64Array([values.reduce((sum, value) => sum + value, 0), values.length]);
      return Bootstrap.shares(matrixOf(values), [{ of, value: of(sums) }])[0];
    };

    test("is Wilson's, each document one trial, for few documents and for documents that are all alike", () => {
      // One perfect document shows only that the share is over 1/(1 + 1.96²) = 0.2065.
      expect(interval([1])).toEqual([expect.closeTo(1 / (1 + 3.841458821), 6), 1]);
      expect(interval([1, 0.9])).toEqual(Statistics.wilson(1.9, 2));
      expect(interval(Array(40).fill(1))).toEqual(Statistics.wilson(40, 40));
      expect(interval(Array(40).fill(0.5))).toEqual(Statistics.wilson(20, 40));
    });

    test("is the bootstrap's if at least ten documents have the figure", () => {
      const values = Array.from({ length: 10 }, (_, i) => i / 10);
      expect(interval(values)).toEqual(Bootstrap.intervals(matrixOf(values), [mean])[0]);
      // Nine of these documents have the figure: with a counter of 0 it is 0/0.
      const some: Bootstrap.Figure = (sums) => (sums[0] === 0 ? null : mean(sums));
      expect(interval(values, some)).toEqual(Statistics.wilson((4.5 / 10) * 9, 9));
      expect(interval(values, () => null)).toBeNull();
      expect(interval([])).toBeNull();
    });

    test("contains the true share for 3, 5 and 9 documents in nine of ten cases, which percentiles do not", () => {
      const draw = Random.generator(11);
      const [trials, share] = [1_000, 0.8];
      for (const documents of [3, 5, 9]) {
        const holds = { shares: 0, percentiles: 0 };
        for (let trial = 0; trial < trials; trial += 1) {
          const values = Array.from({ length: documents }, () => Number(draw() / 2 ** 32 < share));
          const isIn = ([low, high]: readonly number[]) =>
            Number((low ?? 1) <= share && share <= (high ?? 0));
          holds.shares += isIn(interval(values) ?? []);
          const n = values.length;
          const drawn = Array.from({ length: 100 }, () => {
            let sum = 0;
            for (let i = 0; i < n; i += 1) sum += values[Math.floor((draw() / 2 ** 32) * n)] ?? 0;
            return sum / n;
          }).toSorted((a, b) => a - b);
          holds.percentiles += isIn([drawn[2] ?? 0, drawn[97] ?? 0]);
        }
        expect(holds.shares / trials, `${documents}`).toBeGreaterThan(0.88);
        expect(holds.percentiles / trials, `${documents}`).toBeLessThan(0.88);
      }
    });
  });

  test("95 of 100 intervals contain the true share for 60 documents", () => {
    const draw = Random.generator(7);
    let holds = 0;
    for (let trial = 0; trial < 100; trial += 1) {
      const shares = Array.from({ length: 60 }, () => (draw() / 2 ** 32 < 0.3 ? 1 : 0));
      const [low = 1, high = 0] = Bootstrap.intervals(matrixOf(shares), [mean])[0] ?? [];
      if (low <= 0.3 && 0.3 <= high) holds += 1;
    }
    expect(holds).toBeGreaterThanOrEqual(88);
    expect(holds).toBeLessThan(100);
  });
});
