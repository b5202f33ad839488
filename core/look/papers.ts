import { type Block, blocksOf, joined } from "./blocks.ts";
import type { Grey } from "./grey.ts";
import { cornersOf, hullOf, hullOfMarks, meet, type Point } from "./hull.ts";
import type { Ink, Mark } from "./ink.ts";
import { type Node, regionOfMarks, treeOf } from "./regions.ts";
import { areOne, together } from "./same-paper.ts";

/*
 * Finds several receipts on one picture. A receipt is a group of text that is separated from all others: by paper edges
 * or a table that is darker than the paper (./regions.ts), or by a wide empty gap that no row crosses
 * (./same-paper.ts). A picture is one receipt unless the groups are clear: a receipt that is cut in two is worse than
 * two that are read together.
 */

/** A receipt on a picture, as a rectangle around its print that may lean. */
export interface Paper {
  /** In parts of the picture's width and height; they may lie outside of it. */
  corners: Point[];
  /** Clockwise degrees that make the rectangle stand straight, above -45 to 45; which way up the print is, is not known yet. */
  turn: number;
}

/** A bright region with fewer marks counts as dirt. */
const leastMarksOfRegion = 6;
/** The area between two papers is darker than the paper around their text by this many gray levels. */
const leastDepth = 9;
/** A receipt has this many marks, and this share of those of the largest one. */
const leastMarks = 20;
const leastShare = 0.15;
/** If the groups contain a smaller share of the marks than this, the marks are a pattern. */
const leastCovered = 0.7;
/** A piece that was separated from its receipt: its most marks, and its distance in heights of a letter. */
const leastMarksOfPiece = 4;
const mostGapToPiece = 8;
/** Marks belong to a receipt if their surroundings are at least this share as bright as around most of its marks. */
const leastBrightness = 0.75;
/** If the background of this share of the marks is darker than that of the others, they are not on paper. */
const brightShare = 0.8;
/** Paper is at least this share as bright as the brightest: what is darker is the table. */
const leastLevel = 0.5;
/** Used instead of the number of a region. */
const nowhere = -1;
/** Heights of a letter around the print. */
const mostMargin = 6;
const leastMargin = 1.5;

/** @returns an empty list if there is one receipt, or if it is not clear that there are several. */
export function papersOf(grey: Grey, ink: Ink): Paper[] {
  const size = sizesOf(ink.marks)[ink.marks.length >> 1] ?? 1;
  const marks = [...ink.marks, ...ink.others].filter((mark) => isCompact(mark, size));
  if (isClearlyOne(grey, marks, size)) return [];
  const tree = treeOf(grey, ink, leastMarksOfRegion);
  if (tree === undefined) return [];
  const regions = regionOfMarks(tree, apart(tree.root), marks);
  const placed = marks.map((mark, n) => ({ mark, region: regions[n] ?? nowhere }));
  const blocks = blocksOf(
    placed.filter(({ region }) => region !== nowhere),
    size,
  );
  const found = together(blocks, size, leastMarks);
  if (found.filter((group) => group.marks.length >= leastMarks).length < 2) return [];
  const levels = found.map((group) => levelOf(grey, group));
  const darkest =
    leastLevel * Math.max(...levels.filter((_, n) => (found[n]?.marks.length ?? 0) >= leastMarks));
  const groups = found.flatMap((group, n) => {
    const level = levels[n] ?? 0;
    return level >= darkest ? [onPaper(grey, group, level)] : [];
  });
  const most = Math.max(0, ...groups.map((group) => group.marks.length));
  const isReceipt = (group: Block) => group.marks.length >= Math.max(leastMarks, leastShare * most);
  const receipts = groups.filter(isReceipt);
  const covered = receipts.reduce((sum, group) => sum + group.marks.length, 0);
  if (receipts.length < 2 || covered < leastCovered * ink.marks.length) return [];
  const others = [
    ...groups.filter((group) => !isReceipt(group)),
    ...blocksOf(
      placed.filter(({ region }) => region === nowhere),
      size,
    ),
  ];
  const whole = withPieces(grey, { receipts, pieces: others, size });
  return inOrder(whole.map((receipt) => paperOf(grey, receipt, { receipts: whole, marks: ink.marks, size })));
}

