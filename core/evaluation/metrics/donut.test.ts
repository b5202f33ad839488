import { describe, expect, test } from "vitest";
import * as Donut from "./donut.ts";

describe("Donut's tree-edit accuracy", () => {
  test("a missing digit costs one character of the truth's total weight", () => {
    // Truth: node total 1 and leaf "12.50" 5, so 6; distance 1.
    expect(Donut.accuracy({ total: "12.5" }, { total: "12.50" })).toBeCloseTo(1 - 1 / 6, 14);
    // Two keys: 1 + 4 and 1 + 5 = 11; the second is deleted.
    expect(Donut.accuracy({ cash: "5.00" }, { cash: "5.00", total: "12.50" })).toBeCloseTo(1 - 6 / 11, 14);
    expect(Donut.accuracy({ total: "12.50" }, { total: "12.50" })).toBe(1);
    expect(Donut.accuracy({}, { total: "12.50" })).toBe(0);
  });

  test("a row that is missing costs its node, its names and its texts", () => {
    // A row: <subtree> 1, nm 1 + "tea" 3, price 1 + "2" 1 = 7. Two rows and `menu`: 15.
    const row = { nm: "tea", price: "2" };
    expect(Donut.accuracy({ menu: [row] }, { menu: [row, row] })).toBeCloseTo(1 - 7 / 15, 14);
    // One name differs: 1 of 15.
    const other = { num: "tea", price: "2" };
    expect(Donut.accuracy({ menu: [row, row] }, { menu: [row, other] })).toBeCloseTo(1 - 1 / 15, 14);
  });

  test("a distance larger than the truth's weight gives 0, not less", () => {
    expect(Donut.accuracy({ a: "xxxxxxxxxxxxxxxxxxxx" }, { b: "y" })).toBe(0);
  });

  test("the order of fields does not matter, the order of lists does", () => {
    const [a, b] = [{ nm: "tea" }, { nm: "milk" }];
    expect(Donut.accuracy({ y: "2", x: "1" }, { x: "1", y: "2" })).toBe(1);
    expect(Donut.accuracy({ menu: [a, b] }, { menu: [b, a] })).toBeLessThan(1);
  });

  test("the published evaluator's quirks are kept", () => {
    // 0 counts as empty, "0" is a text; a group beside a text in a list is left out; a list of one is the same as its
    // value.
    expect(Donut.accuracy({ total: 0 }, { total: "0" })).toBe(0);
    expect(Donut.accuracy({ total: [0] }, { total: "0" })).toBe(1);
    expect(Donut.accuracy({ a: ["x", { b: "y" }] }, { a: "x" })).toBe(1);
    expect(Donut.accuracy({ a: "x", tip: null, b: {}, c: [], d: "" }, { a: " x\x1f" })).toBe(1);
    expect(Donut.accuracy({ a: true }, { a: "True" })).toBe(1);
  });

  test("characters are counted by code points", () => {
    // 𝟏𝟐 against 𝟏𝟑: one of two characters, and the node.
    expect(Donut.accuracy({ t: "𝟏𝟐" }, { t: "𝟏𝟑" })).toBeCloseTo(1 - 1 / 3, 14);
  });

  test("for an empty truth, an empty answer is right and any other is wrong", () => {
    expect(Donut.accuracy({}, {})).toBe(1);
    expect(Donut.accuracy({ a: "x" }, { b: null })).toBe(0);
  });
});

test("trees that are too large have no accuracy", () => {
  const menu = Array.from({ length: 400 }, (_, i) => ({ a: `${i}`, b: "1", c: "2", d: "3" }));
  expect(Donut.accuracy({ menu }, { menu })).toBeNull();
  expect(Donut.accuracy({ menu: menu.slice(0, 9) }, { menu: menu.slice(0, 9) })).toBe(1);
});

describe("Donut's F1", () => {
  test("values count with their path, positions in lists do not", () => {
    const truth = { menu: [{ nm: "tea" }, { nm: "milk" }], total: "5" };
    const answer = { menu: [{ nm: "milk" }, { nm: "tea" }, { nm: "tea" }], total: "6" };
    // tea and milk; over are one tea and 6, under is 5: 2/(2 + 3/2).
    expect(Donut.counts(answer, truth)).toEqual({ matched: 2, unmatched: 3 });
    expect(Donut.f1({ matched: 2, unmatched: 3 })).toBeCloseTo(2 / 3.5, 14);
    expect(Donut.f1(Donut.counts({}, {}))).toBeNull();
  });
});
