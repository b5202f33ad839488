import type { Comparison } from "#core/evaluation/compare/compare";
import * as Equal from "#core/evaluation/compare/equal";
import * as Sheet from "#core/evaluation/compare/sheet";
import type { Labelled } from "#core/ground-truth/record";

/*
 * The input of the published evaluators: two plain documents. They support no missing labels, no alternatives and no
 * unreadable values, so these are resolved here.
 */

interface Pair {
  truth: Record<string, unknown>;
  prediction: Record<string, unknown>;
}

/**
 * Truth and answer as plain JSON of texts. Fields and columns without a label are in neither, nor are unreadable
 * values. Of several accepted values, the truth has the one that the answer has (for a cell: that its paired row has
 * or, failing that, any row of the answer in this column), else the first. A value that may be absent is absent if the
 * answer has none.
 */
export function of({ layout, labels, answer, lists }: Comparison): Pair {
  const truth: Record<string, unknown> = {};
  const prediction: Record<string, unknown> = {};
  layout.scalars.forEach(({ steps }, i) => {
    const label = labels.scalars[i];
    if (label === undefined || label.kind === "unreadable") return;
    const given = answer.scalars[i] ?? null;
    Sheet.put(truth, steps, chosen(label, [given]));
    Sheet.put(prediction, steps, given);
  });
  const paired = new Map(lists.map(({ path, pairs }) => [path, pairs]));
  layout.lists.forEach((list, i) => {
    const rows = labels.lists[i];
    if (rows === undefined) return;
    const given = answer.lists[i] ?? [];
    const columns = list.cells.map((_, c) => rows.length === 0 || rows.some((row) => row[c] !== undefined));
    const partner = new Map(paired.get(list.path));
    const unread = new Set<string>();
    const there = rows.map((row, r) => {
      const other = partner.get(r);
      return row.map((label, c) => {
        if (label?.kind === "unreadable" && other !== undefined) unread.add(`${other} ${c}`);
        const own = other === undefined ? null : (given[other]?.[c] ?? null);
        return chosen(label, [own, ...given.map((each) => each[c] ?? null)]);
      });
    });
    const said = given.map((row, r) => row.map((value, c) => (unread.has(`${r} ${c}`) ? null : value)));
    const shown = (from: readonly Sheet.Row<string | null>[]) =>
      from.map((row) => Sheet.rowOf(list, row, columns));
    Sheet.put(truth, list.steps, shown(there));
    Sheet.put(prediction, list.steps, shown(said));
  });
  return { truth, prediction };
}

/** The first given value that is accepted; if it is null, it counts as accepted only if the label allows it. */
function chosen(label: Labelled | undefined, given: readonly (string | null)[]): string | null {
  if (label?.kind !== "value") return null;
  if (label.orAbsent && (given[0] ?? null) === null) return null;
  if (label.accepted.length === 1) return Equal.firstOf(label);
  const accepted = label.accepted.map(Equal.printedOf);
  const said = given.find((value) => value !== null && accepted.includes(value));
  return said ?? accepted[0] ?? null;
}
