/**
 * Checks the tests of infra/: each change of a number must make one of them fail. Each is changed in a copy, and the
 * named test is run.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import * as Mutant from "#test/soak/mutant";
import { mutations } from "#test/soak/mutations";

let copy: Mutant.Copy;
let all: readonly string[];
const rows: string[][] = [];

beforeAll(async () => {
  copy = await Mutant.copy();
  const { isGreen, passed, failed, others, seconds } = await copy.run();
  // If one failed or was skipped before, its failure would prove nothing.
  expect({ isGreen, failed, others }).toEqual({ isGreen: true, failed: [], others: 0 });
  expect(passed.length).toBeGreaterThan(50);
  all = passed;
  rows.push(["(nothing)", `none of ${passed.length}`, seconds.toFixed(0)]);
}, 600_000);

afterAll(() => {
  copy?.close();
  console.info(
    [["mutation", "failing test", "s"], ["---", "---", "---"], ...rows]
      .map((row) => `| ${row.join(" | ")} |`)
      .join("\n"),
  );
});

test.each(mutations)("%s (%s) makes its test fail", async (what, file, from, to, fails, ...more) => {
  const names = all.filter((name) => fails.test(name));
  expect(names, "the test that is to fail").toHaveLength(1);
  const { isGreen, failed, others, seconds } = await copy.mutated(file, [[from, to], ...more]);
  const isCaught = failed.includes(names[0] ?? "");
  const also = failed.length - 1 + others;
  const found = isCaught
    ? `${names[0]}${also > 0 ? ` (+ ${also})` : ""}`
    : `NOT: ${failed.join("; ")} (${others} skipped)`;
  rows.push([what, found, seconds.toFixed(0)]);
  expect(isGreen).toBe(false);
  expect(failed, `${what}; ${others} could not run`).toContain(names[0]);
});
