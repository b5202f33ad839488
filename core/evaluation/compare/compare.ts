import type * as Normalize from "#core/canonical/normalize";
import type { GroundTruth, Labelled } from "#core/ground-truth/record";
import * as Align from "./align.ts";
import * as Distance from "./distance.ts";
import * as Equal from "./equal.ts";
import * as Expected from "./expected.ts";
import * as Layout from "./layout.ts";
import type { Outcome } from "./outcome.ts";
import * as Sheet from "./sheet.ts";

/** The outcome of a run's item. */
export interface Prediction {
  status: "succeeded" | "failed" | "canceled";
  /** The answer; null if there is none. */
  result: unknown;
  /** Concrete paths of values that the model reported as unreadable. */
  abstained?: ReadonlySet<string> | undefined;
}

export interface Options {
  strMode: Equal.StrMode;
  circumstances?: Normalize.Circumstances | undefined;
}

/** The outcome of one labeled value. */
export interface Verdict {
  /** The field: `items[].price`. */
  field: string;
  /**
   * Its path in the labels: `items[3].price`; for a row of the answer that the paper does not have, its path in the
   * answer.
   */
  path: string;
  exact: Outcome;
  canonical: Outcome;
  /** The first accepted value; null if the paper has none or it is unreadable. */
  expected: string | null;
  /** All accepted values if there are several, null for none; the first 16. */
  accepted?: (string | null)[];
  /** Whether an accepted value can be read in several ways, so that it is compared as printed. */
  ambiguous?: true;
  predicted: string | null;
  /** For a cell: the row on the paper and the row of the answer. */
  rows?: { expected: number | null; predicted: number | null };
}

/** How the rows of a list were paired. */
interface Rows {
  path: string;
  /** Number of rows on the paper, and of the answer. */
  expected: number;
  predicted: number;
  pairs: readonly Align.Pair[];
}

export interface Comparison {
  layout: Layout.Layout;
  /** False for an item without an answer. */
  answered: boolean;
  /** The paper's currency: from the labels, else from the answer. */
  currency: string | null;
  labels: Sheet.Sheet<Labelled | undefined>;
  answer: Sheet.Sheet<string | null>;
  verdicts: Verdict[];
  lists: Rows[];
}

/**
 * Compares an answer with the labels of its document. Only labeled values are scored. Labels and answer are each read
 * in their own context (core/canonical). If an item failed or was canceled, every labeled value counts as missing; the
 * same holds for a row that the answer does not have. Pure; never throws, whatever the answer's shape.
 */
export function compare(
  fields: readonly Normalize.Field[],
  labels: GroundTruth["labels"],
  prediction: Prediction,
  options: Options,
): Comparison {
  const layout = Layout.of(fields);
  const labelled = Sheet.ofLabels(layout, labels);
  const truth = Expected.of(layout, labelled, options.circumstances ?? {});
  const answered = prediction.status === "succeeded" && prediction.result !== null;
  const answer = Sheet.ofResult(layout, answered ? prediction.result : null);
  const side = Equal.sideOf(layout, answer, options.circumstances ?? {});
  const judge: Judge = (expected, path, printed) => {
    if (!answered || path === null) return expected.label.kind === "unreadable" ? null : both("missing");
    const value = printed === null ? null : side.read(path, printed);
    return judged(expected, value, options.strMode, prediction.abstained?.has(path) === true);
  };
  const verdicts: Verdict[] = [];
  truth.scalars.forEach((expected, i) => {
    const { path } = layout.scalars[i] ?? { path: "" };
    const predicted = answer.scalars[i] ?? null;
    const found = expected && judge(expected, path, predicted);
    if (found) verdicts.push({ field: path, path, ...found, ...Expected.said(expected), predicted });
  });
  const lists: Rows[] = [];
  truth.lists.forEach((rows, i) => {
    if (rows === undefined) return;
    lists.push(compareRows({ layout, list: i, rows, answer: answer.lists[i] ?? [], side, judge }, verdicts));
  });
  const currency = truth.currency ?? side.currency;
  return { layout, answered, currency, labels: labelled, answer, verdicts, lists };
}

interface Judged {
  exact: Outcome;
  canonical: Outcome;
}
/** A null result is not counted. A null path means that no place in the answer can have the value. */
type Judge = (expected: Expected.Expected, path: string | null, printed: string | null) => Judged | null;

const both = (outcome: Outcome): Judged => ({ exact: outcome, canonical: outcome });

