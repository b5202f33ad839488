import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AppError } from "#core/error";
import * as Lease from "#core/lease/lease";
import type { Fields, Log } from "#core/log";

/** The figures of spec/functions.ts and spec/limits.ts: five minutes for the work, held for two at a time. */
const seconds = (n: number) => n * 1000;
const endsAt = 300;
const leaseS = 115;

interface Stores {
  /** The result of renewing the row; true unless a test sets another. */
  row(): Promise<boolean>;
  message(): Promise<void>;
}

let renewals: { at: number; until: number }[];
let holds: { at: number; until: number }[];
let lines: { event: string; fields: Fields | undefined }[];
let begunAt: number;

const at = () => (Date.now() - begunAt) / 1000;
const log: Log = {
  info: () => undefined,
  warn: (event, fields) => lines.push({ event, fields }),
  error: () => undefined,
  child: () => log,
};
const away = () => Promise.reject(new AppError("storage_unavailable", "away"));

beforeEach(() => {
  vi.useFakeTimers();
  renewals = [];
  holds = [];
  lines = [];
  begunAt = Date.now();
});
afterEach(() => {
  // An instance is frozen after its invocation: timers that are left fire in the next one.
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** `during` around `work`, which by default takes so many seconds and minds the signal. */
function hold<T extends object>(work: (signal: AbortSignal) => Promise<T>, stores: Partial<Stores> = {}) {
  const startedAt = Date.now();
  const held: Lease.Held = {
    startedAt,
    leaseUntil: new Date(startedAt + seconds(leaseS)),
    renewal: {
      everyMs: seconds(30),
      retryMs: seconds(5),
      lastAt: startedAt + seconds(endsAt - 10),
      until: (now) => Math.min(startedAt + seconds(endsAt + 5), now + seconds(leaseS)),
      hold: async (until) => {
        holds.push({ at: at(), until: (until - begunAt) / 1000 });
        await stores.message?.();
      },
    },
  };
  const renew = async (until: Date) => {
    renewals.push({ at: at(), until: (until.getTime() - begunAt) / 1000 });
    return (await stores.row?.()) ?? true;
  };
  return Lease.during(held, renew, log, work);
}

/** Work that takes this long, and ends earlier with an error on an abort. */
const taking = (s: number) => (signal: AbortSignal) =>
  new Promise<{ endedAt: number }>((resolve, reject) => {
    const timer = setTimeout(() => resolve({ endedAt: at() }), seconds(s));
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Error(`aborted at ${at()}`));
    });
  });

/** Runs the clock until the work has ended. */
async function ended<T>(work: Promise<T>): Promise<PromiseSettledResult<T>> {
  let result: PromiseSettledResult<T> | undefined;
  void Promise.allSettled([work]).then(([only]) => {
    result = only;
  });
  for (let s = 0; s < 400 && result === undefined; s += 1) await vi.advanceTimersByTimeAsync(seconds(1));
  if (result === undefined) throw new Error("it does not end");
  return result;
}
const value = <T>(settled: PromiseSettledResult<T>) =>
  settled.status === "fulfilled" ? settled.value : Promise.reject(settled.reason);

describe("work that is over before the first renewal", () => {
  test("renews nothing", async () => {
    expect(await value(await ended(hold(taking(29))))).toEqual({ endedAt: 29 });
    expect([renewals, holds, lines]).toEqual([[], [], []]);
  });

  test("renews nothing if it throws, and passes the error on", async () => {
    const fails = async () => {
      throw new Error("its own");
    };
    await expect(hold(fails)).rejects.toThrow("its own");
    expect([renewals, holds]).toEqual([[], []]);
  });

  test("counts from the message's receipt, also after a slow start", async () => {
    const startedAt = Date.now();
    await vi.advanceTimersByTimeAsync(seconds(40));
    const renewed = vi.fn(async () => true);
    const held: Lease.Held = {
      ...{ startedAt, leaseUntil: new Date(startedAt + seconds(leaseS)) },
      renewal: {
        ...{ everyMs: seconds(30), retryMs: seconds(5), lastAt: startedAt + seconds(290) },
        ...{ until: (now) => now + seconds(leaseS), hold: async () => undefined },
      },
    };
    await ended(Lease.during(held, renewed, log, taking(5)));
    expect(renewed).toHaveBeenCalledTimes(1);
  });
});

