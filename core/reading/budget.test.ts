import { describe, expect, test } from "vitest";
import { AppError, type Code } from "#core/error";
import type { Fault } from "#core/vision/fault";
import * as Vision from "#core/vision/vision";
import * as Budget from "./budget.ts";

const requeueDelaysMs = [2_000, 10_000, 60_000];
type Spent = Parameters<typeof Budget.afterFailure>[0];
const fresh: Spent = { attempts: 0, claims: 1, suspects: 0 };

/** The verdict of an extract's failure, and of an item's. */
function verdicts(row: Partial<Spent>, code: Code, fault?: Fault, retryAfterS?: number) {
  const error =
    fault === undefined
      ? new AppError(code, "failed")
      : new Vision.VisionError(code, "failed", {
          reason: "test",
          fault,
          rawText: "",
          usage: null,
          retryAfterS,
        });
  const of = (isolates: boolean) =>
    Budget.afterFailure({ ...fresh, ...row }, { error, thrown: error }, { isolates, requeueDelaysMs });
  return { extract: of(false), item: of(true) };
}

const reset: Fault = { kind: "reset", afterSend: true };
const refused: Fault = { kind: "refused", afterSend: false };
const again = (counted: boolean, suspect: boolean, delayMs: number) => ({
  kind: "again",
  ...{ counted, suspect, delayMs },
});

describe("after a failure", () => {
  test("an outage costs neither an extract nor an item anything, however often", () => {
    const wait = { kind: "wait", suspect: false };
    for (const attempts of [0, 2])
      expect(verdicts({ attempts }, "inference_unavailable", refused)).toEqual({ extract: wait, item: wait });
  });

  test("the third attempt that counts is the last, and each waits longer", () => {
    const delays = [0, 1].map((attempts) => verdicts({ attempts }, "inference_timeout"));
    expect(delays).toEqual([
      { extract: again(true, false, 2_000), item: again(true, false, 2_000) },
      { extract: again(true, false, 10_000), item: again(true, false, 10_000) },
    ]);
    const final = { kind: "final" };
    expect(verdicts({ attempts: 2 }, "inference_timeout")).toEqual({ extract: final, item: final });
  });

  test("the pause that an overloaded model server asks for is kept, and costs no attempt", () => {
    const fault: Fault = { kind: "status", status: 429, afterSend: true, fromModelServer: true };
    const free = again(false, false, 20_000);
    expect(verdicts({ attempts: 2 }, "inference_unavailable", fault, 20)).toEqual({
      extract: free,
      item: free,
    });
  });

  test("the third lost connection ends both; before that an item is asked again immediately, the last time in isolation", () => {
    const crash = { kind: "crash" };
    expect(verdicts({ suspects: 2 }, "inference_failed", reset)).toEqual({ extract: crash, item: crash });
    const second = verdicts({ suspects: 1, attempts: 2 }, "inference_failed", reset);
    expect(second).toEqual({ extract: { kind: "final" }, item: again(false, true, 0) });
    expect(verdicts({}, "inference_failed", reset)).toEqual({
      extract: again(true, true, 2_000),
      item: again(false, true, 0),
    });
  });

  test("a refused request, and one without any usable answer, is not repeated", () => {
    const final = { kind: "final" };
    expect(verdicts({}, "invalid_model_output")).toEqual({ extract: final, item: final });
    const fault: Fault = { kind: "oversized", afterSend: true };
    expect(verdicts({}, "inference_failed", fault)).toEqual({ extract: final, item: final });
  });
});
