import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as Align from "./align.ts";
import * as Distance from "./distance.ts";

const align = (alike: number[][]) =>
  Align.align(alike.length, alike[0]?.length ?? 0, (i, j) => alike[i]?.[j] ?? 0);

/** The largest sum of similarities over all one-to-one pairings, by trying them. */
function best(alike: readonly (readonly number[])[], row = 0, taken = new Set<number>()): number {
  if (row === alike.length) return 0;
  let most = best(alike, row + 1, taken);
  alike[row]?.forEach((value, column) => {
    if (value < Align.threshold || taken.has(column)) return;
    most = Math.max(most, value + best(alike, row + 1, new Set(taken).add(column)));
  });
  return most;
}

describe("rows are paired", () => {
  test("so that the sum of all similarities is largest, not each pair in turn", () => {
    // The first row by itself would take 0.9 and leave 0 for the second: 0.8 + 0.8 is more.
    expect(
      align([
        [0.9, 0.8],
        [0.8, 0],
      ]),
    ).toEqual([
      [0, 1],
      [1, 0],
    ]);
  });

  test("if they are similar by at least half; less similar rows stay unpaired", () => {
    expect(align([[0.5, 0.49]])).toEqual([[0, 0]]);
    expect(align([[0.49]])).toEqual([]);
    // 0.49 + 0.49 is more than 0.9, but is below the threshold and counts as 0.
    expect(
      align([
        [0.9, 0.49],
        [0.49, 0],
      ]),
    ).toEqual([[0, 0]]);
  });

  test("by position if several pairings are equally good", () => {
    const same = (rows: number, columns: number) =>
      align(Array.from({ length: rows }, () => Array(columns).fill(1)));
    expect(same(3, 3)).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
    ]);
    expect(same(2, 4)).toEqual([
      [0, 0],
      [1, 1],
    ]);
    expect(same(4, 2)).toEqual([
      [0, 0],
      [1, 1],
    ]);
    expect(same(0, 2)).toEqual([]);
  });

  test("with the sum that no other pairing exceeds", () => {
    const share = fc.integer({ min: 0, max: 20 }).map((n) => n / 20);
    const matrix = fc
      .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }))
      .chain(([rows, columns]) => {
        const row = fc.array(share, { minLength: columns, maxLength: columns });
        return fc.array(row, { minLength: rows, maxLength: rows });
      });
    fc.assert(
      fc.property(matrix, (alike) => {
        const pairs = align(alike);
        const sum = pairs.reduce((total, [i, j]) => total + (alike[i]?.[j] ?? 0), 0);
        expect(sum).toBeCloseTo(best(alike), 9);
        expect(new Set(pairs.map(([, j]) => j)).size).toBe(pairs.length);
      }),
      { numRuns: 300, seed: 16 },
    );
  });

  test("in bounded time at the worst costs that are known", () => {
    const worst = Array.from({ length: 200 }, (_, i) =>
      Array.from({ length: 200 }, (_, j) => 1 - ((i + 1) * (j + 1)) / 80_200),
    );
    const begun = process.cpuUsage();
    expect(align(worst)).toHaveLength(200);
    expect(process.cpuUsage(begun).user / 1e6).toBeLessThan(2);
  });
});

describe("how far two texts are apart", () => {
  test("is counted in code points", () => {
    expect(Distance.levenshtein("kitten", "sitting")).toBe(3);
    expect(Distance.levenshtein("𝟏𝟐𝟑", "𝟏𝟗𝟑")).toBe(1);
    expect(Distance.levenshtein("😀a", "b")).toBe(2);
    expect(Distance.length("😀a")).toBe(2);
    expect(Distance.similarity("Tea", "Tee")).toBeCloseTo(2 / 3, 14);
    expect(Distance.similarity("", "")).toBe(1);
    expect(Distance.similarity("", "x")).toBe(0);
  });

  test("is the largest possible for texts that would take seconds", () => {
    const long = "ab".repeat(3000);
    expect(Distance.levenshtein(long, `${long}c`)).toBe(6001);
  });
});
