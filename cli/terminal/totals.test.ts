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

const one = (status: string, fullName = "a guarantee") => ({ status, fullName });

it("the totals are the runner's", () => {
  expect(Totals.line(Totals.count(report(), 0))).toBe("5 passed, 0 failed, 2 skipped");
  const failed = report({
    success: false,
    numFailedTests: 2,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [{ name: "/a.test.ts", status: "failed", assertionResults: [one("failed"), one("failed")] }],
  });
  expect(Totals.line(Totals.count(failed, 1))).toBe("5 passed, 2 failed");
});

it("a file that could not be loaded is a failed test", () => {
  const broken = report({
    success: false,
    testResults: [{ name: "/a.test.ts", status: "failed", assertionResults: [] }],
  });
  expect(Totals.count(broken, 1).failed).toBe(1);
});

it("a run that fails without a failed test is not green", () => {
  expect(Totals.count(report(), 1).failed).toBe(1);
  expect(Totals.count(report({ success: false }), 0).failed).toBe(1);
  expect(Totals.count(undefined, 0).failed).toBe(1);
});

it("a test that failed in the whole run and passes alone has passed; one that fails both times has failed", () => {
  const first = { passed: 10, failed: 3, skipped: 1 };
  expect(Totals.repeated(first, { passed: 7, failed: 0, skipped: 0 })).toEqual({
    passed: 13,
    failed: 0,
    skipped: 1,
  });
  expect(Totals.repeated(first, { passed: 5, failed: 2, skipped: 0 })).toEqual({
    passed: 11,
    failed: 2,
    skipped: 1,
  });
  expect(Totals.repeated(first, { passed: 0, failed: 9, skipped: 0 })).toEqual(first);
});

it("the failed files are named with their failed tests, and one that was not loaded with none", () => {
  const testResults = [
    { name: "/a.test.ts", status: "passed", assertionResults: [one("passed")] },
    { name: "/b.test.ts", status: "failed", assertionResults: [one("passed", "b1"), one("failed", "b2")] },
    { name: "/c.test.ts", status: "failed", assertionResults: [] },
  ];
  expect(Totals.failedFiles(report({ success: false, testResults }))).toEqual([
    { file: "/b.test.ts", tests: ["b2"] },
    { file: "/c.test.ts", tests: [] },
  ]);
});
