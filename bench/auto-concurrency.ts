/**
 * Measures what runs on auto reach beside the best fixed number of slots, on simulated model servers with a knee: the same
 * controller as in the planner, calls of three seconds whose lengths differ by 40 %. From the end of the third minute on.
 */
import { parseArgs } from "node:util";
import * as SimulatedServer from "#test/support/simulated-server";
import * as Figures from "./support/figures.ts";

const minute = 60_000;
const settledMs = 3 * minute;
const untilMs = 15 * minute;
const seeds = Array.from({ length: 20 }, (_, i) => i + 1);

interface Row {
  knee: string;
  /** The server answers `/metrics`. */
  metrics: boolean;
  /** The best fixed number. */
  best: string;
  /** Its throughput, in calls a minute. */
  best_per_minute: number;
  /** The throughput of `auto` as a share of the best fixed number: mean and least of the rounds. */
  auto_to_best: number;
  least: number;
  /** The same of the first three minutes, in which the knee is looked for. */
  while_searching: number;
}

const knees: Readonly<Record<string, (at: number) => number>> = {
  "3": () => 3,
  "8": () => 8,
  "24": () => 24,
  "8, from minute 6 on 24": (at) => (at < 6 * minute ? 8 : 24),
  "24, from minute 6 on 8": (at) => (at < 6 * minute ? 24 : 8),
};

/** A knee that moves has settled again three minutes later. */
const fromOf = (name: string) => (name.includes("minute") ? 9 * minute : settledMs);

function measure(name: string, knee: (at: number) => number, metrics: boolean): Row {
  const scene = (seed: number): SimulatedServer.Scene => ({
    ...{ seed, knee, metrics, callMs: 3_000, spread: 0.4, most: 64, untilMs },
    runs: [{ from: 0, items: 1_000_000 }],
  });
  const from = fromOf(name);
  const rateOf = (played: SimulatedServer.Played) => SimulatedServer.rate(played, from, untilMs);
  const last = knee(untilMs);
  const fixed = Array.from({ length: 6 }, (_, i) => last - 1 + i);
  const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;
  const rates = fixed.map((n) =>
    mean(seeds.slice(0, 5).map((seed) => rateOf(SimulatedServer.play({ ...scene(seed), fixed: n })))),
  );
  const best = fixed[rates.indexOf(Math.max(...rates))] ?? last;
  const rounds = seeds.map((seed) => {
    const auto = SimulatedServer.play(scene(seed));
    const other = SimulatedServer.play({ ...scene(seed), fixed: best });
    const early = (played: SimulatedServer.Played) => SimulatedServer.rate(played, 0, settledMs);
    return { share: rateOf(auto) / rateOf(other), early: early(auto) / early(other) };
  });
  return {
    ...{
      knee: name,
      metrics,
      best: String(best),
      best_per_minute: Figures.round(Math.max(...rates) * 60, 1),
    },
    auto_to_best: Figures.round(mean(rounds.map(({ share }) => share)), 3),
    least: Figures.round(Math.min(...rounds.map(({ share }) => share)), 3),
    while_searching: Figures.round(mean(rounds.map(({ early }) => early)), 3),
  };
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: "boolean" } } });
  const rows = [true, false].flatMap((metrics) =>
    Object.entries(knees).map(([name, knee]) => measure(name, knee, metrics)),
  );
  if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else console.table(rows);
  return rows.every((row) => row.auto_to_best >= 0.9) ? 0 : 1;
}
