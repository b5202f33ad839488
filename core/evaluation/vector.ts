import type { Comparison } from "#core/evaluation/compare/compare";
import type { Layout } from "#core/evaluation/compare/layout";
import * as Outcome from "#core/evaluation/compare/outcome";
import * as Sheet from "#core/evaluation/compare/sheet";
import type { Bytes, Reader } from "./bytes.ts";
import * as Donut from "./metrics/donut.ts";
import * as ExtractBench from "./metrics/extract-bench.ts";
import * as Sroie from "./metrics/sroie.ts";
import * as View from "./metrics/view.ts";

/*
 * All that the figures need from one document, in some hundred bytes.
 */

/** A field's counters as printed and by meaning; for columns of lists they count cells. */
export interface Both {
  exact: Outcome.Counters;
  canonical: Outcome.Counters;
}

interface ListCounts {
  /** False if the list is not labeled; nothing in it is counted then. */
  labelled: boolean;
  expected: number;
  predicted: number;
  paired: number;
  /** Labeled cells of paired rows, and the number of right ones. */
  cells: number;
  exact: number;
  canonical: number;
}

interface Published {
  /** Null if no label is relevant for the figure, and for documents that are too long for it. */
  donutAccuracy: number | null;
  donut: Donut.Counts;
  /** Null for a task without the four fields. */
  sroie: Sroie.Counts | null;
  /** The document's value F1; null without cells, 0 for an item without an answer. */
  extractBench: number | null;
}

export interface Vector {
  answered: boolean;
  /** In the order of the layout's fields. */
  fields: readonly Both[];
  /** In the order of the layout's lists. */
  lists: readonly ListCounts[];
  published: Published;
}

const isRight = (outcome: Outcome.Outcome) => outcome === "matched" || outcome === "absent_both";

/** The counters of one document; the published figures are computed here. */
export function of(comparison: Comparison): Vector {
  const { layout, answered, verdicts, lists } = comparison;
  const index = new Map(layout.fields.map(({ path }, i) => [path, i]));
  const fields = layout.fields.map((): Both => ({ exact: Outcome.none(), canonical: Outcome.none() }));
  const counts = new Map(
    lists.map(({ path, expected, predicted, pairs }): [string, ListCounts] => [
      path,
      { labelled: true, expected, predicted, paired: pairs.length, cells: 0, exact: 0, canonical: 0 },
    ]),
  );
  for (const { field, exact, canonical, rows } of verdicts) {
    const both = fields[index.get(field) ?? -1];
    if (both === undefined) continue;
    both.exact[exact] += 1;
    both.canonical[canonical] += 1;
    const list = rows && counts.get(field.slice(0, field.indexOf("[]")));
    if (list === undefined || rows?.expected == null || rows.predicted === null) continue;
    if (exact.startsWith("unreadable")) continue;
    list.cells += 1;
    list.exact += Number(isRight(exact));
    list.canonical += Number(isRight(canonical));
  }
  const unlabelled = {
    labelled: false,
    expected: 0,
    predicted: 0,
    paired: 0,
    cells: 0,
    exact: 0,
    canonical: 0,
  };
  return {
    answered,
    fields,
    lists: layout.lists.map(({ path }) => counts.get(path) ?? unlabelled),
    published: publishedOf(comparison),
  };
}

function publishedOf(comparison: Comparison): Published {
  const { layout, answered } = comparison;
  const { truth, prediction } = View.of(comparison);
  const columns = (field: string) =>
    layout.lists.find(({ path }) => path === field)?.cells.map(({ name }) => name) ?? [];
  const paths = Sroie.pathsOf(layout.fields);
  const cells = ExtractBench.counts(prediction, truth, columns);
  const value = ExtractBench.f1(cells);
  return {
    donutAccuracy: Object.keys(truth).length === 0 ? null : Donut.accuracy(prediction, truth),
    donut: Donut.counts(prediction, truth),
    sroie:
      paths &&
      Sroie.counts(paths, (path) => {
        const expected = Sheet.at(path.split("."), truth);
        const predicted = Sheet.at(path.split("."), prediction);
        return {
          labelled: expected !== undefined,
          ...{ expected: Sheet.textOf(expected), predicted: Sheet.textOf(predicted) },
        };
      }),
    extractBench: value === null || answered ? value : 0,
  };
}

/** The outcomes that are the same as printed and by meaning: only `matched` and `wrong` differ between them. */
const rest = Outcome.outcomes.slice(2);

/** Writes a vector; `read` with the same layout reads it. */
export function write(layout: Layout, vector: Vector, into: Bytes): void {
  into.number(Number(vector.answered));
  layout.fields.forEach(({ path }, i) => {
    const { exact, canonical } = vector.fields[i] ?? { exact: Outcome.none(), canonical: Outcome.none() };
    if (!path.includes("[]")) {
      into.number(codeOf(exact) * 9 + codeOf(canonical));
      return;
    }
    into.number(exact.matched);
    into.number(canonical.matched);
    into.number(canonical.wrong + canonical.matched);
    for (const outcome of rest) into.number(canonical[outcome]);
  });
  for (const { labelled, expected, predicted, paired, cells, exact, canonical } of vector.lists) {
    into.number(Number(labelled));
    for (const count of labelled ? [expected, predicted, paired, cells, exact, canonical] : [])
      into.number(count);
  }
  const { donutAccuracy, donut, sroie, extractBench } = vector.published;
  into.double(donutAccuracy ?? -1);
  into.number(donut.matched);
  into.number(donut.unmatched);
  into.double(extractBench ?? -1);
  if (Sroie.pathsOf(layout.fields) === null) return;
  for (const count of [sroie?.matched, sroie?.predicted, sroie?.expected]) into.number(count ?? 0);
}

/** 0 for a field that is not scored, else the code of its single value's outcome. */
function codeOf(counters: Outcome.Counters): number {
  return Outcome.outcomes.findIndex((outcome) => counters[outcome] > 0) + 1;
}

function countersOf(code: number): Outcome.Counters {
  const counters = Outcome.none();
  const outcome = Outcome.outcomes[code - 1];
  if (outcome !== undefined) counters[outcome] = 1;
  return counters;
}

export function read(layout: Layout, from: Reader): Vector {
  const answered = from.number() === 1;
  const fields = layout.fields.map(({ path }): Both => {
    if (path.includes("[]")) return columnOf(from);
    const code = from.number();
    return { exact: countersOf(Math.floor(code / 9)), canonical: countersOf(code % 9) };
  });
  const lists = layout.lists.map((): ListCounts => {
    const labelled = from.number() === 1;
    const next = () => (labelled ? from.number() : 0);
    return {
      ...{ labelled, expected: next(), predicted: next(), paired: next() },
      ...{ cells: next(), exact: next(), canonical: next() },
    };
  });
  const absent = (value: number) => (value < 0 ? null : value);
  const donutAccuracy = absent(from.double());
  const donut = { matched: from.number(), unmatched: from.number() };
  const extractBench = absent(from.double());
  const sroie =
    Sroie.pathsOf(layout.fields) === null
      ? null
      : { matched: from.number(), predicted: from.number(), expected: from.number() };
  return { answered, fields, lists, published: { donutAccuracy, donut, sroie, extractBench } };
}

function columnOf(from: Reader): Both {
  const [exactly, meant, judged] = [from.number(), from.number(), from.number()];
  const canonical = { ...Outcome.none(), matched: meant, wrong: judged - meant };
  for (const outcome of rest) canonical[outcome] = from.number();
  return { exact: { ...canonical, matched: exactly, wrong: judged - exactly }, canonical };
}
