import { describe, expect, test } from "vitest";
import * as BackupLimits from "../core/backup/limits.ts";
import * as Concurrency from "./concurrency.ts";
import { functions } from "./functions.ts";
import { rules } from "./lifecycle.ts";
import { times } from "./limits.ts";
import { type QueueSpec, queues, schedules, subscriptionsOf } from "./queues.ts";

describe("instances at a time", () => {
  test("a mapping makes as many calls as its setting allows, else as many as queues.ts allows", () => {
    const { subscription } = queues.single;
    expect(Concurrency.mapping(subscription, {})).toBe(subscription.maxConcurrency);
    expect(Concurrency.mapping(subscription, { SINGLE_MAX_CONCURRENCY: "" })).toBe(
      subscription.maxConcurrency,
    );
    expect(Concurrency.mapping(subscription, { SINGLE_MAX_CONCURRENCY: "1000" })).toBe(1_000);
    expect(Concurrency.mapping(queues.later.subscription, { SINGLE_MAX_CONCURRENCY: "9" })).toBe(
      queues.later.subscription.maxConcurrency,
    );
  });

  test.each(["1", "1001", "2.5", "many"])("SINGLE_MAX_CONCURRENCY=%s is refused by its name", (value) => {
    expect(() => Concurrency.mapping(queues.single.subscription, { SINGLE_MAX_CONCURRENCY: value })).toThrow(
      "SINGLE_MAX_CONCURRENCY must be",
    );
  });

  test("instances are reserved for the functions that the setting names", () => {
    expect(Concurrency.reserved({})).toEqual({});
    expect(Concurrency.reserved({ RESERVED_CONCURRENCY: "extract=100, reconcile=1," })).toEqual({
      extract: 100,
      reconcile: 1,
    });
  });

  test.each(["extract", "extract=", "extract=0", "extract=-1", "extract=1.5", "unknown=1", "toString=1"])(
    "RESERVED_CONCURRENCY=%s is refused",
    (value) => {
      expect(() => Concurrency.reserved({ RESERVED_CONCURRENCY: value })).toThrow(
        "RESERVED_CONCURRENCY must be",
      );
    },
  );

  test("a function keeps at least as many instances as its queues call at once", () => {
    expect(() => Concurrency.reserved({ RESERVED_CONCURRENCY: "single=3" })).toThrow(
      "queues call single up to 4 times at once",
    );
    expect(() =>
      Concurrency.reserved({ RESERVED_CONCURRENCY: "single=4", SINGLE_MAX_CONCURRENCY: "8" }),
    ).toThrow("up to 8 times");
  });
});

describe("queues", () => {
  test("no message is given up before a hundred receives, and SQS keeps it for the longest time possible", () => {
    for (const [name, spec] of Object.entries(queues))
      expect(spec, name).toMatchObject({ maxReceiveCount: 100, retentionSeconds: 14 * 86_400 });
  });

  test("the GPU gets as many calls at once as README and docs/deploy.md say, unless a setting says otherwise", () => {
    expect([queues.item.subscription, queues.single.subscription]).toMatchObject([
      { maxConcurrency: 16, maxConcurrencySetting: "ITEM_MAX_CONCURRENCY" },
      { maxConcurrency: 4, maxConcurrencySetting: "SINGLE_MAX_CONCURRENCY" },
    ]);
  });

  test("fifteen keys whose receivers do not answer leave a worker free for backups", () => {
    // Each key has one call under way at a time (core/run/notify/due.ts).
    expect(queues.later.subscription.maxConcurrency).toBeGreaterThan(15);
  });

  test("a message whose worker died before its first step is visible again 30 s after its function's timeout, before reconcile counts it as lost", () => {
    const { stepLostMs, lostMessageMs, runStalledMs } = times();
    const given = { plan: stepLostMs, urgent: stepLostMs, item: runStalledMs, single: lostMessageMs };
    for (const [name, { subscription, visibilityTimeoutSeconds }] of Object.entries(queues)) {
      const visibilityMs = visibilityTimeoutSeconds * 1000;
      expect(visibilityMs, name).toBe(functions[subscription.function].timeoutMs + 30_000);
      expect(visibilityMs, name).toBeLessThan({ ...given, later: Number.POSITIVE_INFINITY }[name] ?? 0);
    }
  });

  test("a message is invisible for longer than any call may take, also after its worker has set the time", () => {
    const { visibilityGraceMs, leaseGraceMs } = times();
    expect(visibilityGraceMs).toBeGreaterThan(leaseGraceMs);
    // This also applies to the dead letters' function: AWS refuses less than the timeout.
    for (const [name, { deadLetter, visibilityTimeoutSeconds }] of Object.entries<QueueSpec>(queues))
      if (deadLetter !== undefined)
        expect(visibilityTimeoutSeconds * 1000, name).toBeGreaterThanOrEqual(
          functions[deadLetter.function as keyof typeof functions].timeoutMs + 30_000,
        );
  });

  test("a picture may take five minutes, and a worker that dies costs two", () => {
    for (const name of ["item", "single"] as const) expect(functions[name].timeoutMs).toBe(300_000);
    const { leaseMs, leaseGraceMs, visibilityGraceMs } = times();
    expect(leaseMs + visibilityGraceMs - leaseGraceMs).toBe(120_000);
  });

  test.each([1, 1 / 6, 1 / 30])(
    "at a scale of %f a lease lives through several renewals that fail, each with the time that it may take",
    (timeScale) => {
      const all = times(timeScale);
      expect(all.leaseRenewMs + 2 * (all.leaseRetryMs + all.databaseTimeoutMs)).toBeLessThan(all.leaseMs);
    },
  );

  test("a call has one message, so that finished work never waits for other work", () => {
    for (const [name, spec] of Object.entries<QueueSpec>(queues))
      for (const { batchSize } of subscriptionsOf(spec)) expect(batchSize, name).toBe(1);
  });

  test("runs' messages are in order within a group; what needs a delay is not", () => {
    const fifo = Object.entries(queues).flatMap(([name, spec]) => (spec.fifo ? [name] : []));
    expect(fifo).toEqual(["plan", "item", "urgent"]);
  });

  test("dead letters of runs have a function: without one a run could never end", () => {
    for (const name of ["plan", "item", "urgent"] as const)
      expect(Object.keys(functions), name).toContain(queues[name].deadLetter.function);
  });
});

test("a scheduled function has ended before it is called again", () => {
  for (const [name, { function: called, rate }] of Object.entries(schedules)) {
    const minutes = Number(/^rate\((\d+) minutes?\)$/.exec(rate)?.[1]);
    expect(functions[called].timeoutMs, name).toBeLessThan(minutes * 60_000);
  }
});

test("the bucket keeps a backup as long as the functions do", () => {
  const [rule] = rules({}).filter(({ id }) => id === "backups");
  expect(rule?.afterSeconds).toBe(BackupLimits.limits(1).keepMs / 1000);
});
