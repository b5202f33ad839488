import { expect, test } from "vitest";
import * as Pace from "./pace.ts";

test("what will not be read in time is said after three seconds, and what may be is tried until the end", () => {
  const of = (total: number) => ({ begunAt: 0, deadline: 24_000, total });
  // 1,000 lines in 4 s: 6,000 are read in 24 s, 9,000 by a reader that becomes half as fast again.
  expect(Pace.isTooLong(of(9_000), 1_000, 4_000)).toBe(false);
  expect(Pace.isTooLong(of(9_100), 1_000, 4_000)).toBe(true);
  expect(Pace.isTooLong(of(8_000), 5_900, 23_900)).toBe(false);
  expect(Pace.isTooLong(of(8_000), 5_900, 24_001)).toBe(true);
  // Too early to tell.
  expect(Pace.isTooLong(of(1_000_000), 1, 2_900)).toBe(false);
});
