import sharp from "sharp";
import * as Look from "#core/image/look";
import type { Quarter } from "#core/look/grey";
import { draw } from "#test/support/look/receipts";
import { type Case, pictureOf, type Table, turnedBy } from "./cases.ts";

/*
 * Which way up: every receipt at four quarter turns. The thresholds are those of docs/documents.md. `own` holds drawn receipts whose seeds were used for no weight and no threshold.
 */

/** Odd seeds judge; even ones are there to choose thresholds by (`--half thresholds`). */
const firstSeed = 9_000;
const fonts = ["monospace", "sans-serif", "serif"];
const bars = { wrong: 0.01, unsure: 0.1, tilted: 0.03 };

export interface Judged extends Case {
  turn: Quarter;
  /** Clockwise, as drawn; undefined for photos, whose tilt is not known. */
  tilt: number | undefined;
  /** Of drawn ones: lines with something at the right edge. */
  amounts?: number;
}

export async function own(half: "judge" | "thresholds", count = 30): Promise<Judged[]> {
  const cases: Judged[] = [];
  for (let n = 0; n < count; n += 1) {
    const { bytes, tilt, amounts } = await draw(firstSeed + 2 * n + (half === "judge" ? 1 : 0), { fonts });
    cases.push({ set: "own", name: `own ${n}`, bytes, turn: 0, tilt, amounts });
  }
  return cases;
}

/** The table of the sets, and whether all bars are held. */
export async function judge(cases: readonly Judged[]): Promise<{ table: Table; held: boolean }> {
  const sets = new Map<
    string,
    { pictures: number; right: number; unsure: number; wrong: number; tilted: number }
  >();
  const missed: string[] = [];
  for (const each of cases) {
    for (const degrees of [0, 90, 180, 270] as const) {
      const found = await Look.look(await pictureOf(await turnedBy(each.bytes, degrees)));
      const wanted = (720 - degrees - each.turn) % 360;
      const set = sets.get(each.set) ?? { pictures: 0, right: 0, unsure: 0, wrong: 0, tilted: 0 };
      sets.set(each.set, set);
      set.pictures += 1;
      const outcome = found.turn === null ? "unsure" : found.turn === wanted ? "right" : "wrong";
      set[outcome] += 1;
      if (outcome === "wrong") missed.push(`${each.name} at ${degrees}: ${found.turn}`);
      if (outcome !== "right" || each.tilt === undefined) continue;
      if (Math.abs(found.tilt - each.tilt) > 1.05) {
        set.tilted += 1;
        missed.push(`${each.name} at ${degrees}: tilted by ${each.tilt.toFixed(1)}, found ${found.tilt}`);
      }
    }
  }
  const all = [...sets.values()];
  const share = (of: "wrong" | "unsure" | "tilted") =>
    all.reduce((sum, set) => sum + set[of], 0) / all.reduce((sum, set) => sum + set.pictures, 0);
  for (const line of missed) console.error(line);
  return {
    table: [...sets].map(([set, counts]) => ({ set, ...counts })),
    held: share("wrong") <= bars.wrong && share("unsure") <= bars.unsure && share("tilted") <= bars.tilted,
  };
}

/** CPU of the look without its decode, and of that decode, in milliseconds: medians over the cases. */
export async function cost(cases: readonly Case[]): Promise<{ table: Table; held: boolean }> {
  const decodes: number[] = [];
  const looks: number[] = [];
  sharp.concurrency(1);
  for (const { bytes } of cases) {
    const picture = await pictureOf(bytes);
    const [decode, look] = [await least(() => Look.copy(picture)), await least(() => Look.look(picture))];
    decodes.push(decode);
    looks.push(look - decode);
  }
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  const [decode, look] = [median(decodes), median(looks)];
  return {
    table: [{ set: "CPU, ms", decode: Number(decode.toFixed(1)), look: Number(look.toFixed(1)) }],
    held: look <= decode,
  };
}

/** CPU milliseconds of the fastest of five. */
async function least(work: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 5; n += 1) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1_000);
  }
  return best;
}
