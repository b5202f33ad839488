import { type Block, between, joined, rootOf } from "./blocks.ts";
import { area, hullOf, meet, type Point } from "./hull.ts";
import { acrossLines, rowsAgree } from "./same-rows.ts";

/*
 * Which blocks of text are of one paper. All lengths are heights of a letter. Thresholds were chosen on drawn sheets
 * (docs/documents.md).
 */

/** Nearer blocks are of one paper, whatever lies between them. */
const near = 3.5;
/** Parts of a paper that a fold or a tear separates: one below the other, equally wide, at most this far apart. */
const mostFold = 8;
const leastColumn = 0.7;
/** Two blocks that fill their common hull to this share are parts of one rectangle. */
const wholeShare = 0.93;
/** A block with fewer marks belongs to a block that is this near. */
const crumb = 4;
const mostStray = 12;
/** If lines are certain, papers whose tilt differs by more than this many degrees are different. */
const mostTurned = 12;
const certain = 0.3;
const leastMarksOfLines = 15;
/** Gaps within a receipt: between its parts from top to bottom, before its last lines, and from left to right. */
const mostBelow = 8;
const fewLines = 8;
const mostBeforeFewLines = 15;
const mostBeside = 8;

/**
 * True if nearness and folds alone join them to one paper, whatever separates its text: all blocks beside the largest
 * paper have fewer than `least` marks together.
 */
export function areOne(blocks: readonly Block[], size: number, least: number): boolean {
  const forest = new Forest(blocks, size);
  forest.join((one, other) => areFolded(one, other, size));
  return forest.rest() < least;
}

/**
 * Blocks that are of one paper joined to one.
 * @param size - the height of a letter in pixels.
 * @param least - the least marks of a paper: if all others together have fewer besides the largest, there is one paper,
 * and nothing else is checked.
 */
export function together(blocks: readonly Block[], size: number, least: number): Block[] {
  const forest = new Forest(blocks, size);
  if (forest.rest() < least) return [];
  forest.join((one, other) => isSame(one, other, size));
  return withoutOverlaps(forest.groups(), size);
}

/** The blocks; those that are near each other are joined at the beginning, which takes little time. */
class Forest {
  readonly #blocks: readonly Block[];
  readonly #parents: number[];

  constructor(blocks: readonly Block[], size: number) {
    this.#blocks = blocks;
    this.#parents = blocks.map((_, n) => n);
    const boxes = new Map(blocks.map((block) => [block, boxOf(block.hull)]));
    this.join(
      (one, other) => gapOf(boxes.get(one), boxes.get(other)) < near * size && isNear(one, other, size),
    );
  }

