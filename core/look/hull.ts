import type { Mark } from "./ink.ts";

/* Convex hulls of points. */

export interface Point {
  x: number;
  y: number;
}

const cross = (a: Point, b: Point, c: Point) => (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);

/** The convex hull, clockwise in pixels (A. M. Andrew's monotone chain, 1979). */
export function hullOf(points: readonly Point[]): Point[] {
  return chained(points.toSorted((a, b) => a.x - b.x || a.y - b.y));
}

/** @param sorted - by x, then by y. */
function chained(sorted: readonly Point[]): Point[] {
  const half = (list: readonly Point[]) => {
    const chain: Point[] = [];
    for (const point of list) {
      while (chain.length > 1 && cross(chain.at(-2) as Point, chain.at(-1) as Point, point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.toReversed())];
}

/** The convex hull of the marks' boxes: of all corners in a column of pixels only the highest and the lowest are looked at. */
export function hullOfMarks(marks: readonly Mark[]): Point[] {
  if (marks.length === 0) return [];
  const first = Math.min(...marks.map(({ left }) => left));
  const last = Math.max(...marks.map(({ right }) => right)) + 1;
  const highest = new Int32Array(last - first + 1).fill(none);
  const lowest = new Int32Array(last - first + 1);
  for (const { left, right, top, bottom } of marks)
    for (const at of [left - first, right + 1 - first]) {
      highest[at] = Math.min(highest[at] as number, top);
      lowest[at] = Math.max(lowest[at] as number, bottom + 1);
    }
  const points: Point[] = [];
  for (const [at, y] of highest.entries())
    if (y !== none) points.push({ x: first + at, y }, { x: first + at, y: lowest[at] as number });
  return chained(points);
}

/** In place of a position: no corner lies in this column. */
const none = 2 ** 31 - 1;

export function area(hull: readonly Point[]): number {
  let sum = 0;
  for (const [at, { x, y }] of hull.entries()) {
    const next = hull[(at + 1) % hull.length] as Point;
    sum += x * next.y - y * next.x;
  }
  return Math.abs(sum) / 2;
}

/** Whether two hulls overlap: no edge of either has the other on its far side. */
export function meet(a: readonly Point[], b: readonly Point[]): boolean {
  return !separates(a, b) && !separates(b, a);
}

function separates(hull: readonly Point[], other: readonly Point[]): boolean {
  return hull.some((from, at) => {
    const to = hull[(at + 1) % hull.length] as Point;
    return other.every((point) => cross(from, to, point) <= 0);
  });
}

/** The shortest way between two hulls that do not meet. */
export function distance(a: readonly Point[], b: readonly Point[]): number {
  return Math.min(nearest(a, b), nearest(b, a));
}

function nearest(hull: readonly Point[], points: readonly Point[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (const [at, from] of hull.entries()) {
    const to = hull[(at + 1) % hull.length] as Point;
    const [x, y] = [to.x - from.x, to.y - from.y];
    const length = x * x + y * y;
    for (const point of points) {
      const along = length === 0 ? 0 : ((point.x - from.x) * x + (point.y - from.y) * y) / length;
      const share = Math.max(0, Math.min(1, along));
      const [across, down] = [point.x - from.x - share * x, point.y - from.y - share * y];
      // `Math.hypot` takes several times as long.
      best = Math.min(best, across * across + down * down);
    }
  }
  return Math.sqrt(best);
}

/** The corners of a mark's box. */
export const cornersOf = ({ left, right, top, bottom }: Mark): Point[] => [
  { x: left, y: top },
  { x: right + 1, y: top },
  { x: left, y: bottom + 1 },
  { x: right + 1, y: bottom + 1 },
];
