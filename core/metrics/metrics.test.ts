import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as Config from "#core/config";
import { AppError, type Code } from "#core/error";
import * as Metrics from "#core/metrics/metrics";
import { metrics, namespace } from "#spec/metrics";

let lines: string[];
beforeEach(() => {
  lines = [];
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    lines.push(...String(chunk).trim().split("\n"));
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  Config.reset();
});
function on(stage: string) {
  vi.stubEnv("OCRLTY_STAGE", stage);
  Config.reset();
}

/** The values that CloudWatch reads from a line, by the format's own references to names and values. */
interface Emf {
  _aws: {
    CloudWatchMetrics: {
      Namespace: string;
      Dimensions: string[][];
      Metrics: { Name: string; Unit: string }[];
    }[];
  };
  [name: string]: unknown;
}
const read = () =>
  lines.map((line) => {
    const emf = JSON.parse(line) as Emf;
    const [about] = emf._aws.CloudWatchMetrics;
    return {
      namespace: about?.Namespace,
      dimensions: about?.Dimensions[0]?.map((name) => `${name}=${emf[name]}`),
      values: Object.fromEntries(
        about?.Metrics.map(({ Name, Unit }) => [`${Name} ${Unit}`, emf[Name]]) ?? [],
      ),
      others: Object.keys(emf).filter((name) => name !== "_aws" && !about?.Dimensions.flat().includes(name)),
    };
  });
const call = (more: Partial<Parameters<typeof Metrics.modelCall>[0]> = {}) =>
  Metrics.modelCall({ durationMs: 1234, failed: false, timedOut: false, ...more });

describe("metrics of a deployed stage", () => {
  test("a failed probe of the model server is one line, with only the count", () => {
    on("staging");
    Metrics.modelAway();
    expect(read()).toMatchObject([{ values: { "ModelAway Count": 1 }, others: ["ModelAway"] }]);
    on("local");
    Metrics.modelAway();
    expect(lines).toHaveLength(1);
  });

  test("a model call is one line with its duration and whether it failed; its only dimensions are service and stage", () => {
    on("staging");
    call();
    expect(read()).toEqual([
      {
        namespace,
        dimensions: ["service=ocrlty", "stage=staging"],
        values: { "ModelCallErrors Count": 0, "ModelCallMs Milliseconds": 1234 },
        others: [metrics.modelCallErrors, metrics.modelCallMs],
      },
    ]);
  });

  test("values of different calls are not mixed: each line has its own", () => {
    on("staging");
    for (const durationMs of [1, 2]) call({ durationMs });
    expect(read().map(({ values }) => values["ModelCallMs Milliseconds"])).toEqual([1, 2]);
  });

  test("a call that ran out of time counts as slow, and a refused call is not counted", () => {
    on("staging");
    call({ failed: true, timedOut: true, durationMs: 25_000 });
    call({ failed: true, durationMs: 2 });
    expect(read().map(({ values }) => values)).toEqual([
      { "ModelCallErrors Count": 1, "ModelCallMs Milliseconds": 25_000 },
      { "ModelCallErrors Count": 1 },
    ]);
  });

  test("a picture counts when it was read or the model failed at it, not for an outage or its own faults", () => {
    on("staging");
    const failed = (code: Code) => Metrics.item(new AppError(code, "private words"));
    Metrics.item(undefined);
    for (const code of ["inference_failed", "invalid_model_output", "internal"] as const) failed(code);
    for (const code of [
      "inference_unavailable",
      "inference_timeout",
      "storage_unavailable",
      "invalid_image",
    ] as const)
      failed(code);
    expect(read().map(({ values }) => values["ItemErrors Count"])).toEqual([0, 1, 1, 1]);
    expect(lines.join()).not.toContain("private");
  });
});

test("a laptop writes no metrics", () => {
  on("local");
  call();
  Metrics.item(undefined);
  expect(lines).toEqual([]);
});
