import * as Outcome from "#core/evaluation/compare/outcome";
import * as Bootstrap from "#core/evaluation/statistics/bootstrap";
import * as Statistics from "#core/evaluation/statistics/statistics";
import * as Accumulator from "./accumulator.ts";
import * as Columns from "./columns.ts";
import * as Donut from "./metrics/donut.ts";
import * as Sroie from "./metrics/sroie.ts";
import type * as Schema from "./schema.ts";

type Sums = Float64Array;
type Rate = "precision" | "recall" | "f1" | "accuracy";
const read = (sums: Sums, at: number) => sums[at] ?? 0;

/** The sum of one counter of several fields. */
const total = (sums: Sums, columns: readonly number[], offset: number) =>
  columns.reduce((sum, at) => sum + read(sums, at + offset), 0);

/**
 * A rate from five counters that begin at a column; for several fields, from their sums. It is called for every resample:
 * a named function within it would take most of the time, because bundles set the name each time it is made.
 */
function rateOf(rate: Rate, sums: Sums, columns: readonly number[]): number | null {
  const matched = total(sums, columns, 0);
  if (rate === "precision") return Outcome.ratio(matched, total(sums, columns, 1));
  if (rate === "recall") return Outcome.ratio(matched, total(sums, columns, 2));
  if (rate === "f1") return Outcome.f1Of(matched, total(sums, columns, 1), total(sums, columns, 2));
  return Outcome.ratio(total(sums, columns, 3), total(sums, columns, 4));
}

function meanOf(values: readonly (number | null)[]): number | null {
  const there = values.filter((value) => value !== null);
  return Outcome.ratio(
    there.reduce((sum, value) => sum + value, 0),
    there.length,
  );
}

/** The figures that are requested while the answer is built; all are resampled together afterwards. */
class Asked {
  readonly #figures: { of: Bootstrap.Figure; value: number | null }[] = [];
  readonly #settle: ((interval: Statistics.Interval | null) => void)[] = [];

  /** Returns the figure's value now and passes its interval to a callback once it is computed. */
  ask(
    figure: Bootstrap.Figure,
    sums: Sums,
    settle: (interval: Statistics.Interval | null) => void,
  ): number | null {
    const value = figure(sums);
    this.#figures.push({ of: figure, value });
    this.#settle.push(settle);
    return value;
  }

  settle(matrix: Bootstrap.Matrix): void {
    Bootstrap.shares(matrix, this.#figures).forEach((interval, i) => {
      this.#settle[i]?.(interval);
    });
  }
}

type Numbers = [number, number] | null;
const tuple = (interval: Statistics.Interval | null): Numbers => interval && [interval[0], interval[1]];

type Known = Partial<Record<Rate, Statistics.Interval | null>>;

/** Rates by their formula; an interval that is not given is bootstrapped. */
function ratesOf(
  asked: Asked,
  sums: Sums,
  of: (rate: Rate, from: Sums) => number | null,
  known: Known = {},
): Schema.Rates {
  const intervals: Schema.Rates["intervals"] = { precision: null, recall: null, f1: null, accuracy: null };
  const value = (rate: Rate) => {
    const figure = (from: Sums) => of(rate, from);
    const own = known[rate];
    if (own === undefined)
      return asked.ask(figure, sums, (interval) => {
        intervals[rate] = tuple(interval);
      });
    intervals[rate] = tuple(own);
    return figure(sums);
  };
  return {
    ...{
      precision: value("precision"),
      recall: value("recall"),
      f1: value("f1"),
      accuracy: value("accuracy"),
    },
    intervals,
  };
}

/** Each document is one trial of a single field. */
const wilsonOf = (own: Outcome.Counters): Known => ({
  precision: Statistics.wilson(own.matched, Outcome.predicted(own)),
  recall: Statistics.wilson(own.matched, Outcome.expected(own)),
  accuracy: Statistics.wilson(Outcome.right(own), Outcome.scored(own)),
});

/**
 * The figures of an evaluation: overall, by field, and by slice. P, R and accuracy of a single field have Wilson
 * intervals, with one trial per document. Figures with several values per document (columns of lists, all fields
 * together) and every F1 have bootstrap intervals over documents, or Wilson's where these would say nothing. Deterministic.
 */
export function of(accumulator: Accumulator.Accumulator): Schema.Figures {
  const { layout } = accumulator;
  const { sums, ...matrix } = Columns.matrixOf(accumulator);
  const columns = Columns.of(layout);
  const asked = new Asked();
  const { counters, answered } = countersOf(accumulator);
  const overall = (mode: Columns.Mode): Schema.Overall => {
    const all = layout.fields.map((_, i) => columns.field(i, mode));
    const right = read(sums, columns.right + 1 + Columns.modes.indexOf(mode));
    const judged = read(sums, columns.right);
    return {
      micro: ratesOf(asked, sums, (rate, from) => rateOf(rate, from, all)),
      macro: ratesOf(asked, sums, (rate, from) => meanOf(all.map((at) => rateOf(rate, from, [at])))),
      documents_right: right,
      documents_right_share: Outcome.ratio(right, judged),
      documents_right_interval: tuple(Statistics.wilson(right, judged)),
    };
  };
  const figures: Schema.Figures = {
    summary: {
      documents: accumulator.documents,
      ...{ documents_judged: read(sums, columns.right), answered },
      canonical: overall("canonical"),
      exact: overall("exact"),
      line_items: layout.lists.map(({ path }, i) => listOf(asked, sums, path, columns.list(i))),
      published: publishedOf(asked, sums, columns.published, Sroie.pathsOf(layout.fields) !== null),
    },
    fields: layout.fields.map(({ path, kind }, i) => {
      const rates = (mode: Columns.Mode) => {
        const own = counters[i]?.[mode] ?? Outcome.none();
        const known = path.includes("[]") ? {} : wilsonOf(own);
        const at = columns.field(i, mode);
        return { ...own, ...ratesOf(asked, sums, (rate, from) => rateOf(rate, from, [at]), known) };
      };
      const canonical = rates("canonical");
      return { path, kind, ...canonical, scored: Outcome.scored(canonical), exact: rates("exact") };
    }),
    slices: slicesOf(accumulator),
  };
  asked.settle(matrix);
  return figures;
}

