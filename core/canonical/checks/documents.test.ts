import { describe, expect, test } from "vitest";
import { normalize } from "#core/canonical/normalize";
import * as Task from "#core/task/task";
import * as Checks from "./checks.ts";
import { answerOf, documents } from "./documents-for-tests.ts";
import type { Verdict } from "./judge.ts";
import { replaced } from "./planted-for-tests.ts";
import type { MadeUp } from "./words-for-tests.ts";

function examine(document: MadeUp, answer: unknown): Verdict[] {
  const task = Task.get(document.taskId);
  return task ? Checks.examine(task, answer, normalize(task.fields, answer)) : [];
}

const isAlarm = (verdict: Verdict) => "check" in verdict && !verdict.check.ok;

describe.each(documents)("$kind", (document) => {
  const answer = answerOf(document);

  test("passes every check, and reads as its values", () => {
    const verdicts = examine(document, answer);
    const said = verdicts.map((verdict) =>
      "check" in verdict
        ? [verdict.check.id, verdict.check.ok ? { fits: verdict.check.variant } : verdict.check]
        : [verdict.leftOut.id, { leftOut: verdict.leftOut.reason }],
    );
    expect(Object.fromEntries(said)).toEqual(document.says);
  });

  test.skipIf(document.wrong === null)("is noticed when an amount is read wrongly", () => {
    const [path, value] = document.wrong ?? ["", ""];
    expect(examine(document, replaced(answer, path, value)).filter(isAlarm)).not.toEqual([]);
  });
});
