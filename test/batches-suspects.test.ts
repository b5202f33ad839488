import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Batches, open } from "#test/batches";
import { type Poison, poison } from "#test/batches/poison";

let batches: Batches;
let keys: string[];

beforeAll(async () => {
  batches = await open({ timeScale: 1 / 15, env: { ITEM_MAX_CONCURRENCY: "8" } });
  keys = await batches.keys(20);
});
afterAll(async () => {
  await batches?.close();
});

/** The bad one failed after exactly three marks, and nobody else did. */
async function expectOnlyBadFailed(runId: string, bad: number, crashes: Poison): Promise<void> {
  const run = await batches.ended(runId, 40_000);
  const rows = await batches.verify(runId);
  expect(rows.filter(({ status }) => status === "failed").map(({ index }) => index)).toEqual([bad]);
  expect(rows[bad]?.errorCode).toBe("inference_failed");
  expect(run).toMatchObject({
    status: "succeeded",
    counts: { total: keys.length, succeeded: keys.length - 1, failed: 1 },
  });
  expect(crashes.asked().get(`${runId}~${bad}`)).toBe(3);
  // The last time nobody of its run was beside it: that mark is its own.
  const last = crashes.crashes.findLast(({ inFlight }) => inFlight.includes(`${runId}~${bad}`));
  expect(last?.inFlight.filter((id) => id.startsWith(`${runId}~`))).toEqual([`${runId}~${bad}`]);
  for (const row of rows) expect(row.attempts, `attempts of ${row.index}`).toBe(1);
}

describe("a picture at which the model server loses all connections", () => {
  test.each([
    { concurrency: 1, awayMs: 0, bad: 3 },
    { concurrency: 4, awayMs: 0, bad: 5 },
    { concurrency: 4, awayMs: 600, bad: 9 },
  ])(
    "ends after three marks and fails nobody else: concurrency $concurrency, away for $awayMs ms",
    async ({ concurrency, awayMs, bad }) => {
      const runId = `poison-${concurrency}-${awayMs}`;
      const crashes = poison(batches, { ids: [`${runId}~${bad}`], awayMs, serviceMs: 60 });
      await batches.create({ keys, run_id: runId, concurrency });
      await expectOnlyBadFailed(runId, bad, crashes);
      expect(crashes.crashes.length).toBe(3);
    },
    60_000,
  );

  test("two runs with one each, at the same time: still nobody else fails", async () => {
    const ids = ["poison-a~4", "poison-b~6"];
    const crashes = poison(batches, { ids, awayMs: 0, serviceMs: 60 });
    await Promise.all([
      batches.create({ keys, run_id: "poison-a", concurrency: 4 }),
      batches.create({ keys, run_id: "poison-b", concurrency: 4 }),
    ]);
    await expectOnlyBadFailed("poison-a", 4, crashes);
    await expectOnlyBadFailed("poison-b", 6, crashes);
  }, 60_000);
});