describe("work that takes its five minutes", () => {
  test("is renewed every 30 s, both row and message, until the lease covers the end of the invocation", async () => {
    expect(await value(await ended(hold(taking(294))))).toEqual({ endedAt: 294 });
    expect(renewals).toEqual([
      ...[30, 60, 90, 120, 150, 180].map((s) => ({ at: s, until: s + leaseS })),
      { at: 210, until: endsAt + 5 },
    ]);
    expect(holds).toEqual(renewals);
    expect(lines).toEqual([]);
  });

  test("a renewal that is under way at its end is awaited before the caller goes on", async () => {
    let answer: () => void = () => undefined;
    const slow = () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      });
    let over = false;
    const held = hold(taking(31), { message: slow }).then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(seconds(35));
    expect(over).toBe(false);
    answer();
    await held;
    // Nothing begins after the end.
    await vi.advanceTimersByTimeAsync(seconds(300));
    expect(renewals).toHaveLength(1);
  });
});

describe("work that another worker has", () => {
  test.each(["throws", "answers all the same"])(
    "is aborted at the next renewal, and its result is ignored when it %s",
    async (how) => {
      const work = async (signal: AbortSignal) => {
        const result = await taking(200)(signal).catch((error: unknown) => error as Error);
        if (how === "throws") throw result;
        return result;
      };
      let rounds = 0;
      const row = async () => {
        rounds += 1;
        return rounds < 3;
      };
      expect(await value(await ended(hold(work, { row })))).toBeUndefined();
      expect(renewals.map((each) => each.at)).toEqual([30, 60, 90]);
      expect(at()).toBeLessThan(92);
      expect(lines).toEqual([{ event: "lease_lost", fields: { reason: "taken" } }]);
    },
  );
});

describe("an outage", () => {
  const untilS = (s: number, fault: () => Promise<never>) => async () => {
    if (at() < s) return fault();
    return true;
  };

  test("of the database that ends before the lease does not end the work: the renewal is tried again every 5 s", async () => {
    const row = untilS(110, away);
    expect(await value(await ended(hold(taking(200), { row })))).toEqual({ endedAt: 200 });
    expect(renewals.map((each) => each.at).slice(0, 4)).toEqual([30, 35, 40, 45]);
    expect(renewals.map((each) => each.at)).toContain(110);
    expect(lines.every(({ event }) => event === "lease_not_renewed")).toBe(true);
    expect(lines[0]?.fields).toEqual({ code: "storage_unavailable" });
  });

  test("of the database that lasts longer ends the work when the lease ends, as an outage: the message must come back", async () => {
    const settled = await ended(hold(taking(290), { row: away }));
    await expect(value(settled)).rejects.toMatchObject({ code: "storage_unavailable" });
    expect(Math.floor(at())).toBe(leaseS);
    expect(lines.at(-1)).toEqual({ event: "lease_lost", fields: { reason: "over" } });
  });

  test("of the database after renewals: the last successful renewal counts", async () => {
    const row = async () => (at() < 61 ? true : away());
    await ended(hold(taking(290), { row }));
    expect(Math.floor(at())).toBe(60 + leaseS);
  });

  test("of the queue never ends work: the row says which worker has it", async () => {
    const message = () => away();
    expect(await value(await ended(hold(taking(280), { message })))).toEqual({ endedAt: 280 });
    expect(new Set(lines.map(({ event }) => event))).toEqual(new Set(["lease_not_renewed"]));
  });

  test("of a message that was delivered again is not retried more often", async () => {
    const message = async () => {
      throw new TypeError("no such handle");
    };
    await ended(hold(taking(100), { message }));
    expect(holds.map((each) => each.at)).toEqual([30, 60, 90]);
  });

  test("starts nothing once only the time for writing the ending is left", async () => {
    await ended(hold(taking(298), { message: away }));
    expect(Math.max(...renewals.map((each) => each.at))).toBeLessThanOrEqual(endsAt - 10);
  });
});
