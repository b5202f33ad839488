import { describe, expect, test } from "vitest";
import * as Machine from "#core/pod/machine";
import { type Facts, type Outcome, rules, simulate } from "#test/support/pod-world";

/** The same numbers for the same seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const minute = 60_000;

/** A day with bursts of work, a pod that starts slowly, dies and is refused, and a provider that is away at times. */
function schedule(seed: number): Facts {
  const random = numbers(seed);
  const between = (least: number, most: number) => Math.round(least + random() * (most - least));
  const maybe = (chance: number) => random() < chance;
  const spans = (most: number, longest: number) =>
    Array.from({ length: between(0, most) }, () => {
      const from = between(0, 20 * 60) * minute;
      return { from, to: from + between(1, longest) * minute };
    });
  return {
    random,
    pods: maybe(0.3) ? ["a", "b"] : ["a"],
    startMs: () => between(0, 10) * minute,
    loadMs: () => between(0, 10) * minute,
    lagMs: () => between(0, 60) * 1_000,
    refuses: (pod) => maybe(pod === "a" ? 0.15 : 0.05),
    loses: () => maybe(0.1),
    dies: () => maybe(0.002),
    provider: { away: spans(2, 90), slow: spans(1, 5) },
    bursts: Array.from({ length: between(1, 6) }, () => ({
      at: between(0, 20 * 60) * minute,
      items: between(1, 60),
      itemMs: between(2, 60) * 1_000,
    })),
    tickMs: () => between(10, 60) * 1_000,
  };
}

describe("1,000 random schedules of a day", () => {
  const outcomes: { seed: number; outcome: Outcome }[] = [];
  test("work always finishes, and no item is lost", () => {
    for (let seed = 1; seed <= 1_000; seed += 1) outcomes.push({ seed, outcome: simulate(schedule(seed)) });
    expect(outcomes.filter(({ outcome }) => outcome.done !== outcome.asked)).toEqual([]);
    const items = outcomes.reduce((sum, { outcome }) => sum + outcome.done, 0);
    expect(items).toBeGreaterThan(50_000);
  }, 120_000);

  test("a pod is never started twice in one outage, nor stopped with work in flight", () => {
    expect(
      outcomes.flatMap(({ seed, outcome }) => outcome.faults.map((fault) => `${seed}: ${fault}`)),
    ).toEqual([]);
    const sum = (of: "starts" | "stops" | "refusals" | "deaths" | "races") =>
      outcomes.reduce((total, { outcome }) => total + outcome[of], 0);
    // Events that the schedules must contain, because otherwise they would prove nothing.
    expect(sum("starts")).toBeGreaterThan(1_000);
    expect(sum("stops")).toBeGreaterThan(1_000);
    expect(sum("refusals")).toBeGreaterThan(100);
    expect(sum("deaths")).toBeGreaterThan(100);
    expect(sum("races")).toBeGreaterThan(10);
  });

  test("the hours of pods are at most those with work, and the idle time for each gap", () => {
    const tooLong = outcomes.filter(({ outcome }) => outcome.upMs > outcome.allowedMs);
    expect(tooLong.map(({ seed, outcome }) => ({ seed, ...outcome }))).toEqual([]);
  });
});

describe("one step", () => {
  const now = Date.UTC(2026, 10, 20, 12);
  const seen = {
    now,
    sight: { kind: "seen", state: "down", address: undefined, ratePerHour: undefined, since: undefined },
    serves: false,
    work: { inFlight: false, waiting: true, calls: 0 },
    spent: { hours: 0, dollars: 0 },
    startMs: 5 * minute,
  } as const;

  test("without a pod in the settings nothing is ordered", () => {
    expect(Machine.step(Machine.initial(now), seen, { ...rules(["a"]), podIds: [] }).order).toBeUndefined();
  });

  test("a pod that the operator stopped is not started by work, and callers are told to wait", () => {
    const off = { ...Machine.initial(now), wanted: "off" } as const;
    const step = Machine.step(off, seen, rules(["a"]));
    expect(step.order).toBeUndefined();
    expect(step.hold).toMatchObject({ for: "pod" });
  });
});
