import * as Random from "./random.ts";
import * as Statistics from "./statistics.ts";

/** Number of resamples; the interval is from the 2.5th to the 97.5th percentile. */
const resamples = 2000;
const seed = 16;

/** Documents as rows of counters, each stored as its differences from `usual`. */
export interface Matrix {
  documents: number;
  /** The counters of most documents. */
  usual: Float64Array;
  /** Start index of the differences of document i; one entry more than there are documents. */
  starts: Uint32Array;
  columns: Uint16Array;
  differences: Float64Array;
}

/** A figure of the sums of all columns; null if it is not defined. */
export type Figure = (sums: Float64Array) => number | null;

/**
 * Percentile bootstrap over documents (B. Efron, Bootstrap Methods, Annals of Statistics 7, 1979): documents are drawn
 * with replacement, as many as there are, 2,000 times; every figure uses the same draws. Deterministic: the seed is
 * fixed. Draws in which a figure is not defined are left out for that figure; null if none remain.
 */
export function intervals(matrix: Matrix, figures: readonly Figure[]): (Statistics.Interval | null)[] {
  const { documents, usual, starts, columns, differences } = matrix;
  if (documents === 0) return figures.map(() => null);
  const draw = Random.generator(seed);
  const found = figures.map(() => new Float64Array(resamples));
  const counts = new Uint32Array(figures.length);
  const sums = new Float64Array(usual.length);
  for (let resample = 0; resample < resamples; resample += 1) {
    for (let column = 0; column < sums.length; column += 1) sums[column] = (usual[column] ?? 0) * documents;
    for (let drawn = 0; drawn < documents; drawn += 1) {
      const document = Math.floor((draw() / 2 ** 32) * documents);
      const end = starts[document + 1] ?? 0;
      for (let at = starts[document] ?? 0; at < end; at += 1) {
        const column = columns[at] ?? 0;
        sums[column] = (sums[column] ?? 0) + (differences[at] ?? 0);
      }
    }
    figures.forEach((figure, i) => {
      const value = figure(sums);
      const values = found[i];
      if (value === null || values === undefined) return;
      values[counts[i] ?? 0] = value;
      counts[i] = (counts[i] ?? 0) + 1;
    });
  }
  return found.map((values, i) => percentiles(values.subarray(0, counts[i])));
}

function percentiles(values: Float64Array): Statistics.Interval | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted();
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}

/**
 * Of fewer documents, percentiles of a bootstrap are too narrow (T. Hesterberg, What Teachers Should Know About the
 * Bootstrap, The American Statistician 69(4), 2015, section 4): for one document they have no width at all.
 */
const fewDocuments = 10;

/**
 * Intervals of figures that are shares: the bootstrap's, or Wilson's with every document as one trial where fewer than ten
 * documents have the figure, or where all resamples are the same, as of documents that are all right. Null for a figure that
 * no document has.
 */
export function shares(
  matrix: Matrix,
  figures: readonly { of: Figure; value: number | null }[],
): (Statistics.Interval | null)[] {
  const found = intervals(
    matrix,
    figures.map(({ of }) => of),
  );
  const flat = found.map((interval) => interval !== null && interval[0] === interval[1]);
  // How many documents have the figure; counting stops at the number that matters.
  const counts = new Uint32Array(figures.length);
  const open = new Set(figures.keys());
  for (const row of rowsOf(matrix)) {
    for (const i of open) {
      if (figures[i]?.of(row) === null) continue;
      counts[i] = (counts[i] ?? 0) + 1;
      if (!flat[i] && (counts[i] ?? 0) >= fewDocuments) open.delete(i);
    }
    if (open.size === 0) break;
  }
  return figures.map(({ value }, i) => {
    const documents = counts[i] ?? 0;
    if (value === null) return null;
    return flat[i] || documents < fewDocuments
      ? Statistics.wilson(value * documents, documents)
      : (found[i] ?? null);
  });
}

/** The counters of one document after the other, in the same array. */
function* rowsOf({ documents, usual, starts, columns, differences }: Matrix): Generator<Float64Array> {
  const row = new Float64Array(usual.length);
  for (let document = 0; document < documents; document += 1) {
    row.set(usual);
    for (let at = starts[document] ?? 0; at < (starts[document + 1] ?? 0); at += 1) {
      const column = columns[at] ?? 0;
      row[column] = (row[column] ?? 0) + (differences[at] ?? 0);
    }
    yield row;
  }
}
