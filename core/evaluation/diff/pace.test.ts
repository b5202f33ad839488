import { expect, test } from "vitest";
import * as Pace from "./pace.ts";

test("reading that will not end in time is detected after three seconds, and reading that may end in time continues", () => {
  const of = (total: number) => ({ begunAt: 0, deadline: 24_000, total });
  // 1,000 lines in 4 s: at this rate 6,000 are read in 24 s, and 9,000 if the reader becomes 1.5 times as fast.
  expect(Pace.isTooLong(of(9_000), 1_000, 4_000)).toBe(false);
  expect(Pace.isTooLong(of(9_100), 1_000, 4_000)).toBe(true);
  expect(Pace.isTooLong(of(8_000), 5_900, 23_900)).toBe(false);
  expect(Pace.isTooLong(of(8_000), 5_900, 24_001)).toBe(true);
  // Too early to tell.
  expect(Pace.isTooLong(of(1_000_000), 1, 2_900)).toBe(false);
});
