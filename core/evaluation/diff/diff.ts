import type { Field } from "#core/canonical/normalize";
import type { Comparison, Verdict } from "#core/evaluation/compare/compare";
import * as Layout from "#core/evaluation/compare/layout";
import * as Said from "#core/evaluation/compare/said";
import * as Statistics from "#core/evaluation/statistics/statistics";
import type { Mode } from "../columns.ts";
import type { Sample } from "../wire.ts";
import type * as Schema from "./schema.ts";

/*
 * Compares two runs over the same documents with the same labels: what improved, what regressed, and whether that may
 * be chance.
 */

/** Counters of a field: documents that have it, and values by their outcome. */
interface FieldCounts {
  path: string;
  /** Documents in which both labels score it. */
  documents: number;
  /** Right only in the first run, and right only in the second. A column is right if all of its cells are. */
  b: number;
  c: number;
  fixed: number;
  broken: number;
  /** Wrong in both with another value, and wrong in both with the same value. */
  changed: number;
  still_wrong: number;
  /**
   * Values that only one version of the labels scores, or that the two label with different values; in no other
   * counter.
   */
  first_only: number;
  second_only: number;
  relabeled: number;
}

interface Diff {
  documents: number;
  /** Documents that only the first run answered, only the second, or neither: the others failed or were canceled. */
  answers: Schema.DiffFigures["answers"];
  /** Whether both evaluations have the same version of the labels, so that each value is labeled in both or in neither. */
  sameLabels: boolean;
  fields: FieldCounts[];
}

export const create = (fields: readonly Field[], { sameLabels }: Pick<Diff, "sameLabels">): Diff => ({
  ...{ documents: 0, sameLabels, answers: { first_only: 0, second_only: 0, neither: 0 } },
  fields: Layout.of(fields).fields.map(({ path }) => ({
    ...{ path, documents: 0, b: 0, c: 0, fixed: 0, broken: 0, changed: 0, still_wrong: 0 },
    ...{ first_only: 0, second_only: 0, relabeled: 0 },
  })),
});

/** The change of one value between two runs; values that are right in both are left out. */
interface Change {
  field: string;
  path: string;
  kind: "fixed" | "broken" | "changed" | "still_wrong";
  /** Whether the paper does not have the row: `path` is its place in the answer. */
  in_answer: boolean;
  expected: string | null;
  accepted: (string | null)[];
  before: string | null;
  after: string | null;
  /** False if the run has no answer for the document. */
  before_answered: boolean;
  after_answered: boolean;
}

/** No value is right where the other run invents one. Without an answer nothing is, as in the figures. */
const isRight = (verdict: Verdict | undefined, { answered }: Judged, mode: Mode): boolean =>
  verdict === undefined ? answered : verdict[mode] === "matched" || verdict[mode] === "absent_both";

/** A document, just compared or read from a stored sample. */
type Judged = Pick<Comparison, "verdicts" | "answered"> & Pick<Sample, "empty_lists">;

/**
 * Labeled values by their place on the paper; values of rows that the paper does not have by their order in the column.
 */
function byPlace({ verdicts }: Judged): Map<string, Verdict> {
  const turns = new Map<string, number>();
  return new Map(
    verdicts.flatMap((verdict): [string, Verdict][] => {
      if (verdict.exact.startsWith("unreadable")) return [];
      if (!Said.isExtra(verdict)) return [[verdict.path, verdict]];
      const turn = turns.get(verdict.field) ?? 0;
      turns.set(verdict.field, turn + 1);
      return [[`+${turn} ${verdict.field}`, verdict]];
    }),
  );
}

/** The columns that a document's labels score, by their path; all columns of a list that is labeled as empty. */
function columnsOf({ verdicts, empty_lists = [] }: Judged): (column: string) => boolean {
  const scored = new Set(verdicts.map(({ field }) => field));
  return (column) => scored.has(column) || empty_lists.some((list) => column.startsWith(`${list}[]`));
}

const isSameLabel = (a: Verdict, b: Verdict): boolean =>
  JSON.stringify(Said.acceptedOf(a)) === JSON.stringify(Said.acceptedOf(b));

/** A value that is labeled on one side only, or with different values on both sides. */
type LabelDifference = { field: string; counter: "first_only" | "second_only" | "relabeled" };

/**
 * The values that both labels score alike, in pairs. A value without a partner is an invented one, of which the other answer has
 * fewer, or is labeled on one side only.
 */
function pairs(
  into: Diff,
  first: Judged,
  second: Judged,
): { both: [Verdict | undefined, Verdict | undefined][]; differing: LabelDifference[] } {
  const [before, after] = [byPlace(first), byPlace(second)];
  const [inFirst, inSecond] = [columnsOf(first), columnsOf(second)];
  const both: [Verdict | undefined, Verdict | undefined][] = [];
  const differing: LabelDifference[] = [];
  for (const place of new Set([...before.keys(), ...after.keys()])) {
    const [a, b] = [before.get(place), after.get(place)];
    const one = a ?? b;
    if (one === undefined) continue;
    const isScored = a === undefined ? inFirst : inSecond;
    const counter =
      a !== undefined && b !== undefined
        ? !isSameLabel(a, b) && "relabeled"
        : !(Said.isExtra(one) && isScored(one.field)) && (a === undefined ? "second_only" : "first_only");
    if (into.sameLabels || counter === false) both.push([a, b]);
    else differing.push({ field: one.field, counter });
  }
  return { both, differing };
}

