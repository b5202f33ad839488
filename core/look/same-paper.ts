import { type Block, between, joined, rootOf } from "./blocks.ts";
import { area, hullOf, meet, type Point } from "./hull.ts";
import { acrossLines, rowsAgree } from "./same-rows.ts";

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
  const { lean } = weightOf(one) >= weightOf(other) ? one : other;
  // Before their lines: of a column of short amounts it is not clear which way they run.
  if (!isParted && rowsAgree(one, other, { lean, size })) return true;
  const isTurned =
    [one, other].every(({ certainty, marks }) => certainty >= certain && marks.length >= leastMarksOfLines) &&
    Math.abs(between(one.lean, other.lean)) > mostTurned;
  if (isTurned) return !isParted && gap < mostBeside * size;
  const spans = spansOf(one, other);
  return isParted ? isFolded(spans, size) : isWithin(spans, size);
}

interface Spans {
  /** Gap along the lines; negative where they overlap. */
  beside: number;
  below: number;
  /** Width of both together along the lines. */
  width: number;
  /** Height of the lower one across the lines. */
  lower: number;
}

/** Two blocks along and across the lines of the one whose lines are more certain. */
function spansOf(one: Block, other: Block): Spans {
  const { lean } = weightOf(one) >= weightOf(other) ? one : other;
  const [across, along] = [acrossLines(lean), acrossLines(lean - 90)];
  const spans = (at: (point: Point) => number) =>
    [range(one.hull.map(at)), range(other.hull.map(at))] as const;
  const [u, v] = [spans(along), spans(across)];
  const gap = ([a, b]: typeof u) => Math.max(a.from, b.from) - Math.min(a.to, b.to);
  const length = ({ from, to }: { from: number; to: number }) => to - from;
  return {
    ...{ beside: gap(u), below: gap(v) },
    width: Math.max(u[0].to, u[1].to) - Math.min(u[0].from, u[1].from),
    lower: Math.min(length(v[0]), length(v[1])),
  };
}

const range = (values: readonly number[]) => ({ from: Math.min(...values), to: Math.max(...values) });

/** What a fold or a tear parts stands one below the other and is equally wide; a few lines alone are no receipt. */
function isFolded({ beside, below, width, lower }: Spans, size: number): boolean {
  if (beside >= 0) return false;
  if (lower < fewLines * size) return below < mostBeforeFewLines * size;
  return below < mostFold * size && -beside > leastColumn * width;
}

/** Of one bright region: parts of a paper are near each other. */
function isWithin(spans: Spans, size: number): boolean {
  const { beside, below, lower } = spans;
  if (beside < 0) return below < (lower < fewLines * size ? mostBeforeFewLines : mostBelow) * size;
  return beside < mostBeside * size;
}