/** The outcome of a value, by the label at its place. */
function judged(
  { label, accepted }: Expected.Expected,
  value: Equal.Value | null,
  mode: Equal.StrMode,
  abstained: boolean,
): Judged {
  if (label.kind === "unreadable") return both(value === null ? "unreadable_matched" : "unreadable_invented");
  if (label.kind === "absent") return both(value === null ? "absent_both" : "invented");
  if (value === null) {
    if (label.orAbsent) return both("absent_both");
    return both(abstained ? "abstained" : "missing");
  }
  const is = (same: boolean): Outcome => (same ? "matched" : "wrong");
  return {
    exact: is(accepted.some(({ printed }) => Equal.samePrint(printed, value.printed, mode))),
    canonical: is(accepted.some((each) => Equal.sameMeaning(each, value))),
  };
}

interface ListWork {
  layout: Layout.Layout;
  list: number;
  rows: readonly Sheet.Row<Expected.Expected | undefined>[];
  answer: readonly Sheet.Row<string | null>[];
  side: Equal.Side;
  judge: Judge;
}

function compareRows(work: ListWork, verdicts: Verdict[]): Rows {
  const { layout, list, rows, answer, judge } = work;
  const { path, cells } = layout.lists[list] ?? { path: "", cells: [] };
  const pairs = pairsOf(work);
  const partner = new Map(pairs);
  const partnered = new Set(pairs.map(([, predicted]) => predicted));
  rows.forEach((row, r) => {
    const there = partner.get(r);
    row.forEach((expected, c) => {
      if (expected === undefined) return;
      const predicted = there === undefined ? null : (answer[there]?.[c] ?? null);
      const at = there === undefined ? null : Expected.concrete(layout, list, there, c);
      const found = judge(expected, at, predicted);
      if (found === null) return;
      verdicts.push({
        field: cells[c]?.path ?? "",
        path: Expected.concrete(layout, list, r, c),
        ...found,
        ...Expected.said(expected),
        predicted,
        rows: { expected: r, predicted: there ?? null },
      });
    });
  });
  const labelled = labelledColumns(rows, cells.length);
  answer.forEach((row, r) => {
    if (partnered.has(r)) return;
    row.forEach((predicted, c) => {
      if (predicted === null || !labelled[c]) return;
      verdicts.push({
        field: cells[c]?.path ?? "",
        path: Expected.concrete(layout, list, r, c),
        ...both("invented"),
        expected: null,
        predicted,
        rows: { expected: null, predicted: r },
      });
    });
  });
  return { path, expected: rows.length, predicted: answer.length, pairs };
}

/** Columns that at least one row labels; all columns if the label is an empty list, which means that no row exists. */
function labelledColumns(rows: ListWork["rows"], count: number): boolean[] {
  return Array.from({ length: count }, (_, c) =>
    rows.length === 0 ? true : rows.some((row) => row[c] !== undefined),
  );
}

function pairsOf({ layout, list, rows, answer, side }: ListWork): Align.Pair[] {
  const { cells } = layout.lists[list] ?? { cells: [] };
  const values = answer.map((row, r) =>
    row.map((printed, c) =>
      printed === null ? null : side.read(Expected.concrete(layout, list, r, c), printed),
    ),
  );
  const texts = cells.map(({ kind }) => kind === "text");
  const stripped = ({ printed }: Equal.Value) => printed.trim();
  const alike = Distance.similarities(
    rows.flatMap((row) => row.flatMap((each, c) => (texts[c] ? (each?.accepted.map(stripped) ?? []) : []))),
    values.flatMap((row) => row.flatMap((value, c) => (texts[c] && value ? stripped(value) : []))),
  );
  /** For texts their similarity, for all other kinds 1 if they are equal and 0 if not. */
  const cell = ({ accepted }: Expected.Expected, value: Equal.Value, c: number): number => {
    if (!texts[c]) return accepted.some((each) => Equal.sameMeaning(each, value)) ? 1 : 0;
    return Math.max(0, ...accepted.map((each) => alike(stripped(each), stripped(value))));
  };
  return Align.align(rows.length, answer.length, (i, j) => {
    let sum = 0;
    let count = 0;
    rows[i]?.forEach((expected, c) => {
      const value = values[j]?.[c] ?? null;
      if (expected === undefined || expected.label.kind === "unreadable") return;
      // A cell that is empty on both sides is no evidence that the rows are the same.
      if (value === null && expected.label.kind === "absent") return;
      count += 1;
      if (value !== null) sum += cell(expected, value, c);
    });
    return count === 0 ? 1 : sum / count;
  });
}