/**
 * Adds one document that both runs have and returns its changes. Rows are aligned with the paper's: a cell is compared
 * with the cell of the same printed row, wherever the runs placed it. Values whose two labels differ are counted
 * separately and change nothing else.
 */
export function add(into: Diff, first: Judged, second: Judged, mode: Mode): Change[] {
  const { both, differing } = pairs(into, first, second);
  const changes: Change[] = [];
  const wrong = new Map<string, [boolean, boolean]>();
  for (const [a, b] of both) {
    const one = a ?? b;
    if (one === undefined) continue;
    const [rightBefore, rightAfter] = [isRight(a, first, mode), isRight(b, second, mode)];
    const seen = wrong.get(one.field) ?? [false, false];
    wrong.set(one.field, [seen[0] || !rightBefore, seen[1] || !rightAfter]);
    if (rightBefore && rightAfter) continue;
    const [x, y] = [a?.predicted ?? null, b?.predicted ?? null];
    const same = x?.trim() === y?.trim();
    const kind = rightAfter ? "fixed" : rightBefore ? "broken" : same ? "still_wrong" : "changed";
    changes.push({
      ...{ field: one.field, path: one.path, kind },
      ...{ in_answer: Said.isExtra(one), expected: one.expected, accepted: Said.acceptedOf(one) },
      ...{ before: x, after: y },
      ...{ before_answered: first.answered, after_answered: second.answered },
    });
  }
  if (!first.answered || !second.answered)
    into.answers[first.answered ? "first_only" : second.answered ? "second_only" : "neither"] += 1;
  count(into, wrong, [...changes.map(({ field, kind }) => ({ field, counter: kind })), ...differing]);
  return changes;
}

/** Adds a document's fields, by whether either run has them wrong, and its values by their counter. */
function count(
  into: Diff,
  wrong: ReadonlyMap<string, readonly [boolean, boolean]>,
  values: readonly { field: string; counter: Change["kind"] | LabelDifference["counter"] }[],
): void {
  into.documents += 1;
  const counts = new Map(into.fields.map((field) => [field.path, field]));
  for (const [path, [wrongBefore, wrongAfter]] of wrong) {
    const field = counts.get(path);
    if (field === undefined) continue;
    field.documents += 1;
    field.b += Number(!wrongBefore && wrongAfter);
    field.c += Number(wrongBefore && !wrongAfter);
  }
  for (const { field: path, counter } of values) {
    const field = counts.get(path);
    if (field !== undefined) field[counter] += 1;
  }
}

function verdictOf(b: number, c: number, adjusted: number): Schema.Verdict {
  if (b + c === 0) return "no_change";
  if (adjusted >= Statistics.alpha) return "INCONCLUSIVE";
  return b > c ? "regressed" : "improved";
}

/**
 * The verdicts: McNemar's exact test for every scored field, with Holm's correction over all of them, so that if two
 * runs do not differ, the chance of any verdict is at most one in twenty. A field without a verdict reports how many
 * differing pairs a verdict would need at least, and how many receipts a difference of 5 points needs.
 */
export function figures({ documents, answers, fields }: Diff): Schema.DiffFigures {
  const judged = fields.filter((field) => field.documents > 0);
  const m = judged.length;
  const ps = judged.map(({ b, c }) => Statistics.mcnemar(b, c));
  const adjusted = Statistics.holm(ps);
  const found = judged.map((field, i): Schema.DiffField => {
    const { b, c, first_only: _first, second_only: _second, relabeled: _other, ...counts } = field;
    return {
      ...counts,
      regressed_documents: b,
      improved_documents: c,
      p: ps[i] ?? 1,
      p_adjusted: adjusted[i] ?? 1,
      verdict: verdictOf(b, c, adjusted[i] ?? 1),
      documents_needed: Statistics.neededReceipts((b + c) / field.documents, m),
    };
  });
  const has = (verdict: Schema.Verdict) => found.some((field) => field.verdict === verdict);
  return {
    ...{ documents, answers },
    verdict: has("regressed")
      ? "regressed"
      : has("improved")
        ? "improved"
        : has("INCONCLUSIVE")
          ? "INCONCLUSIVE"
          : "no_change",
    alpha: Statistics.alpha,
    fields_tested: m,
    least_discordant: Statistics.leastDiscordant(m),
    label_differences: labelDifferences(fields),
    fields: found,
  };
}

function labelDifferences(all: readonly FieldCounts[]): Schema.DiffFigures["label_differences"] {
  const fields = all
    .map(({ path, first_only, second_only, relabeled }) => ({ path, first_only, second_only, relabeled }))
    .filter(({ first_only, second_only, relabeled }) => first_only + second_only + relabeled > 0);
  const sum = (name: LabelDifference["counter"]) => fields.reduce((total, field) => total + field[name], 0);
  return {
    ...{ first_only: sum("first_only"), second_only: sum("second_only"), relabeled: sum("relabeled") },
    fields,
  };
}
