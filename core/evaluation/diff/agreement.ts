import type { Field } from "#core/canonical/normalize";
import * as Compare from "#core/evaluation/compare/compare";
import * as Layout from "#core/evaluation/compare/layout";
import * as Outcome from "#core/evaluation/compare/outcome";
import * as Sheet from "#core/evaluation/compare/sheet";
import type { Label, Labelled } from "#core/ground-truth/record";
import type * as Schema from "./schema.ts";

/*
 * How far two runs agree, without labels that show which is right.
 */

/** Plain JSON. */
interface Agreement {
  documents: number;
  not_compared: number;
  fields: { path: string; compared: number; same: number; same_exact: number; one_sided: number }[];
}

export const create = (fields: readonly Field[]): Agreement => ({
  ...{ documents: 0, not_compared: 0 },
  fields: Layout.of(fields).fields.map(({ path }) => ({
    ...{ path, compared: 0, same: 0, same_exact: 0, one_sided: 0 },
  })),
});

const labelOf = (printed: string | null): Labelled =>
  printed === null ? { kind: "absent" } : { kind: "value", accepted: [printed], orAbsent: false };

/** A group of labels under construction. */
type Group = Map<string, Label>;

function put(into: Group, steps: readonly string[], label: Label): void {
  const [first = "", ...rest] = steps;
  if (rest.length === 0) {
    into.set(first, label);
    return;
  }
  const there = into.get(first);
  const members: Group = new Map(there?.kind === "group" ? there.members : []);
  put(members, rest, label);
  into.set(first, { kind: "group", members });
}

/** An answer turned into labels: every field of the task is labeled. */
function labelsOf(layout: Layout.Layout, result: unknown): Group {
  const sheet = Sheet.ofResult(layout, result);
  const labels: Group = new Map();
  layout.scalars.forEach(({ steps }, i) => {
    put(labels, steps, labelOf(sheet.scalars[i] ?? null));
  });
  layout.lists.forEach((list, i) => {
    const rows = (sheet.lists[i] ?? []).map((row): Label => {
      if (list.cells[0]?.name === "") return labelOf(row[0] ?? null);
      const members: Group = new Map();
      list.cells.forEach(({ steps }, c) => {
        put(members, steps, labelOf(row[c] ?? null));
      });
      return { kind: "group", members };
    });
    put(labels, list.steps, { kind: "rows", rows });
  });
  return labels;
}

/** Adds one document that both runs have. The order of the two does not change what agrees. */
export function add(
  into: Agreement,
  fields: readonly Field[],
  [first, second]: readonly [Compare.Prediction, Compare.Prediction],
  options: Compare.Options,
): void {
  into.documents += 1;
  const answered = [first, second].every(({ status, result }) => status === "succeeded" && result !== null);
  if (!answered) {
    into.not_compared += 1;
    return;
  }
  const labels = labelsOf(Layout.of(fields), first.result);
  const counts = new Map(into.fields.map((field) => [field.path, field]));
  for (const verdict of Compare.compare(fields, labels, second, options).verdicts) {
    const field = counts.get(verdict.field);
    if (field === undefined) continue;
    field.compared += 1;
    field.same += Number(verdict.canonical === "matched" || verdict.canonical === "absent_both");
    field.same_exact += Number(verdict.exact === "matched" || verdict.exact === "absent_both");
    field.one_sided += Number((verdict.expected === null) !== (verdict.predicted === null));
  }
}

export function figures({ documents, not_compared, fields }: Agreement): Schema.AgreementFigures {
  return {
    ...{ documents, not_compared },
    fields: fields.map((field) => ({
      ...field,
      agreement: Outcome.ratio(field.same, field.compared),
      agreement_exact: Outcome.ratio(field.same_exact, field.compared),
    })),
  };
}
