import { expect, it } from "vitest";
import * as Totals from "./totals.ts";

const report = (changes: object = {}) =>
  JSON.stringify({
    success: true,
    numPassedTests: 5,
    numFailedTests: 0,
    numPendingTests: 1,
    numTodoTests: 1,
    testResults: [],
    ...changes,
  });

it("the totals are the runner's", () => {
  expect(Totals.line(Totals.count(report(), 0))).toBe("5 passed, 0 failed, 2 skipped");
  const failed = report({
    success: false,
    numFailedTests: 2,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [{ status: "failed", assertionResults: [{ status: "failed" }, { status: "failed" }] }],
  });
  expect(Totals.line(Totals.count(failed, 1))).toBe("5 passed, 2 failed");
});

it("a file that could not be loaded is a failed test", () => {
  const broken = report({ success: false, testResults: [{ status: "failed", assertionResults: [] }] });
  expect(Totals.count(broken, 1).failed).toBe(1);
});

it("a run that fails without a failed test is not green", () => {
  expect(Totals.count(report(), 1).failed).toBe(1);
  expect(Totals.count(report({ success: false }), 0).failed).toBe(1);
  expect(Totals.count(undefined, 0).failed).toBe(1);
});
