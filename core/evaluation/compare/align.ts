import { munkres } from "munkres";

/*
 * Which row of an answer is which row of the paper.
 */

/** Rows less alike than this are not the same row. */
export const threshold = 0.5;

/**
 * Costs are whole numbers, so that sums of them are exact: a millionth of similarity is the finest difference, and below
 * it the distance of positions decides. The largest sum, 1,000 rows of cost one, is 10^15, which a double holds.
 */
const scale = 1_000_000;

/** A row of the first side and the row of the second that it is. */
export type Pair = readonly [number, number];

/**
 * Pairs the rows of two sides one to one so that their similarities add up to the most (the Hungarian method), pairs under
 * the threshold not counted: they stay unpaired, and none of them costs another pair its partner. Of pairings that are as
 * good, the one with the rows nearest to their own positions; of those, any, but always the same.
 * @param similarity - from 0 to 1, of row i of the first and row j of the second side.
 * @returns in the order of the first side's rows.
 */
export function align(first: number, second: number, similarity: (i: number, j: number) => number): Pair[] {
  if (first === 0 || second === 0) return [];
  const paired: boolean[][] = [];
  const costs = Array.from({ length: first }, (_, i) => {
    const fits: boolean[] = [];
    paired.push(fits);
    return Array.from({ length: second }, (_, j) => {
      const alike = similarity(i, j);
      fits.push(alike >= threshold);
      return alike >= threshold ? Math.round((1 - alike) * scale) * scale + Math.abs(i - j) : scale * scale;
    });
  });
  return munkres(costs)
    .filter(([i, j]) => paired[i]?.[j] === true)
    .sort((a, b) => a[0] - b[0]);
}
