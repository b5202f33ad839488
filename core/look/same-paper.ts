import { type Block, between, joined, rootOf } from "./blocks.ts";
import { area, hullOf, meet, type Point } from "./hull.ts";
import type { Mark } from "./ink.ts";

/*
 * Which blocks of text are of one paper. All lengths are heights of a letter. Thresholds were chosen on drawn sheets
 * (docs/documents.md).
 */

/** Nearer blocks are of one paper, whatever lies between them. */
const near = 3.5;
/** Parts of a paper that a fold or a tear parts: one below the other, equally wide, this near. */
const mostFold = 8;
const leastColumn = 0.7;
/** Two blocks that fill their common hull to this share are parts of one rectangle. */
const wholeShare = 0.93;
/** A block of fewer marks is a crumb, and belongs to what is this near. */
const crumb = 4;
const mostStray = 12;
/** Where lines are certain they tell papers apart that lean differently by more than this, in degrees. */
const mostTurned = 12;
const certain = 0.3;
const leastMarksOfLines = 15;
/** Share of a block's marks that stand beside the other one. */
const leastInRows = 0.4;
/** Gaps within a receipt: between its parts from top to bottom, before its last lines, and from left to right. */
const mostBelow = 8;
const fewLines = 8;
const mostBeforeFewLines = 15;
const mostBeside = 8;

/** Blocks that are of one paper joined to one. @param size - the height of a letter in pixels. */
export function together(blocks: readonly Block[], size: number): Block[] {
  const parents = blocks.map((_, n) => n);
  for (const [a, one] of blocks.entries())
    for (const [b, other] of blocks.entries()) {
      if (b <= a || rootOf(parents, a) === rootOf(parents, b) || !isSame(one, other, size)) continue;
      parents[rootOf(parents, b)] = rootOf(parents, a);
    }
  const groups = new Map<number, Block>();
  for (const [n, block] of blocks.entries()) {
    const root = rootOf(parents, n);
    const known = groups.get(root);
    groups.set(root, known === undefined ? block : plus(known, block));
  }
  return withoutOverlaps([...groups.values()]);
}

const weightOf = ({ certainty, marks }: Block) => certainty * marks.length;

function plus(one: Block, other: Block): Block {
  const { region, lean, certainty } = weightOf(one) >= weightOf(other) ? one : other;
  return {
    ...{ region, lean, certainty },
    marks: [...one.marks, ...other.marks],
    hull: hullOf([...one.hull, ...other.hull]),
  };
}

/** Papers do not overlap: groups whose hulls do are one. */
function withoutOverlaps(groups: readonly Block[]): Block[] {
  const list = groups.toSorted((a, b) => b.marks.length - a.marks.length);
  for (let a = 0; a < list.length; a += 1) {
    const one = list[a] as Block;
    const b = list.findIndex((other, n) => n > a && (meet(one.hull, other.hull) || areWhole(one, other)));
    if (b === -1) continue;
    list[a] = plus(one, list[b] as Block);
    list.splice(b, 1);
    a = -1;
  }
  return list;
}

function areWhole(one: Block, other: Block): boolean {
  const [a, b] = [area(one.hull), area(other.hull)];
  if (Math.min(a, b) <= 0.2 * Math.max(a, b)) return false;
  return a + b >= wholeShare * area(hullOf([...one.hull, ...other.hull]));
}

function isSame(one: Block, other: Block, size: number): boolean {
  if (meet(one.hull, other.hull)) return true;
  const gap = joined(one, other);
  if (gap < near * size || areWhole(one, other)) return true;
  const isParted = one.region !== other.region;
  if (Math.min(one.marks.length, other.marks.length) < crumb) return !isParted && gap < mostStray * size;
  const isTurned =
    [one, other].every(({ certainty, marks }) => certainty >= certain && marks.length >= leastMarksOfLines) &&
    Math.abs(between(one.lean, other.lean)) > mostTurned;
  if (isTurned) return !isParted && gap < mostBeside * size;
  const spans = spansOf(one, other);
  return isParted ? isFolded(spans, size) : isWithin(one, other, { spans, size });
}

interface Spans {
  /** Gap along the lines; negative where they overlap. */
  beside: number;
  below: number;
  /** Width of both together along the lines. */
  width: number;
  /** Height of the lower one across the lines. */
  lower: number;
  /** Position of a point across the lines. */
  across(point: Point): number;
}

/** Two blocks along and across the lines of the one whose lines are more certain. */
function spansOf(one: Block, other: Block): Spans {
  const { lean } = weightOf(one) >= weightOf(other) ? one : other;
  const [c, s] = [Math.cos((lean * Math.PI) / 180), Math.sin((lean * Math.PI) / 180)];
  const across = ({ x, y }: Point) => y * c - x * s;
  const spans = (at: (point: Point) => number) =>
    [range(one.hull.map(at)), range(other.hull.map(at))] as const;
  const [u, v] = [spans(({ x, y }) => x * c + y * s), spans(across)];
  const gap = ([a, b]: typeof u) => Math.max(a.from, b.from) - Math.min(a.to, b.to);
  const length = ({ from, to }: { from: number; to: number }) => to - from;
  return {
    ...{ beside: gap(u), below: gap(v), across },
    width: Math.max(u[0].to, u[1].to) - Math.min(u[0].from, u[1].from),
    lower: Math.min(length(v[0]), length(v[1])),
  };
}

const range = (values: readonly number[]) => ({ from: Math.min(...values), to: Math.max(...values) });

/** What a fold or a tear parts stands one below the other and is equally wide, or is the last lines. */
function isFolded({ beside, below, width, lower }: Spans, size: number): boolean {
  if (beside >= 0 || below >= mostFold * size) return false;
  return lower < fewLines * size || -beside > leastColumn * width;
}

/**
 * Of one bright region: parts of a paper are near each other, or stand in the same rows, such as names and amounts, and the columns
 * of a page.
 */
function isWithin(one: Block, other: Block, { spans, size }: { spans: Spans; size: number }): boolean {
  const { beside, below, lower, across } = spans;
  if (beside < 0) return below < (lower < fewLines * size ? mostBeforeFewLines : mostBelow) * size;
  if (beside < mostBeside * size) return true;
  return below < 0 && rowsAgree(one, other, { across, size });
}

/** Most marks of the smaller block stand in a row of the larger one; a little up or down, as the lines lean. */
function rowsAgree(
  one: Block,
  other: Block,
  { across, size }: { across(point: Point): number; size: number },
): boolean {
  const rows = ({ marks }: Block) => marks.map((mark) => across(middleOf(mark))).sort((a, b) => a - b);
  const [large, small] = one.marks.length >= other.marks.length ? [one, other] : [other, one];
  const wanted = rows(large);
  const [first = 0, last = 0] = [wanted[0], wanted.at(-1)];
  // What stands above or below the other block, such as a barcode, has no row in it.
  const given = rows(small).filter((row) => row >= first - size && row <= last + size);
  if (given.length < leastInRows * small.marks.length) return false;
  return [-0.4, -0.2, 0, 0.2, 0.4].some((shift) => {
    let at = 0;
    const found = given.filter((row) => {
      const low = row + (shift - 0.35) * size;
      while (at < wanted.length && (wanted[at] as number) < low) at += 1;
      return at < wanted.length && (wanted[at] as number) <= low + 0.7 * size;
    });
    return found.length >= 0.8 * given.length;
  });
}

const middleOf = ({ left, right, top, bottom }: Mark): Point => ({
  x: (left + right) / 2,
  y: (top + bottom) / 2,
});
