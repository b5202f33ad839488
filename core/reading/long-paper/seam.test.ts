import { describe, expect, test } from "vitest";
import { join } from "./seam.ts";

const row = (name: string | null, price: string | null = "1.00", quantity: string | null = "1") => ({
  ...{ name, quantity, unit_price: null, price },
});
const rows = (...names: string[]) => names.map((name, at) => row(name, `${at + 1}.25`));
const list = rows("Milk", "Bread", "Butter", "Apples", "Rice", "Tea", "Soap", "Ham", "Eggs", "Wine");
const six = (amounts = 6) => ({ lines: 6, amounts });

describe("rows of two tiles of one page", () => {
  test("are each taken once, however many rows both tiles show", () => {
    for (const shared of [1, 2, 4, 6])
      expect(join(list.slice(0, 6), list.slice(6 - shared), six(shared))).toEqual({
        rows: list,
        isClear: true,
      });
  });

  test("are all taken if no row is in both tiles", () => {
    expect(join(list.slice(0, 5), list.slice(5), six(0))).toEqual({ rows: list, isClear: true });
    expect(join([], list, six(3))).toEqual({ rows: list, isClear: true });
    expect(join(list, [], six(3))).toEqual({ rows: list, isClear: true });
  });

  test("stay as many as they are on the paper where neighbors are equal", () => {
    const same = row("Milk", "0.99");
    for (const shared of [1, 2, 3, 5]) {
      const paper = [...list.slice(0, 3), ...Array.from({ length: 9 }, () => same), ...list.slice(3)];
      const upper = paper.slice(0, 8);
      expect(join(upper, paper.slice(8 - shared), six(shared)).rows).toEqual(paper);
    }
  });

  test("are the same rows when a letter or one digit was misread, or a name differs in case and blanks", () => {
    const lower = [row("b read", "2.25"), row("Buttor", "3.25"), row("Apples", "4.75"), ...list.slice(4)];
    const { rows: found } = join(list.slice(0, 4), lower, six(3));
    expect(found).toHaveLength(list.length);
  });

  test("whose names differ in a digit are two rows, even if all else is equal", () => {
    const numbered = Array.from({ length: 12 }, (_, at) => row(`T${at + 100} Milk`, "1.99"));
    expect(join(numbered.slice(0, 6), numbered.slice(3), six(3)).rows).toEqual(numbered);
    expect(join(numbered.slice(0, 6), numbered.slice(6), six(0)).rows).toEqual(numbered);
  });

  test("that stand on two lines are taken from the tile that shows both", () => {
    // The upper tile ends above the price of its last row, and the lower tile begins below the name of its first row.
    const upper = [...list.slice(0, 5), row("Tea", null, null)];
    const lower = [row("2 x 2.00", "4.25"), ...list.slice(4)];
    expect(join(upper, lower, six(3)).rows).toEqual(list);
  });

  test("are completed where one of the tiles lacks a row that the other has", () => {
    const without = (at: number) => list.toSpliced(at, 1);
    expect(join(list.slice(0, 8), without(4).slice(2), six(6)).rows).toEqual(list);
    expect(join(without(4).slice(0, 7), list.slice(2), six(6)).rows).toEqual(list);
    // Also if the rows around it are equal, so that the next row has taken its place.
    const milk = row("Milk", "0.99");
    const paper = [...list.slice(0, 4), milk, milk, milk, ...list.slice(4)];
    expect(join(paper.slice(0, 7), [...paper.slice(2, 6), ...paper.slice(7)], six(5)).rows).toEqual(paper);
  });

  test("are all kept, and reported as unclear, if no row occurs in both tiles although some should", () => {
    const other = rows("Cable", "Lamp", "Brush", "Paint").map((each) => ({ ...each, price: "9.99" }));
    expect(join(list, other, six(3))).toEqual({ rows: [...list, ...other], isClear: false });
  });
});
