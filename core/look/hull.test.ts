import { expect, test } from "vitest";
import { random } from "#test/support/look/receipts";
import { area, cornersOf, distance, hullOf, hullOfMarks, meet } from "./hull.ts";

test("the hull of marks equals the hull of all corners of their boxes", () => {
  const r = random(4);
  for (let n = 0; n < 50; n += 1) {
    const marks = Array.from({ length: r.whole(1, 40) }, () => {
      const [left, top] = [r.whole(0, 200), r.whole(0, 200)];
      return { left, top, right: left + r.whole(0, 30), bottom: top + r.whole(0, 9), area: 1 };
    });
    expect(hullOfMarks(marks)).toEqual(hullOf(marks.flatMap(cornersOf)));
  }
  expect(hullOfMarks([])).toEqual([]);
});

test("hulls that overlap meet, and others have the distance of their nearest sides", () => {
  const square = (x: number, y: number, side: number) =>
    hullOf([0, 1].flatMap((a) => [0, 1].map((b) => ({ x: x + a * side, y: y + b * side }))));
  const one = square(0, 0, 10);
  expect(area(one)).toBe(100);
  expect(meet(one, square(9, 9, 10))).toBe(true);
  expect(meet(one, square(20, 0, 10))).toBe(false);
  expect(distance(one, square(20, 3, 10))).toBe(10);
  expect(distance(one, square(13, 14, 10))).toBe(5);
});