  join(are: (one: Block, other: Block) => boolean): void {
    const parents = this.#parents;
    for (const [a, one] of this.#blocks.entries())
      for (let b = a + 1; b < this.#blocks.length; b += 1)
        if (rootOf(parents, a) !== rootOf(parents, b) && are(one, this.#blocks[b] as Block))
          parents[rootOf(parents, b)] = rootOf(parents, a);
  }

  /** How many marks are not of the largest group. */
  rest(): number {
    const counts = this.#blocks.map(() => 0);
    for (const [n, { marks }] of this.#blocks.entries()) {
      const root = rootOf(this.#parents, n);
      counts[root] = (counts[root] ?? 0) + marks.length;
    }
    return counts.reduce((sum, count) => sum + count, 0) - Math.max(0, ...counts);
  }

  groups(): Block[] {
    const groups = new Map<number, Block>();
    for (const [n, block] of this.#blocks.entries()) {
      const root = rootOf(this.#parents, n);
      const known = groups.get(root);
      groups.set(root, known === undefined ? block : plus(known, block));
    }
    return [...groups.values()];
  }
}

interface Box {
  xs: Range;
  ys: Range;
}

function boxOf(hull: readonly Point[]): Box {
  return { xs: range(hull.map(({ x }) => x)), ys: range(hull.map(({ y }) => y)) };
}

/** A lower bound for the distance of any two points in the boxes. */
function gapOf(one: Box | undefined, other: Box | undefined): number {
  if (one === undefined || other === undefined) return 0;
  return Math.max(gap(one.xs, other.xs), gap(one.ys, other.ys));
}

const isNear = (one: Block, other: Block, size: number): boolean =>
  meet(one.hull, other.hull) || joined(one, other) < near * size;

const weightOf = ({ certainty, marks }: Block) => certainty * marks.length;

function plus(one: Block, other: Block): Block {
  const { region, lean, certainty } = weightOf(one) >= weightOf(other) ? one : other;
  return {
    ...{ region, lean, certainty },
    marks: [...one.marks, ...other.marks],
    hull: hullOf([...one.hull, ...other.hull]),
  };
}

/**
 * Papers do not overlap, and a part of a paper is separated only as a whole. So groups that belong to one paper are
 * joined.
 */
function withoutOverlaps(groups: readonly Block[], size: number): Block[] {
  const list = groups.toSorted((a, b) => b.marks.length - a.marks.length);
  for (let a = 0; a < list.length; a += 1) {
    const one = list[a] as Block;
    const b = list.findIndex((other, n) => n > a && areOfOne(one, other, size));
    if (b === -1) continue;
    list[a] = plus(one, list[b] as Block);
    list.splice(b, 1);
    a = -1;
  }
  return list;
}

/** A fold runs through names and amounts, neither of which alone is as wide as the paper. */
const areOfOne = (one: Block, other: Block, size: number): boolean =>
  meet(one.hull, other.hull) || areFolded(one, other, size);

const areFolded = (one: Block, other: Block, size: number): boolean =>
  areWhole(one, other) || (!areTurned(one, other) && isFolded(spansOf(one, other), size));

function areWhole(one: Block, other: Block): boolean {
  const [a, b] = [area(one.hull), area(other.hull)];
  if (Math.min(a, b) <= 0.2 * Math.max(a, b)) return false;
  return a + b >= wholeShare * area(hullOf([...one.hull, ...other.hull]));
}

function isSame(one: Block, other: Block, size: number): boolean {
  const apart = joined(one, other);
  if (isNear(one, other, size) || areWhole(one, other)) return true;
  const isParted = one.region !== other.region;
  if (Math.min(one.marks.length, other.marks.length) < crumb) return !isParted && apart < mostStray * size;
  const { lean } = weightOf(one) >= weightOf(other) ? one : other;
  // Checked before the direction of lines, which is not clear for a column of short amounts.
  if (!isParted && rowsAgree(one, other, { lean, size })) return true;
  if (areTurned(one, other)) return !isParted && apart < mostBeside * size;
  const spans = spansOf(one, other);
  return isParted ? isFolded(spans, size) : isWithin(spans, size);
}

/** True if their lines run in different directions. */
function areTurned(one: Block, other: Block): boolean {
  const areCertain = [one, other].every(
    ({ certainty, marks }) => certainty >= certain && marks.length >= leastMarksOfLines,
  );
  return areCertain && Math.abs(between(one.lean, other.lean)) > mostTurned;
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
  const length = ({ from, to }: Range) => to - from;
  return {
    ...{ beside: gap(...u), below: gap(...v) },
    width: Math.max(u[0].to, u[1].to) - Math.min(u[0].from, u[1].from),
    lower: Math.min(length(v[0]), length(v[1])),
  };
}

interface Range {
  from: number;
  to: number;
}

const range = (values: readonly number[]): Range => ({
  from: Math.min(...values),
  to: Math.max(...values),
});

/** Negative where they overlap. */
const gap = (a: Range, b: Range): number => Math.max(a.from, b.from) - Math.min(a.to, b.to);

/** Parts that a fold or a tear separates are one below the other and equally wide; a few lines alone are no receipt. */
function isFolded({ beside, below, width, lower }: Spans, size: number): boolean {
  if (beside >= 0) return false;
  if (lower < fewLines * size) return below < mostBeforeFewLines * size;
  return below < mostFold * size && -beside > leastColumn * width;
}

/** True if two blocks of one bright region are near enough to belong to one paper. */
function isWithin(spans: Spans, size: number): boolean {
  const { beside, below, lower } = spans;
  if (beside < 0) return below < (lower < fewLines * size ? mostBeforeFewLines : mostBelow) * size;
  return beside < mostBeside * size;
}
