import type { Block } from "./blocks.ts";
import type { Point } from "./hull.ts";
import type { Mark } from "./ink.ts";

/*
 * Tells whether two blocks side by side share rows, like the names and amounts of a receipt, or the columns of a page.
 * All lengths are heights of a letter.
 */

/** Share of the smaller block's marks that stand beside the larger one, and of these in its rows. */
const leastBeside = 0.4;
const leastAgreeing = 0.8;
/** How far a mark may be from the middle of a row. */
const mostOff = 0.3;
/** Lines lean a little more or less than was measured, in degrees, and paper is not flat. */
const turns = [0, -1, 1];
const shifts = [0, -0.3, 0.3, -0.6, 0.6];

/** @param lean - of the lines, in degrees. @param size - the height of a letter in pixels. */
export function rowsAgree(one: Block, other: Block, { lean, size }: { lean: number; size: number }): boolean {
  const [large, small] = one.marks.length >= other.marks.length ? [one, other] : [other, one];
  return turns.some((turn) => {
    const across = acrossLines(lean + turn);
    const rows = positions(large, across);
    const [first = 0, last = 0] = [rows[0], rows.at(-1)];
    // Marks above or below the other block, such as a barcode, have no row in it.
    const beside = positions(small, across).filter((at) => at >= first - size && at <= last + size);
    if (beside.length < leastBeside * small.marks.length) return false;
    return shifts.some((shift) => agreeing(rows, beside, { shift, size }) >= leastAgreeing * beside.length);
  });
}

/** The position of a point across lines with this tilt in degrees. */
export function acrossLines(lean: number): (point: Point) => number {
  const [c, s] = [Math.cos((lean * Math.PI) / 180), Math.sin((lean * Math.PI) / 180)];
  return ({ x, y }) => y * c - x * s;
}

const positions = ({ marks }: Block, across: (point: Point) => number): number[] =>
  marks.map((mark) => across(middleOf(mark))).sort((a, b) => a - b);

/** How many of the second positions, after this shift, are near one of the first; both lists ascend. */
function agreeing(
  rows: readonly number[],
  given: readonly number[],
  { shift, size }: { shift: number; size: number },
): number {
  let at = 0;
  let found = 0;
  for (const position of given) {
    const low = position + (shift - mostOff) * size;
    while (at < rows.length && (rows[at] as number) < low) at += 1;
    if (at < rows.length && (rows[at] as number) <= low + 2 * mostOff * size) found += 1;
  }
  return found;
}

const middleOf = ({ left, right, top, bottom }: Mark): Point => ({
  x: (left + right) / 2,
  y: (top + bottom) / 2,
});
