import { describe, expect, it } from "vitest";
import * as Allocation from "./allocation.ts";

const at = (hour: number, minute = 0, second = 0) => new Date(Date.UTC(2026, 10, 23, hour, minute, second));

/** Numbers that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** A day of 5,000 receipts in three bursts, an aborted start at noon, and a session that waits for work in vain. */
function day() {
  const sessions: Allocation.Session[] = [
    { id: "morning", startedAt: at(8), endedAt: at(9, 10), ratePerHour: 0.5, busyMs: 0 },
    { id: "aborted", startedAt: at(12), endedAt: at(12, 3), ratePerHour: 0.5, busyMs: 35 * 60_000 },
    { id: "noon", startedAt: at(12, 5), endedAt: at(13), ratePerHour: 0.69, busyMs: 35 * 60_000 },
    { id: "evening", startedAt: at(18), endedAt: at(19, 30), ratePerHour: 0.5, busyMs: 35 * 60_000 },
    { id: "waits", startedAt: at(22), endedAt: at(22, 30), ratePerHour: 0.44, busyMs: 35 * 60_000 },
  ];
  const next = random(7);
  const receipts = Array.from({ length: 5_000 }, (_, n) => {
    const sessionId = ["morning", "noon", "evening"][Math.floor((n / 5_000) * 3)] as string;
    const spent = [{ sessionId, ms: Math.round(1_000 + 8_000 * next()) }];
    // One in fifty was asked for in one session, and once more in the next.
    return n % 50 === 0 && sessionId === "morning" ? [...spent, { sessionId: "noon", ms: 2_500 }] : spent;
  });
  return { sessions, receipts };
}

describe("a recorded day of 5,000 receipts in three bursts", () => {
  const { sessions, receipts } = day();
  const ledger = Allocation.ledgerOf(sessions, receipts.flat(), at(23));

  it("the receipts and what is unallocated add up to the pod's bill", () => {
    const shares = receipts.map((spent) => Allocation.shareOf(ledger, spent));
    const sum = shares.reduce((all, { usd }) => all + (usd ?? Number.NaN), 0);
    const bill = 0.5 * (70 / 60) + 0.5 * (3 / 60) + 0.69 * (55 / 60) + 0.5 * 1.5 + 0.44 * 0.5;
    expect(Allocation.billOf(ledger)).toBeCloseTo(bill, 12);
    expect(Allocation.unallocated(ledger)).toEqual({
      ...{ usd: expect.closeTo(0.5 * (3 / 60) + 0.44 * 0.5, 12) },
      ...{ idleUsd: expect.closeTo(0.5 * (3 / 60) + 0.44 * 0.5, 12), provisional: false },
    });
    expect(sum + (Allocation.unallocated(ledger).usd ?? 0)).toBeCloseTo(bill, 9);
  });

  it("a receipt that took twice as long as another of its session costs twice as much", () => {
    const once = Allocation.shareOf(ledger, [{ sessionId: "noon", ms: 1_000 }]);
    const twice = Allocation.shareOf(ledger, [{ sessionId: "noon", ms: 2_000 }]);
    expect(twice.usd).toBeCloseTo(2 * (once.usd ?? 0), 12);
  });

  it("a receipt that was asked for in two sessions carries a part of both", () => {
    const [one, two, both] = [["morning"], ["noon"], ["morning", "noon"]].map((ids) =>
      Allocation.shareOf(
        ledger,
        ids.map((sessionId) => ({ sessionId, ms: 3_000 })),
      ),
    );
    expect(both?.usd).toBeCloseTo((one?.usd ?? 0) + (two?.usd ?? 0), 12);
  });
});

describe("what is not known is not a figure", () => {
  const open: Allocation.Session = {
    id: "open",
    startedAt: at(8),
    endedAt: null,
    ratePerHour: 0.5,
    busyMs: 35 * 60_000,
  };
  const unpriced: Allocation.Session = {
    id: "unpriced",
    startedAt: at(8),
    endedAt: at(9),
    ratePerHour: null,
    busyMs: 0,
  };

  it("a session that is open has what it cost until now, and its receipts are provisional", () => {
    const ledger = Allocation.ledgerOf([open], [{ sessionId: "open", ms: 1_000 }], at(9));
    expect(Allocation.shareOf(ledger, [{ sessionId: "open", ms: 500 }])).toEqual({
      ...{ usd: 0.25, provisional: true },
      // Of its hour it was busy for 35 minutes.
      idleUsd: expect.closeTo(0.25 * (25 / 60), 12),
    });
  });

  it("without a price, or with an unknown session, there are no dollars", () => {
    const ledger = Allocation.ledgerOf([unpriced], [{ sessionId: "unpriced", ms: 1_000 }], at(9));
    expect(Allocation.shareOf(ledger, [{ sessionId: "unpriced", ms: 500 }]).usd).toBeNull();
    expect(Allocation.shareOf(ledger, [{ sessionId: "lost", ms: 500 }]).usd).toBeNull();
    expect(Allocation.billOf(ledger)).toBeNull();
    expect(Allocation.shareOf(ledger, [])).toEqual({ usd: 0, idleUsd: 0, provisional: false });
  });

  it("a session that ended before it began costs nothing", () => {
    const odd = { ...open, startedAt: at(9), endedAt: at(8) };
    expect(Allocation.billOf(Allocation.ledgerOf([odd], [], at(10)))).toBe(0);
  });
});
