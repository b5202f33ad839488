import { cornersOf, distance, hullOf, type Point } from "./hull.ts";
import type { Mark } from "./ink.ts";

/** Marks that lie close together, and what is known of their lines. */
export interface Block {
  marks: Mark[];
  hull: Point[];
  /** Number of the bright region that it lies in. */
  region: number;
  /** Degrees by which its lines lean, -90 to 90, either way up. */
  lean: number;
  /** Share of the marks whose next neighbor lies in that direction. */
  certainty: number;
}

interface Inside {
  mark: Mark;
  region: number;
}

/** Heights of a letter between neighbors. */
const mostGap = 3;
/** The next neighbor of a letter is one of its line where it is that near. */
const mostGapInLine = 1.5;
/** Degrees about the usual direction that count as the same. */
const spread = 12;
/** Fewer neighbors say nothing about lines. */
const leastNeighbors = 5;

/** The gap between two blocks. */
export const joined = (one: Block, other: Block): number => distance(one.hull, other.hull);

/** Marks of one region joined to blocks where the next is near. @param size - the height of a letter. */
export function blocksOf(inside: readonly Inside[], size: number): Block[] {
  const parents = inside.map((_, n) => n);
  const next = inside.map(() => ({ gap: Number.POSITIVE_INFINITY, lean: 0 }));
  const order = inside
    .map((_, n) => n)
    .sort((a, b) => (inside[a] as Inside).mark.left - (inside[b] as Inside).mark.left);
  const widest = Math.max(0, ...inside.map(({ mark }) => mark.right - mark.left));
  const most = mostGap * size;
  for (const [at, a] of order.entries())
    for (let n = at + 1; n < order.length; n += 1) {
      const b = order[n] as number;
      const [one, other] = [inside[a] as Inside, inside[b] as Inside];
      if (other.mark.left - one.mark.left > most + widest) break;
      const gap = gapOf(one.mark, other.mark);
      if (gap > most || one.region !== other.region) continue;
      const lean = leanOf(one.mark, other.mark);
      for (const mark of [a, b]) if (gap < (next[mark]?.gap ?? 0)) next[mark] = { gap, lean };
      parents[rootOf(parents, a)] = rootOf(parents, b);
    }
  const lists = Map.groupBy([...inside.keys()], (n) => rootOf(parents, n));
  return [...lists.values()].map((list) => {
    const marks = list.map((n) => (inside[n] as Inside).mark);
    const leans = list.flatMap((n) => {
      const { gap, lean } = next[n] ?? { gap: Number.POSITIVE_INFINITY, lean: 0 };
      return gap < mostGapInLine * size ? [lean] : [];
    });
    const region = (inside[list[0] as number] as Inside).region;
    return { marks, hull: hullOf(marks.flatMap(cornersOf)), region, ...usual(leans) };
  });
}

/** Of a forest in which each names its parent, the root itself. */
export function rootOf(parents: number[], of: number): number {
  let at = of;
  while (parents[at] !== at) {
    parents[at] = parents[parents[at] as number] as number;
    at = parents[at] as number;
  }
  return at;
}

/** @param one - the mark that begins further to the left. */
function gapOf(one: Mark, other: Mark): number {
  const across = Math.max(0, other.left - one.right);
  const down = Math.max(0, other.top - one.bottom, one.top - other.bottom);
  return Math.hypot(across, down);
}

function leanOf(one: Mark, other: Mark): number {
  const across = other.left + other.right - one.left - one.right;
  const down = other.top + other.bottom - one.top - one.bottom;
  return (Math.atan2(down, across) * 180) / Math.PI;
}

/** Degrees from one direction to another, either way up: -90 to 90. */
export const between = (a: number, b: number): number => ((b - a + 270) % 180) - 90;

/** The direction that most of them have, and how many. */
function usual(leans: readonly number[]): Pick<Block, "lean" | "certainty"> {
  let best = { lean: 0, certainty: 0 };
  if (leans.length < leastNeighbors) return best;
  for (let at = -90; at < 90; at += 3) {
    const near = leans.map((lean) => between(at, lean)).filter((off) => Math.abs(off) <= spread);
    const certainty = near.length / leans.length;
    if (certainty <= best.certainty) continue;
    // The middle one: a capital beside a small letter leans, and more of them on one side than on the other.
    const middle = near.sort((a, b) => a - b)[near.length >> 1] ?? 0;
    best = { lean: at + middle, certainty };
  }
  return best;
}
