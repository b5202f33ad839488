import { munkres } from "munkres";

/*
 * Finds which row of an answer is which row of the paper.
 */

/** Rows with a similarity below this are not paired. */
export const threshold = 0.5;

/**
 * Costs are whole numbers, so that their sums are exact. Similarity counts in millionths; below that the distance
 * between positions decides. The largest sum, 1,000 rows of cost one, is 10^15, which a double represents exactly.
 */
const scale = 1_000_000;

/** A row of the first side and its row of the second. */
export type Pair = readonly [number, number];

/**
 * Pairs the rows of two sides one to one, with the largest sum of similarities (the Hungarian method). Pairs below the
 * threshold do not count: such rows stay unpaired and take no partner from another row. Of equally good pairings, the
 * one with rows nearest to their own positions is taken; of those, an arbitrary but deterministic one.
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
