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
    z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) }),
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

/** The closing line that CI reads: `N passed, N failed`, and `, N skipped` when there are any. */
export function line({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
