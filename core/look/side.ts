import type { Grey } from "./grey.ts";
import { lineMark, type Mark, type Runs } from "./ink.ts";

/*
 * The four sides of a picture, each seen in the same way: how deep something lies below the side, 0 for its outermost row of
 * pixels, and where along it.
 */

export type Box = Omit<Mark, "area">;

/** From and to in pixels, both inclusive. */
export interface Span {
  first: number;
  last: number;
}

export interface Side {
  /** Lines of text run along it where the picture is upright: top and bottom. */
  level: boolean;
  /** Pixels along it. */
  length: number;
  /** Where a box begins and ends below the side, and along it. */
  depth(box: Box): number;
  end(box: Box): number;
  first(box: Box): number;
  last(box: Box): number;
  /** Of spans along and below the side. */
  box(along: Span, depth: Span): Box;
}

const left = ({ left }: Box) => left;
const right = ({ right }: Box) => right;
const top = ({ top }: Box) => top;
const bottom = ({ bottom }: Box) => bottom;

const boxOf = (x: Span, y: Span): Box => ({ left: x.first, right: x.last, top: y.first, bottom: y.last });

export function sidesOf({ width, height }: Pick<Grey, "width" | "height">): Side[] {
  const fromRight = (x: number) => width - 1 - x;
  const fromBottom = (y: number) => height - 1 - y;
  const flank = { level: false, length: height, first: top, last: bottom };
  const end = { level: true, length: width, first: left, last: right };
  return [
    { ...flank, depth: left, end: right, box: (along, depth) => boxOf(depth, along) },
    {
      ...flank,
      depth: ({ right }) => fromRight(right),
      end: ({ left }) => fromRight(left),
      box: (along, { first, last }) => boxOf({ first: fromRight(last), last: fromRight(first) }, along),
    },
    { ...end, depth: top, end: bottom, box: boxOf },
    {
      ...end,
      depth: ({ bottom }) => fromBottom(bottom),
      end: ({ top }) => fromBottom(top),
      box: (along, { first, last }) => boxOf(along, { first: fromBottom(last), last: fromBottom(first) }),
    },
  ];
}

/** The runs of ink at most so deep below any side, as boxes with the index of their mark. */
export function runsNear(
  { width, height }: Pick<Grey, "width" | "height">,
  { x0, x1, y, mark, count }: Runs,
  deep: number,
): (Box & { mark: number })[] {
  const found: (Box & { mark: number })[] = [];
  for (let run = 0; run < count; run += 1) {
    const [row, from, to] = [y[run] as number, x0[run] as number, x1[run] as number];
    if (from >= deep && to < width - deep && row >= deep && row < height - deep) continue;
    found.push({ left: from, right: to, top: row, bottom: row, mark: mark[run] as number });
  }
  return found;
}

/** Ink that the side cuts. */
export interface Touch extends Span {
  /** Pixels that it reaches below the side. */
  reach: number;
}

/** Each piece of ink at the side, but for long lines. @param deep - how far it is followed. */
export function touchesOf(side: Side, runs: readonly (Box & { mark: number })[], deep: number): Touch[] {
  const { length } = side;
  // Row by row, the outermost first.
  const ink = new Uint8Array(deep * length);
  const line = new Uint8Array(length);
  for (const run of runs) {
    const depth = side.depth(run);
    if (depth >= deep) continue;
    const [first, last] = [side.first(run), side.last(run)];
    for (let at = depth; at <= Math.min(deep - 1, side.end(run)); at += 1)
      ink.fill(1, at * length + first, at * length + last + 1);
    if (depth === 0 && run.mark === lineMark) line.fill(1, first, last + 1);
  }
  const touches: Touch[] = [];
  for (let at = ink.indexOf(1); at !== -1 && at < length; at = ink.indexOf(1, at)) {
    const first = at;
    let isLine = false;
    for (; at < length && ink[at] === 1; at += 1) isLine ||= line[at] === 1;
    const span = { first, last: at - 1 };
    if (!isLine) touches.push({ ...span, reach: reachOf(ink, span, { length, deep }) });
  }
  return touches;
}

/** Follows ink from row to row, corners included. */
function reachOf(ink: Uint8Array, from: Span, { length, deep }: { length: number; deep: number }): number {
  let { first, last } = from;
  for (let depth = 1; depth < deep; depth += 1) {
    const row = ink.subarray(depth * length, (depth + 1) * length);
    const low = row.indexOf(1, Math.max(0, first - 1));
    if (low === -1 || low > last + 1) return depth;
    const high = row.lastIndexOf(1, last + 1);
    [first, last] = [low, high];
    while (first > 0 && row[first - 1] === 1) first -= 1;
    while (row[last + 1] === 1) last += 1;
  }
  return deep;
}
