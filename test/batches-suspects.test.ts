import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Order from "#core/run/dispatch/order";
import { itemTable } from "#core/run/run.sql";
import { answer, type Batches, open, queuesOf, seed, silent } from "#test/support/batches/batches";
import { idOf, type Poison, poison } from "#test/support/batches/poison";

let batches: Batches;
let keys: string[];

beforeAll(async () => {
  batches = await open({ timeScale: 1 / 15, env: { ITEM_MAX_CONCURRENCY: "8" } });
  keys = await batches.keys(20);
});
afterAll(async () => {
  await batches?.close();
});

/**
 * The bad item failed after exactly three suspicions, and no other item failed. `asked`: how often the server read
 * it.
 */
async function expectOnlyBadFailed(runId: string, bad: number, crashes: Poison, asked = [3]): Promise<void> {
  const run = await batches.ended(runId, 40_000);
  const rows = await batches.verify(runId);
  expect(rows.filter(({ status }) => status === "failed").map(({ index }) => index)).toEqual([bad]);
  expect(rows[bad]?.errorCode).toBe("inference_failed");
  expect(run).toMatchObject({
    status: "succeeded",
    counts: { total: keys.length, succeeded: keys.length - 1, failed: 1 },
  });
  expect(asked).toContain(crashes.asked().get(`${runId}~${bad}`));
  // The last time no other item of its run was in flight, so that suspicion is certain.
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
    "ends after three suspicions, and no other item fails: concurrency $concurrency, away for $awayMs ms",
    async ({ concurrency, awayMs, bad }) => {
      const runId = `poison-${concurrency}-${awayMs}`;
      const crashes = poison(batches, { ids: [`${runId}~${bad}`], awayMs, serviceMs: 60 });
      await batches.create({ keys, run_id: runId, concurrency });
      await expectOnlyBadFailed(runId, bad, crashes);
      expect(crashes.crashes.length).toBe(3);
    },
    60_000,
  );

  test("two runs with one such picture each, at the same time: no other item fails", async () => {
    const ids = ["poison-a~4", "poison-b~6"];
    const crashes = poison(batches, { ids, awayMs: 0, serviceMs: 60 });
    await Promise.all([
      batches.create({ keys, run_id: "poison-a", concurrency: 4 }),
      batches.create({ keys, run_id: "poison-b", concurrency: 4 }),
    ]);
    // One of the suspicions may come from a request that was lost before the server read it, because the other run's
    // picture had just crashed the server.
    await expectOnlyBadFailed("poison-a", 4, crashes, [2, 3]);
    await expectOnlyBadFailed("poison-b", 6, crashes, [2, 3]);
  }, 60_000);
});

describe("a picture that became a suspect twice without being the cause", () => {
  /** More time than the other picture would need to reach the model server if it were sent. */
  const patienceMs = 1_500;

  test.each(["comes first", "comes second"])(
    "is asked alone among all runs: another run's picture that crashes the server and %s does not count against it",
    async (order) => {
      const [lone, bad] = [`lone-${order.slice(6)}`, `bad-${order.slice(6)}`];
      const here = new Set<string>();
      let crashes = 0;
      batches.model.respond = async (request) => {
        const id = idOf(request);
        here.add(id);
        const other = id === `${lone}~0` ? `${bad}~0` : `${lone}~0`;
        const until = Date.now() + patienceMs;
        while (!here.has(other) && Date.now() < until)
          await new Promise((resolve) => setTimeout(resolve, 10));
        if (id === `${bad}~0`) {
          crashes += 1;
          await batches.model.down();
          await batches.model.up();
          return { kind: "hang" };
        }
        // Long enough to be affected by the other picture, if it were there.
        return answer(300);
      };
      const key = keys[0] ?? "";
      const suspected = async () => {
        await seed(batches.db, { runId: lone, total: 1, concurrency: 1, key });
        await batches.db.query
          .update(itemTable)
          .set({ suspects: 2 })
          .where(eq(itemTable.runUid, `seed_${lone}`));
        await Order.order({ queues: queuesOf(batches.loop) }, await batches.row(lone), "plan", silent);
      };
      const poisoned = () => batches.create({ keys: [key], run_id: bad, concurrency: 1 });
      const [first, then, firstId] =
        order === "comes first" ? [poisoned, suspected, `${bad}~0`] : [suspected, poisoned, `${lone}~0`];
      await first();
      await vi.waitFor(() => expect(here).toContain(firstId), { timeout: 10_000, interval: 10 });
      await then();
      expect((await batches.ended(lone)).counts).toMatchObject({ succeeded: 1, failed: 0 });
      expect((await batches.ended(bad)).counts).toMatchObject({ succeeded: 0, failed: 1 });
      expect(crashes).toBe(3);
      expect((await batches.verify(bad))[0]?.errorCode).toBe("inference_failed");
    },
    60_000,
  );
});
