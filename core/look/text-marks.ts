import type { Mark } from "./ink.ts";
import type { Letter } from "./upright.ts";

/** This share of the letters on each side is left out, since a knot in the wood may look like a letter. */
const outliers = 0.03;

/** The marks among the letters that have their size: only some of them were judged one by one. */
export function textMarks(marks: readonly Mark[], letters: readonly Letter[]): Set<number> {
  const height = (mark: Mark) => Math.min(mark.right - mark.left, mark.bottom - mark.top) + 1;
  const usual = middle(
    letters.flatMap(({ mark }) => (marks[mark] === undefined ? [] : [height(marks[mark])])),
  );
  const [left, right] = range(letters.map(({ x }) => x));
  const [top, bottom] = range(letters.map(({ y }) => y));
  const found = new Set<number>();
  for (const [at, mark] of marks.entries()) {
    const inside = mark.right >= left && mark.left <= right && mark.bottom >= top && mark.top <= bottom;
    const isSized = height(mark) >= 0.6 * usual && height(mark) <= 1.7 * usual;
    if (inside && isSized && !isBlock(mark)) found.add(at);
  }
  return found;
}

/** A filled rectangle, such as a box of a form or of a chart: it has the ink of many letters. */
function isBlock({ left, right, top, bottom, area }: Mark): boolean {
  const [wide, high] = [right - left + 1, bottom - top + 1];
  return Math.min(wide, high) >= 7 && area > 0.85 * wide * high;
}

/** Only some letters were judged: beyond the outermost of them there are as many as between two. */
const beyond = 1.5;

function range(values: readonly number[]): [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const skip = Math.floor(sorted.length * outliers);
  const [first, last] = [sorted[skip] ?? 0, sorted[sorted.length - 1 - skip] ?? 0];
  const margin = (beyond * (last - first)) / Math.max(1, sorted.length);
  return [first - margin, last + margin];
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