function countersOf(accumulator: Accumulator.Accumulator) {
  const counters = accumulator.layout.fields.map(() => ({
    exact: Outcome.none(),
    canonical: Outcome.none(),
  }));
  let answered = 0;
  for (const vector of Accumulator.each(accumulator)) {
    answered += Number(vector.answered);
    vector.fields.forEach((field, i) => {
      for (const mode of Columns.modes) {
        const sum = counters[i]?.[mode];
        if (sum) Outcome.add(sum, field[mode]);
      }
    });
  }
  return { counters, answered };
}

function listOf(asked: Asked, sums: Sums, path: string, at: number): Schema.ListFigures {
  const intervals: Schema.ListFigures["intervals"] = {
    ...{ row_recall: null, row_precision: null, cell_accuracy: null, cell_accuracy_exact: null },
  };
  const share = (name: keyof typeof intervals, part: number, whole: number) =>
    asked.ask(
      (from) => Outcome.ratio(read(from, at + part), read(from, at + whole)),
      sums,
      (interval) => {
        intervals[name] = tuple(interval);
      },
    );
  return {
    path,
    ...{ rows_expected: read(sums, at), rows_predicted: read(sums, at + 1), rows_paired: read(sums, at + 2) },
    row_recall: share("row_recall", 2, 0),
    row_precision: share("row_precision", 2, 1),
    cell_accuracy: share("cell_accuracy", 5, 3),
    cell_accuracy_exact: share("cell_accuracy_exact", 4, 3),
    intervals,
  };
}

function publishedOf(asked: Asked, sums: Sums, at: number, sroie: boolean): Schema.Published {
  const published: Schema.Published = {
    donut: {
      accuracy: null,
      f1: null,
      documents: read(sums, at + 1),
      accuracy_interval: null,
      f1_interval: null,
    },
    sroie: sroie ? { precision: null, recall: null, f1: null, f1_interval: null } : null,
    extract_bench: { value_f1: null, value_f1_interval: null },
  };
  const { donut, extract_bench } = published;
  donut.accuracy = asked.ask(
    (from) => Outcome.ratio(read(from, at), read(from, at + 1)),
    sums,
    (interval) => {
      donut.accuracy_interval = tuple(interval);
    },
  );
  donut.f1 = asked.ask(
    (from) => Donut.f1({ matched: read(from, at + 2), unmatched: read(from, at + 3) }),
    sums,
    (interval) => {
      donut.f1_interval = tuple(interval);
    },
  );
  extract_bench.value_f1 = asked.ask(
    (from) => Outcome.ratio(read(from, at + 7), read(from, at + 8)),
    sums,
    (interval) => {
      extract_bench.value_f1_interval = tuple(interval);
    },
  );
  if (published.sroie === null) return published;
  const of = (from: Sums) =>
    Sroie.rates({ matched: read(from, at + 4), predicted: read(from, at + 5), expected: read(from, at + 6) });
  const own = published.sroie;
  Object.assign(own, of(sums));
  asked.ask(
    (from) => of(from).f1,
    sums,
    (interval) => {
      own.f1_interval = tuple(interval);
    },
  );
  return published;
}

/** Dimensions sorted by name, values by their number of documents. */
function slicesOf({ slices }: Accumulator.Accumulator): Schema.Slice[] {
  const found: Schema.Slice[] = [];
  for (const [dimension, values] of [...slices].sort((a, b) => (a[0] < b[0] ? -1 : 1)))
    for (const [value, counts] of [...values].sort((a, b) => (b[1][0] ?? 0) - (a[1][0] ?? 0))) {
      const of = (name: (typeof Accumulator.sliceCounts)[number]) =>
        counts[Accumulator.sliceCounts.indexOf(name)] ?? 0;
      const [judged, right] = [of("documents_judged"), of("documents_right")];
      found.push({
        ...{ dimension, value, documents: of("documents"), documents_judged: judged, documents_right: right },
        documents_right_interval: tuple(Statistics.wilson(right, judged)),
        precision: Outcome.ratio(of("matched"), of("predicted")),
        recall: Outcome.ratio(of("matched"), of("expected")),
        f1: Outcome.f1Of(of("matched"), of("predicted"), of("expected")),
        accuracy: Outcome.ratio(of("right"), of("scored")),
        exact: {
          precision: Outcome.ratio(of("exact_matched"), of("exact_predicted")),
          recall: Outcome.ratio(of("exact_matched"), of("exact_expected")),
          f1: Outcome.f1Of(of("exact_matched"), of("exact_predicted"), of("exact_expected")),
          accuracy: Outcome.ratio(of("exact_right"), of("exact_scored")),
        },
        row_recall: Outcome.ratio(of("rows_paired"), of("rows_expected")),
        row_precision: Outcome.ratio(of("rows_paired"), of("rows_predicted")),
      });
    }
  return found;
}
