import { describe, expect, test } from "vitest";
import * as SimulatedServer from "#test/support/simulated-server";
import * as Controller from "./controller.ts";
import { partOf } from "./division.ts";

const second = 1_000;
const minute = 60 * second;
const seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

const scene = (more: Partial<SimulatedServer.Scene>): SimulatedServer.Scene => ({
  ...{ seed: 1, knee: () => 8, callMs: 3 * second, spread: 0.4, metrics: false, most: 64 },
  ...{ runs: [{ from: 0, items: 1_000_000 }], untilMs: 15 * minute },
  ...more,
});

/** The throughput of the best fixed number of slots, in calls a second; it is near the knee. */
function bestRate(at: SimulatedServer.Scene, knee: number): number {
  const rates = [knee, knee + 1, Math.ceil(1.15 * knee)].map((fixed) =>
    SimulatedServer.rate(SimulatedServer.play({ ...at, fixed }), 3 * minute, at.untilMs),
  );
  return Math.max(...rates);
}

const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;
const slotsAt = ({ set }: SimulatedServer.Played, at: number) =>
  set.filter((each) => each.at <= at).at(-1)?.slots ?? 0;

describe.each([false, true])("with a server that says what it has to do: %s", (metrics) => {
  test.each([3, 8, 24])(
    "the knee at %i is found within three minutes, and the throughput is within 10 % of the best fixed number's",
    (knee) => {
      const found: boolean[] = [];
      const shares = seeds.map((seed) => {
        const at = scene({ seed, metrics, knee: () => knee });
        const played = SimulatedServer.play(at);
        // A probe may be in progress at any moment, so the number is taken from the minute around it.
        const around = [150, 160, 170, 180, 190, 200, 210].map((s) => slotsAt(played, s * second));
        found.push(around.some((slots) => slots >= 0.85 * knee && slots <= Math.max(knee + 1, 1.25 * knee)));
        return SimulatedServer.rate(played, 3 * minute, at.untilMs) / bestRate(at, knee);
      });
      // By throughput alone, a few slots too many are noticed only after some time; they do not lower the throughput.
      expect(found.filter(Boolean).length).toBeGreaterThanOrEqual(metrics ? seeds.length : seeds.length - 3);
      expect(mean(shares)).toBeGreaterThanOrEqual(0.93);
      expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.87);
    },
  );

  test.each([
    ["grows from 8 to 24", 8, 24],
    ["falls from 24 to 8", 24, 8],
    ["falls from 24 to 3", 24, 3],
  ])("a knee that %s is followed within three minutes", (_, first, then) => {
    const shares = seeds.map((seed) => {
      const knee = (at: number) => (at < 6 * minute ? first : then);
      const played = SimulatedServer.play(scene({ seed, metrics, knee }));
      const ideal = then / 3;
      return SimulatedServer.rate(played, 9 * minute, 15 * minute) / ideal;
    });
    expect(mean(shares)).toBeGreaterThanOrEqual(0.9);
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.7);
  });

  test.each([8, 24])("two runs share the knee at %i: each has within 20 percent of half of it", (knee) => {
    for (const seed of seeds) {
      const runs = [
        { from: 0, items: 1_000_000 },
        { from: 4 * minute, items: 1_000_000 },
      ];
      const played = SimulatedServer.play(scene({ seed, metrics, knee: () => knee, runs }));
      for (const run of [0, 1]) {
        const share = SimulatedServer.rate(played, 6 * minute, 15 * minute, run) / (knee / 3);
        expect(share, `run ${run}, seed ${seed}`).toBeGreaterThanOrEqual(0.4);
        expect(share).toBeLessThanOrEqual(0.6);
      }
    }
  });

  test("a run that is alone again gets the whole knee", () => {
    const runs = [
      { from: 0, items: 1_000_000 },
      { from: minute, items: 300 },
    ];
    const played = SimulatedServer.play(scene({ metrics, runs }));
    expect(SimulatedServer.rate(played, 8 * minute, 15 * minute, 0)).toBeGreaterThan(0.9 * (8 / 3));
  });

  test("slow calls, and calls of very different length, are not taken for a knee", () => {
    const slow = scene({ metrics, callMs: 20 * second, untilMs: 60 * minute, knee: () => 64 });
    expect(SimulatedServer.rate(SimulatedServer.play(slow), 20 * minute, 60 * minute)).toBeGreaterThan(
      0.85 * (64 / 20),
    );
    const mixed = scene({ metrics, spread: 1, knee: () => 16, untilMs: 30 * minute });
    expect(SimulatedServer.rate(SimulatedServer.play(mixed), 10 * minute, 30 * minute)).toBeGreaterThan(
      0.8 * (16 / 3),
    );
  });
});

