import type { Layout } from "#core/evaluation/compare/layout";
import * as Outcome from "#core/evaluation/compare/outcome";
import type { Matrix } from "#core/evaluation/statistics/bootstrap";
import * as Accumulator from "./accumulator.ts";
import type { Vector } from "./vector.ts";

/*
 * An evaluation's documents as rows of counters, to compute sums over all documents and over resamples.
 */

export type Mode = "exact" | "canonical";
export const modes: readonly Mode[] = ["exact", "canonical"];

/** The columns of each figure's counters within a document's row. */
interface Columns {
  count: number;
  /** First column of a field, by the field's index: matched, predicted, expected, right, scored. */
  field(index: number, mode: Mode): number;
  /**
   * First column of a list: expected, predicted and paired rows, cells, cells right as printed, cells right in meaning.
   */
  list(index: number): number;
  /** First of three columns: documents with a scored label, those right as printed, those right in meaning. */
  right: number;
  /**
   * First column of the published figures: Donut's accuracies, their number, matched and unmatched values; SROIE's
   * three; value F1s, their number.
   */
  published: number;
}

const perField = 5;
const perList = 6;

export function of(layout: Layout): Columns {
  const lists = layout.fields.length * modes.length * perField;
  const right = lists + layout.lists.length * perList;
  return {
    count: right + 3 + 9,
    field: (index, mode) => (index * modes.length + modes.indexOf(mode)) * perField,
    list: (index) => lists + index * perList,
    right,
    published: right + 3,
  };
}

function fill(columns: Columns, vector: Vector, into: Float64Array): void {
  let scored = 0;
  vector.fields.forEach((field, i) => {
    for (const mode of modes) {
      const counters = field[mode];
      into.set(
        [
          counters.matched,
          Outcome.predicted(counters),
          Outcome.expected(counters),
          Outcome.right(counters),
          Outcome.scored(counters),
        ],
        columns.field(i, mode),
      );
    }
    scored += Outcome.scored(field.canonical);
  });
  vector.lists.forEach(({ expected, predicted, paired, cells, exact, canonical }, i) => {
    into.set([expected, predicted, paired, cells, exact, canonical], columns.list(i));
  });
  const right = modes.map((mode) => Number(Accumulator.isRight(vector, mode)));
  into.set([Number(scored > 0), ...right], columns.right);
  const { donutAccuracy, donut, sroie, extractBench } = vector.published;
  into.set(
    [
      ...[donutAccuracy ?? 0, Number(donutAccuracy !== null), donut.matched, donut.unmatched],
      ...[sroie?.matched ?? 0, sroie?.predicted ?? 0, sroie?.expected ?? 0],
      ...[extractBench ?? 0, Number(extractBench !== null)],
    ],
    columns.published,
  );
}

/** Number of documents sampled to find the usual counters: most documents of a run are alike. */
const looked = 64;

/** Every document as its differences from the usual one, with the sums of all columns. */
export function matrixOf(accumulator: Accumulator.Accumulator): Matrix & { sums: Float64Array } {
  const columns = of(accumulator.layout);
  const row = new Float64Array(columns.count);
  const first: Float64Array[] = [];
  for (const vector of Accumulator.each(accumulator)) {
    if (first.length === looked) break;
    fill(columns, vector, row);
    first.push(row.slice());
  }
  const usual = Float64Array.from({ length: columns.count }, (_, c) =>
    modeOf(first.map((each) => each[c] ?? 0)),
  );
  // Counted first, so that arrays of the final size are allocated once instead of being copied as they grow.
  let differing = 0;
  for (const vector of Accumulator.each(accumulator)) {
    fill(columns, vector, row);
    for (let c = 0; c < columns.count; c += 1) differing += Number(row[c] !== usual[c]);
  }
  const starts = new Uint32Array(accumulator.documents + 1);
  const found = { columns: new Uint16Array(differing), differences: new Float64Array(differing) };
  const sums = new Float64Array(columns.count);
  let at = 0;
  let document = 0;
  for (const vector of Accumulator.each(accumulator)) {
    fill(columns, vector, row);
    for (let c = 0; c < columns.count; c += 1) {
      const value = row[c] ?? 0;
      sums[c] = (sums[c] ?? 0) + value;
      if (value === usual[c]) continue;
      found.columns[at] = c;
      found.differences[at] = value - (usual[c] ?? 0);
      at += 1;
    }
    document += 1;
    starts[document] = at;
  }
  return { documents: accumulator.documents, usual, starts, ...found, sums };
}

function modeOf(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [most] = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  return most?.[0] ?? 0;
}
