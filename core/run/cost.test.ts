import { afterAll, beforeAll, expect, test, vi } from "vitest";
import * as Config from "#core/config";
import * as TestDatabase from "#test/support/test-database";
import * as Cost from "./cost.ts";
import { RunCost } from "./cost-schema.ts";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;

beforeAll(async () => {
  database = await TestDatabase.start();
});
afterAll(() => database.close());

/** 90 read, of which 80 fit the schema, in half an hour of model time. */
const row = {
  ...{ runUid: "run-1", modelMs: 1_800_000, pages: 100 },
  ...{ succeeded: 90, failed: 8, canceled: 2, schemaOk: 80 },
};

async function costOf(env: Record<string, string>, more: Partial<typeof row> = {}, right?: number) {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  Config.reset();
  try {
    return await Cost.of(database.db, { ...row, ...more }, right);
  } finally {
    vi.unstubAllEnvs();
    Config.reset();
  }
}

test("without a price of the GPU nothing is said", async () => {
  expect(await costOf({ GPU_COST_PER_HOUR: "" })).toBeNull();
});

test("the parts add up, and are divided by what was read, fits its schema, and is right", async () => {
  const cost = await costOf({ GPU_COST_PER_HOUR: "0.5" }, {}, 40);
  if (cost === null) throw new Error("there is a price");
  expect(RunCost.parse(cost)).toEqual(cost);
  expect(cost).toMatchObject({ basis: "gpu_cost_per_hour", provisional: false, gpu: 0.25, gpu_idle: null });
  expect(cost.total).toBeCloseTo(cost.gpu + cost.aws + cost.storage, 7);
  // 1,800 s in functions of 1.769 GB are most of what AWS takes.
  expect(cost.aws).toBeGreaterThan(1_800 * 1.769 * 0.0000133334);
  expect(cost.aws).toBeLessThan(1.3 * 1_800 * 1.769 * 0.0000133334);
  expect(cost.per_receipt).toBeCloseTo(cost.total / 90, 7);
  expect(cost.per_schema_valid).toBeCloseTo(cost.total / 80, 7);
  expect(cost.per_correct).toBeCloseTo(cost.total / 40, 7);
  expect(cost.per_model_second).toBeCloseTo(cost.total / 1_800, 7);
});

test("a run that read nothing has no cost of a receipt", async () => {
  const none = { succeeded: 0, failed: 0, canceled: 0, schemaOk: 0, modelMs: 0, pages: 0 };
  expect(await costOf({ GPU_COST_PER_HOUR: "0.5" }, none, 0)).toMatchObject({
    ...{
      gpu: 0,
      total: 0,
      per_receipt: null,
      per_schema_valid: null,
      per_correct: null,
      per_model_second: null,
    },
  });
});
