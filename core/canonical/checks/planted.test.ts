import { describe, expect, test } from "vitest";
import { normalize } from "#core/canonical/normalize";
import * as Task from "#core/task/task";
import * as Checks from "./checks.ts";
import { answerOf, documents } from "./documents-for-tests.ts";
import * as Labeled from "./labeled-for-tests.ts";
import { type Tally, tally } from "./planted-for-tests.ts";

const judge = { tasks: Task, checks: Checks, normalize };
/** Each digit is replaced once; `npm run bench -- planted` replaces it by more. */
const steps = [4];

function print(title: string, { planted, noticed, lost }: Tally): void {
  const share = (count: number) => `${((100 * count) / planted).toFixed(1)} %`;
  const rows = [...lost]
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `  ${reason}: ${share(count)}`);
  console.info(
    `${title}: ${noticed} of ${planted} noticed (${share(noticed)}); left out and not noticed:\n${rows.join("\n")}`,
  );
}

if (!Labeled.isPresent) console.warn("skipped: errors planted in real receipts (../shared is not there)");

describe.skipIf(!Labeled.isPresent)("real receipts", () => {
  test("raise no alarm, nor do answers of models whose values are right", () => {
    const documents = [...Labeled.documents(), ...Labeled.answered()];
    expect(documents.length).toBeGreaterThan(100);
    expect(tally(documents, judge, []).falseAlarms).toEqual([]);
  });

  test("show more than half of all errors of one digit", () => {
    const result = tally(Labeled.documents(), judge, steps);
    print("labeled", result);
    // It was 51 % before the checks allowed for missing parts. Most of the other errors are in amounts that belong to
    // no sum: a total alone, or rows without a total.
    expect(result.noticed / result.planted).toBeGreaterThan(0.55);
    const lost = [...result.lost.values()].reduce((sum, each) => sum + each, 0);
    expect(lost / result.planted).toBeLessThan(0.05);
  });
});

test("made-up documents raise no alarm, and of their amounts with one wrong digit most are noticed", () => {
  const all = documents.map((each) => ({ name: each.kind, taskId: each.taskId, answer: answerOf(each) }));
  const result = tally(all, judge, steps);
  print("made up", result);
  expect(result.falseAlarms).toEqual([]);
  expect(result.noticed / result.planted).toBeGreaterThan(0.6);
});
