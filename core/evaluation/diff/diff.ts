import type { Field } from "#core/canonical/normalize";
import type { Comparison, Verdict } from "#core/evaluation/compare/compare";
import * as Layout from "#core/evaluation/compare/layout";
import * as Statistics from "#core/evaluation/statistics/statistics";
import type { Mode } from "../columns.ts";
import type * as Schema from "./schema.ts";

/*
 * Compares two runs over the same documents with the same labels: what improved, what regressed, and whether that may
 * be chance.
 */

/** Counters of a field: documents that have it, and values by their outcome. */
interface FieldCounts {
  path: string;
  /** Documents in which it is scored. */
  documents: number;
  /** Right only in the first run, and right only in the second. A column is right if all of its cells are. */
  b: number;
  c: number;
  fixed: number;
  broken: number;
  /** Wrong in both with another value, and wrong in both with the same value. */
  changed: number;
  still_wrong: number;
}

/** Plain JSON, so that a long comparison can be saved between any two documents. */
interface Diff {
  documents: number;
  fields: FieldCounts[];
}

export const create = (fields: readonly Field[]): Diff => ({
  documents: 0,
  fields: Layout.of(fields).fields.map(({ path }) => ({
    ...{ path, documents: 0, b: 0, c: 0, fixed: 0, broken: 0, changed: 0, still_wrong: 0 },
  })),
});

/** The change of one value between two runs; values that are right in both are left out. */
interface Change {
  field: string;
  path: string;
  kind: "fixed" | "broken" | "changed" | "still_wrong";
  expected: string | null;
  before: string | null;
  after: string | null;
}

const isRight = (verdict: Verdict | undefined, mode: Mode): boolean =>
  verdict === undefined || verdict[mode] === "matched" || verdict[mode] === "absent_both";

/** A document, as it was compared or as it was put away. */
type Judged = Pick<Comparison, "verdicts">;

/**
 * Labeled values by their place on the paper; values of rows that the paper does not have by their order in the column.
 */
function byPlace({ verdicts }: Judged): Map<string, Verdict> {
  const turns = new Map<string, number>();
  return new Map(
    verdicts.flatMap((verdict): [string, Verdict][] => {
      if (verdict.exact.startsWith("unreadable")) return [];
      if (verdict.rows?.expected !== null) return [[verdict.path, verdict]];
      const turn = turns.get(verdict.field) ?? 0;
      turns.set(verdict.field, turn + 1);
      return [[`+${turn} ${verdict.field}`, verdict]];
    }),
  );
}

/**
 * Adds one document that both runs have and returns its changes. Rows are aligned with the paper's: a cell is compared
 * with the cell of the same printed row, wherever the runs placed it.
 */
export function add(into: Diff, first: Judged, second: Judged, mode: Mode): Change[] {
  const [before, after] = [byPlace(first), byPlace(second)];
  const changes: Change[] = [];
  const wrong = new Map<string, [boolean, boolean]>();
  for (const place of new Set([...before.keys(), ...after.keys()])) {
    const [a, b] = [before.get(place), after.get(place)];
    const one = a ?? b;
    if (one === undefined) continue;
    const [rightBefore, rightAfter] = [isRight(a, mode), isRight(b, mode)];
    const seen = wrong.get(one.field) ?? [false, false];
    wrong.set(one.field, [seen[0] || !rightBefore, seen[1] || !rightAfter]);
    if (rightBefore && rightAfter) continue;
    const [x, y] = [a?.predicted ?? null, b?.predicted ?? null];
    const same = x?.trim() === y?.trim();
    const kind = rightAfter ? "fixed" : rightBefore ? "broken" : same ? "still_wrong" : "changed";
    changes.push({
      ...{ field: one.field, path: one.path, kind },
      expected: one.expected,
      before: x,
      after: y,
    });
  }
  into.documents += 1;
  const counts = new Map(into.fields.map((field) => [field.path, field]));
  for (const [path, [wrongBefore, wrongAfter]] of wrong) {
    const field = counts.get(path);
    if (field === undefined) continue;
    field.documents += 1;
    field.b += Number(!wrongBefore && wrongAfter);
    field.c += Number(wrongBefore && !wrongAfter);
  }
  for (const { field: path, kind } of changes) {
    const field = counts.get(path);
    if (field !== undefined) field[kind] += 1;
  }
  return changes;
}

/** Adds another part of the comparison of the same two runs. */
export function merge(into: Diff, other: Diff): void {
  into.documents += other.documents;
  const parts = new Map(other.fields.map((field) => [field.path, field]));
  for (const field of into.fields) {
    const part = parts.get(field.path);
    if (part === undefined) continue;
    for (const name of ["documents", "b", "c", "fixed", "broken", "changed", "still_wrong"] as const)
      field[name] += part[name];
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
export function figures({ documents, fields }: Diff): Schema.DiffFigures {
  const judged = fields.filter((field) => field.documents > 0);
  const m = judged.length;
  const ps = judged.map(({ b, c }) => Statistics.mcnemar(b, c));
  const adjusted = Statistics.holm(ps);
  const found = judged.map((field, i): Schema.DiffField => {
    const { b, c, ...counts } = field;
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
    documents,
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
    fields: found,
  };
}