test("requests of others count as load: the run keeps the part of the knee that they leave, and gets the rest back later", () => {
  for (const seed of seeds) {
    const others = (at: number) => (at > 5 * minute && at < 12 * minute ? 12 : 0);
    const at = scene({ seed, metrics: true, knee: () => 24, others, untilMs: 18 * minute });
    const played = SimulatedServer.play(at);
    const during = [8, 9, 10, 11].map((m) => slotsAt(played, m * minute));
    expect(mean(during), `${seed}: ${during}`).toBeLessThanOrEqual(15);
    expect(mean(during), `${seed}: ${during}`).toBeGreaterThanOrEqual(9);
    expect(SimulatedServer.rate(played, 15 * minute, 18 * minute), `seed ${seed}`).toBeGreaterThan(0.85 * 8);
  }
});

describe("in 1,000 random scenes", () => {
  test("slots are from 1 to the most allowed, and there are never more calls at work than the most slots since the oldest began", () => {
    for (let seed = 1; seed <= 1_000; seed += 1) {
      const random = SimulatedServer.random(seed);
      const pick = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
      const knees = Array.from({ length: 4 }, () => pick(1, 40));
      const crowd = Array.from({ length: 4 }, () => (random() < 0.5 ? 0 : pick(1, 20)));
      const at = scene({
        ...{ seed, metrics: random() < 0.5, most: pick(1, 64), spread: random() },
        callMs: pick(200, 20_000),
        knee: (time) => knees[Math.floor(time / minute) % 4] ?? 1,
        others: (time) => crowd[Math.floor(time / minute) % 4] ?? 0,
        runs: Array.from({ length: pick(1, 4) }, () => ({
          from: pick(0, 120) * second,
          items: pick(1, 300),
        })),
        untilMs: 4 * minute,
      });
      const played = SimulatedServer.play(at);
      for (const { slots } of played.set) {
        expect(slots).toBeGreaterThanOrEqual(1);
        expect(slots).toBeLessThanOrEqual(at.most);
      }
      for (const run of at.runs.keys())
        expect(overfull(played, run), `scene ${seed}, run ${run}`).toBeUndefined();
    }
  }, 60_000);
});

/** A moment at which more calls were at work than the most slots since the oldest of them began. */
function overfull({ calls, set }: SimulatedServer.Played, run: number): number | undefined {
  const mine = calls.filter((call) => call.run === run).toSorted((a, b) => a.from - b.from);
  const slots = set.filter((each) => each.run === run);
  let open: typeof mine = [];
  for (const call of mine) {
    open = [...open.filter(({ to }) => to > call.from), call];
    const oldest = open[0]?.from ?? call.from;
    const first = slots.findLastIndex(({ at }) => at <= oldest);
    const most = Math.max(
      ...slots.slice(Math.max(0, first)).flatMap(({ at, slots: n }) => (at <= call.from ? [n] : [])),
    );
    if (open.length > most) return call.from;
  }
  return undefined;
}

describe("one look", () => {
  const pauses = SimulatedServer.pauses;
  const seen = (more: Partial<Controller.Seen>): Controller.Seen => ({
    ...{ at: 0, calls: 0, callMs: 0, runs: "a", most: 64, left: 1_000, ours: 4, server: undefined },
    ...more,
  });

  test("what was learned about a server half an hour ago is forgotten", () => {
    const before = { ...Controller.next(undefined, seen({}), pauses), slots: 40 };
    expect(Controller.next(before, seen({ at: 29 * minute }), pauses).slots).toBe(40);
    expect(Controller.next(before, seen({ at: 31 * minute }), pauses).slots).toBe(4);
  });

  test("a lower limit takes effect at once", () => {
    const before = { ...Controller.next(undefined, seen({}), pauses), slots: 40 };
    expect(Controller.next(before, seen({ at: second, most: 8 }), pauses)).toMatchObject({
      ...{ slots: 8, reason: "limit" },
    });
  });

  test("a run that was paused, or has few pictures left, is measured anew", () => {
    const before = Controller.next(undefined, seen({}), pauses);
    const measuring = Controller.next(before, seen({ at: 10 * second, calls: 8 }), pauses);
    expect(measuring.from).not.toBeNull();
    for (const more of [{ runs: "b" }, { left: 5 }])
      expect(Controller.next(measuring, seen({ at: 20 * second, calls: 40, ...more }), pauses)).toMatchObject(
        {
          ...{ from: null, slots: 4 },
        },
      );
  });
});

describe("the division among runs", () => {
  const run = (runUid: string, left = 100, most = 64) => ({ runUid, left, most });
  const parts = (runs: ReturnType<typeof run>[], total: number) =>
    runs.map(({ runUid }) => partOf(runUid, runs, total));

  test.each([
    ["the same for each", [run("a"), run("b")], 8, [4, 4]],
    ["rounded for each", [run("a"), run("b")], 9, [5, 5]],
    ["at least one for each", [run("a"), run("b"), run("c")], 1, [1, 1, 1]],
    ["what a run cannot use is for the others", [run("a", 2), run("b"), run("c")], 12, [2, 5, 5]],
    ["nor more than its key allows", [run("a", 100, 3), run("b")], 20, [3, 17]],
  ])("%s", (_, runs, total, expected) => {
    expect(parts(runs, total)).toEqual(expected);
  });
});
