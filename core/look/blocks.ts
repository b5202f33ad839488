import { distance, hullOfMarks, type Point } from "./hull.ts";
import type { Mark } from "./ink.ts";

/** Marks that are close together, and the direction of their lines. */
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
/** Fewer neighbors are no evidence about lines. */
const leastNeighbors = 5;

/** The gap between two blocks. */
export const joined = (one: Block, other: Block): number => distance(one.hull, other.hull);

/** Marks of one region joined to blocks where the next is near. @param size - the height of a letter. */
export function blocksOf(inside: readonly Inside[], size: number): Block[] {
  const sorted = inside.toSorted((a, b) => a.mark.left - b.mark.left);
  const { parents, gaps, leans } = neighbors(sorted, mostGap * size);
  const lists = Map.groupBy(sorted.keys(), (n) => rootOf(parents, n));
  return [...lists.values()].map((list) => {
    const marks = list.map((n) => (sorted[n] as Inside).mark);
    const inLine = list.filter((n) => (gaps[n] as number) < mostGapInLine * size);
    const { region } = sorted[list[0] as number] as Inside;
    return { marks, hull: hullOfMarks(marks), region, ...usual(inLine.map((n) => leans[n] as number)) };
  });
}

/** @param sorted - by their left sides. @returns the forest of what is nearer than `most`; of each mark the gap to the next, and its direction. */
function neighbors(sorted: readonly Inside[], most: number) {
  const parents = sorted.map((_, n) => n);
  const gaps = new Float64Array(sorted.length).fill(Number.POSITIVE_INFINITY);
  const leans = new Float64Array(sorted.length);
  for (let a = 0; a < sorted.length; a += 1) {
    const one = sorted[a] as Inside;
    const { right, top, bottom } = one.mark;
    for (let b = a + 1; b < sorted.length; b += 1) {
      const other = sorted[b] as Inside;
      const across = Math.max(0, other.mark.left - right);
      // All later marks begin further to the right.
      if (across > most) break;
      const down = Math.max(0, other.mark.top - bottom, top - other.mark.bottom);
      const gap = Math.sqrt(across * across + down * down);
      if (gap > most || one.region !== other.region) continue;
      if (gap < (gaps[a] as number) || gap < (gaps[b] as number)) {
        const lean = leanOf(one.mark, other.mark);
        for (const mark of [a, b]) if (gap < (gaps[mark] as number)) [gaps[mark], leans[mark]] = [gap, lean];
      }
      parents[rootOf(parents, a)] = rootOf(parents, b);
    }
  }
  return { parents, gaps, leans };
}

/** The root of a tree in the forest, in which each node names its parent and the root itself. */
export function rootOf(parents: number[], of: number): number {
  let at = of;
  while (parents[at] !== at) {
    parents[at] = parents[parents[at] as number] as number;
    at = parents[at] as number;
  }
  return at;
}

function leanOf(one: Mark, other: Mark): number {
  const across = other.left + other.right - one.left - one.right;
  const down = other.top + other.bottom - one.top - one.bottom;
  return (Math.atan2(down, across) * 180) / Math.PI;
}

/** Degrees from one direction to another, either way up: -90 to 90. */
export const between = (a: number, b: number): number => ((b - a + 270) % 180) - 90;

/** Degrees of a direction's class. */
const step = 3;

/** The most common direction, and how many have it. */
function usual(leans: readonly number[]): Pick<Block, "lean" | "certainty"> {
  if (leans.length < leastNeighbors) return { lean: 0, certainty: 0 };
  const classes = new Uint16Array(180 / step);
  for (const lean of leans) {
    const at = Math.round((lean + 90) / step) % classes.length;
    classes[at] = (classes[at] as number) + 1;
  }
  let best = { at: 0, count: 0 };
  for (let at = 0; at < classes.length; at += 1) {
    let count = 0;
    for (let off = -spread / step; off <= spread / step; off += 1)
      count += classes[(at + off + classes.length) % classes.length] as number;
    if (count > best.count) best = { at, count };
  }
  const from = best.at * step - 90;
  const near = leans.map((lean) => between(from, lean)).filter((off) => Math.abs(off) <= spread);
  // The median is taken, because the direction from a capital to a small letter leans, and more often to one side.
  const middle = near.sort((a, b) => a - b)[near.length >> 1] ?? 0;
  return { lean: from + middle, certainty: near.length / leans.length };
}