/**
 * Whether the text is so close together that brightness need not be looked at, as of most single receipts. Marks on what is darker
 * than the paper join nothing: the pattern of a table would bridge its receipts.
 */
function isClearlyOne(grey: Grey, marks: readonly Mark[], size: number): boolean {
  const levels = marks.map((mark) => aroundOf(grey, mark));
  const paper = levels.toSorted((a, b) => a - b)[Math.floor(levels.length * brightShare)] ?? 0;
  const bright = marks.filter((_, n) => (levels[n] as number) >= leastBrightness * paper);
  const least = leastMarks - (marks.length - bright.length);
  return (
    least > 0 &&
    areOne(
      blocksOf(
        bright.map((mark) => ({ mark, region: 0 })),
        size,
      ),
      size,
      least,
    )
  );
}

/**
 * Joins receipts with pieces that a fold or a shadow separated: pieces that are near, if no other receipt is within the
 * common area.
 */
function withPieces(
  grey: Grey,
  { receipts, pieces, size }: { receipts: readonly Block[]; pieces: readonly Block[]; size: number },
): Block[] {
  const whole = [...receipts];
  for (const found of pieces) {
    const gaps = whole.map((receipt) => joined(receipt, found));
    const nearest = gaps.indexOf(Math.min(...gaps));
    const receipt = whole[nearest];
    if (receipt === undefined || (gaps[nearest] ?? 0) > mostGapToPiece * size) continue;
    const piece = onPaper(grey, found, levelOf(grey, receipt));
    if (piece.marks.length < leastMarksOfPiece) continue;
    const hull = hullOf([...receipt.hull, ...piece.hull]);
    if (whole.some((other) => other !== receipt && meet(other.hull, hull))) continue;
    whole[nearest] = { ...receipt, marks: [...receipt.marks, ...piece.marks], hull };
  }
  return whole;
}

/** The usual brightness around the marks of a group. */
function levelOf(grey: Grey, { marks }: Block): number {
  const levels = marks.map((mark) => aroundOf(grey, mark)).sort((a, b) => a - b);
  return levels[levels.length >> 1] ?? 0;
}

/** The group without marks of the table, which is darker. */
function onPaper(grey: Grey, group: Block, level: number): Block {
  const marks = group.marks.filter((mark) => aroundOf(grey, mark) >= leastBrightness * level);
  return marks.length === group.marks.length ? group : { ...group, marks, hull: hullOfMarks(marks) };
}

/** The brightest pixel of a mark's box and of two around it. */
function aroundOf({ width, height, data }: Grey, { left, right, top, bottom }: Mark): number {
  let brightest = 0;
  for (let y = Math.max(0, top - 2); y <= Math.min(height - 1, bottom + 2); y += 1)
    for (let x = Math.max(0, left - 2); x <= Math.min(width - 1, right + 2); x += 1)
      brightest = Math.max(brightest, data[y * width + x] as number);
  return brightest;
}

/** From top to bottom, and what stands side by side from left to right. */
function inOrder(papers: readonly Paper[]): Paper[] {
  const span = ({ corners }: Paper, of: "x" | "y") => {
    const values = corners.map((corner) => corner[of]);
    return { from: Math.min(...values), middle: (Math.min(...values) + Math.max(...values)) / 2 };
  };
  const left = papers.toSorted((a, b) => span(a, "y").from - span(b, "y").from);
  const rows: Paper[][] = [];
  for (const paper of left) {
    const row = rows.at(-1);
    const [first] = row ?? [];
    if (row !== undefined && first !== undefined && span(paper, "y").from < span(first, "y").middle)
      row.push(paper);
    else rows.push([paper]);
  }
  return rows.flatMap((row) => row.toSorted((a, b) => span(a, "x").from - span(b, "x").from));
}

