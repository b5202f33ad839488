import * as z from "zod";

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part of vitest's JSON report that is used. */
const Report = z.object({
  success: z.boolean(),
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ status: z.string(), fullName: z.string() })),
    }),
  ),
});

/**
 * The runner's totals. A file that could not be loaded counts as one failed test, and so does a run that failed
 * without one: no report, or an error outside of any test.
 * @param report - vitest's JSON, undefined if it wrote none;
 * @param status - its exit status.
 */
export function count(report: string | undefined, status: number): Totals {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const { success, testResults, ...numbers } = Report.parse(JSON.parse(report));
  const unloaded = testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  ).length;
  const failed = numbers.numFailedTests + unloaded;
  return {
    passed: numbers.numPassedTests,
    failed: failed === 0 && (status !== 0 || !success) ? 1 : failed,
    skipped: numbers.numPendingTests + numbers.numTodoTests,
  };
}

/**
 * The files in which a test failed, with those tests' full names (none for a file that could not be loaded).
 * @param report - vitest's JSON.
 */
export function failedFiles(report: string): { file: string; tests: string[] }[] {
  return Report.parse(JSON.parse(report))
    .testResults.filter(({ status }) => status === "failed")
    .map(({ name, assertionResults }) => ({
      file: name,
      tests: assertionResults.filter(({ status }) => status === "failed").map(({ fullName }) => fullName),
    }));
}

/**
 * The totals of a run whose failed files were run a second time, alone: a test that failed both times has failed.
 * @param first - the totals of the whole run;
 * @param again - those of the failed files alone.
 */
export function repeated(first: Totals, again: Totals): Totals {
  const failed = Math.min(first.failed, again.failed);
  return { ...first, passed: first.passed + first.failed - failed, failed };
}

/** The closing line that CI reads: `N passed, N failed`, and `, N skipped` when there are any. */
export function line({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
