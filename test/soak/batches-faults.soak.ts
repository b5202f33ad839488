import { afterEach, describe, expect, test } from "vitest";
import * as Order from "#core/run/dispatch/order";
import { type App, product } from "#local/app";
import * as Queues from "#spec/queues";
import {
  answer,
  type Batches,
  mostInFlight,
  open,
  queuesOf,
  seed,
  silent,
} from "#test/support/batches/batches";
import { chaos } from "#test/support/batches/chaos";
import { fairness } from "#test/support/batches/fairness";
import * as Messages from "#test/support/batches/messages";
import { expectUnharmed, outage } from "#test/support/batches/outage";
import { restarts } from "#test/support/batches/restarts";
import * as Storm from "#test/support/batches/storm";

let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

/** The product with a lower limit for the receives of an item's messages. */
const impatient = (maxReceiveCount: number): App => ({
  ...product,
  queues: { ...product.queues, item: { ...Queues.queues.item, maxReceiveCount } },
});

async function start(options: Parameters<typeof open>[0]): Promise<{ batches: Batches; key: string }> {
  const batches = await open(options);
  close = () => batches.close();
  const [key = ""] = await batches.keys(1);
  return { batches, key };
}

describe("chaos", () => {
  test("500 items, five kills in every window, and stores away each time", async () => {
    const storm = await Storm.open({
      timeScale: 1 / 20,
      env: { ITEM_MAX_CONCURRENCY: "8" },
      respond: () => answer(40),
      lateMs: 12_000,
    });
    close = () => storm.batches.close();
    const [key = ""] = await storm.batches.keys(1);
    const line = await chaos(storm, {
      ...{ runId: "chaos", items: 500, key, concurrency: 8, rounds: 5 },
      ...{ awayMs: 3_000, timeoutMs: 300_000 },
    });
    console.info(line);
    for (const window of Storm.windows)
      expect(storm.report.kills[window], window).toBe(
        window === "before the note" || window === "in the finish" ? 1 : 5,
      );
  });

  test("the bucket is away until messages come out of the dead-letter queue: they are sent once more, and nothing fails", async () => {
    const fault = { away: false };
    const { batches, key } = await start({
      // A message becomes a dead letter at the tenth receive instead of the hundredth.
      ...{ timeScale: 1 / 30, app: impatient(10) },
      onRequest: { s3: () => (fault.away ? { status: 503 } : undefined) },
    });
    fault.away = true;
    await batches.seed({ runId: "night", total: 12, concurrency: 2, key });
    const buried = () => batches.loop.events("item_buried").length;
    const dead = async () => {
      const { waiting, invisible } = await Messages.counts(batches, { dead: true });
      return waiting + invisible;
    };
    await expect.poll(dead, { timeout: 240_000, interval: 100 }).toBeGreaterThanOrEqual(2);
    // No decision is made while artifacts cannot be looked up.
    expect(buried()).toBe(0);
    fault.away = false;
    const run = await batches.ended("night", 240_000);
    console.info(`${buried()} messages came out of the dead-letter queue`);
    expect(run.counts).toMatchObject({ succeeded: 12, failed: 0 });
    // Reconcile may have sent an item again before its old message was received.
    expect(buried()).toBeGreaterThanOrEqual(1);
    for (const { attempts } of await batches.verify("night")) expect(attempts).toBe(1);
    expect(batches.model.requests.length).toBe(12);
  });

  test("the whole stack is killed three times in the middle of a run of 300 items: it ends by itself", async () => {
    console.info(await restarts({ items: 300, kills: 3 }));
  });
});

test("the model server is away for ten seconds, a minute and six minutes, at a sixth of the time", async () => {
  const timeScale = 1 / 6;
  const { batches, key } = await start({ timeScale });
  batches.model.respond = () => answer(60);
  await batches.model.down();
  await batches.seed({ runId: "weather", total: 200, concurrency: 4, key });
  for (const awayMs of [10_000, 60_000, 360_000]) {
    const resumedMs = await outage(batches, "weather", awayMs * timeScale);
    console.info(`away for ${awayMs * timeScale} ms, asked again after ${resumedMs} ms`);
    expect(resumedMs).toBeLessThan(10_000);
    const asked = batches.model.requests.length;
    await expect.poll(() => batches.model.requests.length, { interval: 5 }).toBeGreaterThan(asked + 8);
    if (awayMs < 360_000) await batches.model.down();
  }
  await expectUnharmed(batches, "weather", 200);
});

test("concurrency 32 means 32 at the model server, and never more", async () => {
  const { batches, key } = await start({ env: { ITEM_MAX_CONCURRENCY: "32" } });
  const full = Promise.withResolvers<void>();
  const { model } = batches;
  // Holds every answer until all expected requests are there.
  model.respond = async () => {
    if (model.inFlight === 32) full.resolve();
    await full.promise;
    return answer(100);
  };
  await batches.seed({ runId: "wide", total: 200, concurrency: 32, key });
  await batches.ended("wide", 120_000);
  expect(mostInFlight(model.requests, "wide")).toBe(32);
  await batches.verify("wide");
});

test("a run of 5,000 items delays a run of 20 by one window at most, and a single extract not at all", async () => {
  const { batches, key } = await start({ env: { ITEM_MAX_CONCURRENCY: "8" } });
  batches.model.respond = () => answer(50);
  console.info(await fairness(batches, { large: 5_000, concurrency: 8, serviceMs: 50, key }));
});

test("100,000 items are canceled: the run ends, and nothing more is asked", async () => {
  const { batches, key } = await start({});
  batches.model.respond = () => answer(50);
  await seed(batches.db, { runId: "huge", total: 100_000, concurrency: 8, key });
  await Order.order({ queues: queuesOf(batches.loop) }, await batches.row("huge"), "plan", silent);
  await expect.poll(() => batches.model.requests.length, { timeout: 60_000 }).toBeGreaterThan(50);
  const canceledAt = Date.now();
  const answered = await batches.loop.call("/v1/runs/huge/cancel", { method: "POST" });
  expect(answered.status, answered.text).toBe(202);
  const asked = batches.model.requests.length;
  const run = await batches.ended("huge", 600_000);
  console.info(`100,000 items canceled and their results written in ${Date.now() - canceledAt} ms`);
  expect(run).toMatchObject({
    status: "canceled",
    counts: { total: 100_000, queued: 0, running: 0, failed: 0 },
  });
  expect(batches.model.requests.length - asked).toBeLessThanOrEqual(8);
  await batches.verify("huge");
  await expect
    .poll(() => Messages.counts(batches), { timeout: 60_000 })
    .toEqual({ waiting: 0, invisible: 0 });
});