const shortOf = ({ left, right, top, bottom }: Mark) => Math.min(right - left, bottom - top) + 1;
const sizesOf = (marks: readonly Mark[]) => marks.map(shortOf).sort((a, b) => a - b);

/** Pieces of a paper's edge are left out, because they would join what the edge separates. */
function isCompact(mark: Mark, size: number): boolean {
  const short = shortOf(mark);
  const long = Math.max(mark.right - mark.left, mark.bottom - mark.top) + 1;
  return long < 4 * size || (long < 6 * short && mark.area > 0.3 * long * short);
}

/** Regions with text that are separated by darker ones. */
function apart(node: Node): Node[] {
  const found = node.children
    .flatMap(apart)
    .filter(({ paper, text }) => paper / text - node.level >= leastDepth);
  return found.length > 1 ? found : [node];
}

/** The receipt's rectangle: its print with long words at its border, and a margin up to half the way to the next. */
function paperOf(
  grey: Grey,
  receipt: Block,
  { receipts, marks, size }: { receipts: readonly Block[]; marks: readonly Mark[]; size: number },
): Paper {
  const { width, height } = grey;
  const others = receipts.filter((other) => other !== receipt);
  const gap = Math.min(...others.map((other) => joined(receipt, other)));
  const margin = Math.max(leastMargin * size, Math.min(mostMargin * size, gap / 2));
  const level = leastBrightness * levelOf(grey, receipt);
  const near = marks.filter((mark) => isBeside(receipt, mark, margin) && aroundOf(grey, mark) >= level);
  const { corners, turn } = rectangleOf(hullOf([...receipt.hull, ...near.flatMap(cornersOf)]), margin);
  return { corners: corners.map(({ x, y }) => ({ x: x / width, y: y / height })), turn };
}

function isBeside({ hull }: Block, { left, right, top, bottom }: Mark, margin: number): boolean {
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  const xs = hull.map((point) => point.x);
  const ys = hull.map((point) => point.y);
  const [dx, dy] = [
    Math.max(0, Math.min(...xs) - x, x - Math.max(...xs)),
    Math.max(0, Math.min(...ys) - y, y - Math.max(...ys)),
  ];
  return dx === 0 && dy === 0 ? false : Math.hypot(dx, dy) < margin / 2;
}

/** The smallest rectangle around a hull: one of its sides lies on one of the hull's. */
function rectangleOf(hull: readonly Point[], margin: number): { corners: Point[]; turn: number } {
  let best = { area: Number.POSITIVE_INFINITY, corners: [] as Point[], turn: 0 };
  for (const [at, from] of hull.entries()) {
    const to = hull[(at + 1) % hull.length] as Point;
    const lean = Math.atan2(to.y - from.y, to.x - from.x);
    const turn = lean - Math.round(lean / (Math.PI / 2)) * (Math.PI / 2);
    const [c, s] = [Math.cos(turn), Math.sin(turn)];
    const us = hull.map(({ x, y }) => x * c + y * s);
    const vs = hull.map(({ x, y }) => y * c - x * s);
    const [u0, u1] = [Math.min(...us) - margin, Math.max(...us) + margin];
    const [v0, v1] = [Math.min(...vs) - margin, Math.max(...vs) + margin];
    const area = (u1 - u0) * (v1 - v0);
    if (area >= best.area) continue;
    const corner = (u: number, v: number) => ({ x: u * c - v * s, y: u * s + v * c });
    const corners = [corner(u0, v0), corner(u1, v0), corner(u1, v1), corner(u0, v1)];
    best = { area, corners, turn: (-turn * 180) / Math.PI };
  }
  return { corners: best.corners, turn: best.turn };
}
