import leven from "leven";
import type { Tile } from "./tile.ts";

/*
 * The rows of two tiles of a page that share some lines. The last rows of the upper tile and the first rows of the
 * lower one are the same: as many as have equal contents. If several numbers fit (equal neighbors), the one nearest to
 * the number of shared lines counts.
 */

type Row = Record<string, unknown>;

interface Joined {
  rows: unknown[];
  /** False if no rows of the two tiles are equal although some are in the shared lines; then all rows are kept. */
  isClear: boolean;
}

/** Used if the number of shared lines is not known. */
const usualLines = 12;
/** Two readings of one name may differ by this share of their letters. */
const misread = 0.25;
const weights = {
  same: 1,
  near: 0.7,
  part: 0.5,
  piece: Number.NEGATIVE_INFINITY,
  other: Number.NEGATIVE_INFINITY,
};
/**
 * The weight of a row that is only a piece of the other one, which counts only for the first row of the overlap.
 * Otherwise rows with different values are two rows.
 */
const piece = 0.2;
/** The least share of the best possible weight for a number of rows. */
const leastShare = 0.5;
const skipped = -0.6;

export function join(before: readonly unknown[], after: readonly unknown[], shared: Tile["shared"]): Joined {
  const most = Math.min(before.length, after.length, (shared?.lines ?? usualLines) + 1);
  const fitting = Array.from({ length: most }, (_, at) => at + 1)
    .map((count) => ({ count, share: shareOf(before.slice(-count), after.slice(0, count)) / count }))
    .filter(({ share }) => share >= leastShare);
  const expected = shared?.amounts;
  const best = fitting.toSorted((a, b) => {
    const clearer = Number(b.share >= 0.9) - Number(a.share >= 0.9);
    const nearer = expected === undefined ? 0 : Math.abs(a.count - expected) - Math.abs(b.count - expected);
    return clearer || nearer || b.share - a.share || b.count - a.count;
  })[0];
  if (best !== undefined) return { rows: overlaid(before, after, best.count), isClear: true };
  return woven(before, after, most) ?? { rows: [...before, ...after], isClear: most === 0 || expected === 0 };
}

/**
 * How well these rows fit one by one. The last row above may lack what is below its tile, and the first row below may
 * lack what is above its tile.
 */
function shareOf(above: readonly unknown[], below: readonly unknown[]): number {
  let sum = 0;
  for (const [at, row] of above.entries()) {
    const found = likeness(row, below[at]);
    // These are two different rows, and one of them would be lost.
    if (found === "other") return 0;
    const isEdge = at === 0 || at === above.length - 1;
    if (found === "part" && !isEdge) sum += weights.other;
    else sum += found === "piece" && at === 0 ? piece : weights[found];
  }
  return sum;
}

/** Of two readings of a row, the one with more values. */
function overlaid(before: readonly unknown[], after: readonly unknown[], count: number): unknown[] {
  const start = before.length - count;
  const both = before.slice(start).map((row, at) => fuller(row, after[at]));
  return [...before.slice(0, start), ...both, ...after.slice(count)];
}

const fuller = (above: unknown, below: unknown) =>
  Object.keys(saidOf(below)).length > Object.keys(saidOf(above)).length ? below : above;

/**
 * For tiles of which one lacks a row that the other has: the rows of both in their order (the longest common
 * subsequence of the upper's last and the lower's first rows, by dynamic programming).
 * @returns undefined if they have too little in common.
 */
function woven(before: readonly unknown[], after: readonly unknown[], most: number): Joined | undefined {
  const above = before.slice(Math.max(0, before.length - most - 1));
  const below = after.slice(0, most + 1);
  type Way = { score: number; pairs: number; rows: unknown[] };
  const better = (ways: Way[]) => ways.reduce((best, way) => (way.score > best.score ? way : best));
  // Rows of the upper tile above the shared lines cost nothing, nor do those of the lower one below them.
  let column: Way[] = [{ score: 0, pairs: 0, rows: [] }];
  for (const row of below)
    column.push({
      ...(column.at(-1) as Way),
      score: (column.at(-1) as Way).score + skipped,
      rows: [...(column.at(-1) as Way).rows, row],
    });
  for (const [up, row] of above.entries()) {
    const next: Way[] = [{ score: 0, pairs: 0, rows: above.slice(0, up + 1) }];
    for (const [down, other] of below.entries()) {
      const [diagonal, left, over] = [column[down] as Way, column[down + 1] as Way, next[down] as Way];
      const weight = weights[likeness(row, other)];
      next.push(
        better([
          {
            score: diagonal.score + weight,
            pairs: diagonal.pairs + (weight > 0 ? 1 : 0),
            rows: [...diagonal.rows, fuller(row, other)],
          },
          { ...left, score: left.score + skipped, rows: [...left.rows, row] },
          { ...over, score: over.score + skipped, rows: [...over.rows, other] },
        ]),
      );
    }
    column = next;
  }
  const ends = column.map((way, at) => ({ ...way, rows: [...way.rows, ...below.slice(at)] }));
  const best = better(ends);
  if (best.pairs < 2 || best.score < 0.5) return undefined;
  return {
    rows: [...before.slice(0, before.length - above.length), ...best.rows, ...after.slice(below.length)],
    isClear: true,
  };
}

/**
 * How two readings of rows are related. `part`: one has fewer values, and no others. `piece`: they share something, as
 * when the first line of a row is above its tile.
 */
function likeness(above: unknown, below: unknown): keyof typeof weights {
  const [a, b] = [saidOf(above), saidOf(below)];
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  const of = { same: 0, near: 0, name: 0, misread: 0, apart: 0, alone: 0 };
  for (const name of names) {
    const [one, other] = [a[name], b[name]];
    if (one === undefined || other === undefined) of.alone += 1;
    else if (one === other || isNear(one, other)) {
      of[one === other ? "same" : "near"] += 1;
      if (isName(one)) of.name += 1;
    } else of[isName(one) || isName(other) ? "apart" : "misread"] += 1;
  }
  if (of.apart > 0 && of.misread > 0) return "other";
  if (of.apart > 0 || of.misread > 1) return of.same > 0 ? "piece" : "other";
  if (of.misread === 1) return of.name > 0 && of.same > 0 ? "near" : "other";
  if (of.same + of.near === 0) return "other";
  if (of.alone > 0) return "part";
  return of.near > 0 ? "near" : "same";
}

/** The texts of a row, without case, blanks and nulls. */
function saidOf(row: unknown): Row & Record<string, string> {
  const fields = typeof row === "object" && row !== null ? Object.entries(row) : [["", row]];
  return Object.fromEntries(
    fields.flatMap(([name, value]) => {
      if (value === null || value === undefined || value === "") return [];
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return [[name, text.normalize("NFKC").toLowerCase().replace(/\s+/g, "")]];
    }),
  );
}

const isName = (text: string) => /\p{L}{3}/u.test(text);
const digitsOf = (text: string) => text.replace(/[^\p{N}]/gu, "");

/** Letters of names may be misread; in numbers each digit counts. */
function isNear(a: string, b: string): boolean {
  if (!isName(a) || !isName(b) || digitsOf(a) !== digitsOf(b)) return false;
  return leven(a, b) <= misread * Math.max(a.length, b.length);
}
