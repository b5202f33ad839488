import type * as Normalize from "#core/canonical/normalize";
import type { Labelled } from "#core/ground-truth/record";
import * as Equal from "./equal.ts";
import type { Layout } from "./layout.ts";
import type * as Sheet from "./sheet.ts";

/*
 * The labeled side of a comparison: the accepted values of each place, in both forms.
 */

/** All accepted values of one place. */
export interface Expected {
  label: Labelled;
  accepted: readonly Equal.Value[];
}

interface Truth extends Sheet.Sheet<Expected | undefined> {
  currency: string | null;
}

/**
 * Further accepted values of a label are compared only as printed, because each one needs another reading of the
 * document.
 */
const maxReadings = 16;

/**
 * Reads the labels of a document in their own context, which consists of the first accepted value of each label. All
 * second values are read together, as if the paper had them, and so on.
 */
export function of(
  layout: Layout,
  labels: Sheet.Sheet<Labelled | undefined>,
  circumstances: Normalize.Circumstances,
): Truth {
  const most = [...labels.scalars, ...labels.lists.flat(2)].reduce(
    (count, label) => Math.max(count, label?.kind === "value" ? label.accepted.length : 1),
    1,
  );
  const sides = Array.from({ length: Math.min(most, maxReadings) }, (_, n) =>
    Equal.sideOf(layout, nth(labels, n), circumstances),
  );
  const expected = (label: Labelled | undefined, path: string): Expected | undefined => {
    if (label === undefined) return undefined;
    if (label.kind !== "value") return { label, accepted: [] };
    const accepted = label.accepted.map((scalar, n) => {
      const printed = Equal.printedOf(scalar);
      return sides[n]?.read(path, printed) ?? { printed, canonical: undefined };
    });
    return { label, accepted };
  };
  return {
    currency: sides[0]?.currency ?? null,
    scalars: labels.scalars.map((label, i) => expected(label, layout.scalars[i]?.path ?? "")),
    lists: labels.lists.map((rows, i) =>
      rows?.map((row, r) => row.map((label, c) => expected(label, concrete(layout, i, r, c)))),
    ),
  };
}

/** The document with every label's n-th accepted value, or its first if it has fewer. */
function nth(labels: Sheet.Sheet<Labelled | undefined>, n: number): Sheet.Sheet<string | null> {
  const of = (label: Labelled | undefined) =>
    label?.kind === "value" ? Equal.printedOf(label.accepted[n] ?? label.accepted[0]) : null;
  return {
    scalars: labels.scalars.map(of),
    lists: labels.lists.map((rows) => rows?.map((row) => row.map(of))),
  };
}

/** The concrete path of a cell: `items[3].price`. */
export function concrete(layout: Layout, list: number, row: number, cell: number): string {
  const { path, cells } = layout.lists[list] ?? { path: "", cells: [] };
  const name = cells[cell]?.name ?? "";
  return name === "" ? `${path}[${row}]` : `${path}[${row}].${name}`;
}

/** The label as a verdict states it. */
export function said({ label, accepted }: Expected): {
  expected: string | null;
  accepted?: (string | null)[];
  ambiguous?: true;
} {
  if (label.kind !== "value") return { expected: null };
  const all = [
    ...label.accepted.slice(0, maxReadings).map(Equal.printedOf),
    ...(label.orAbsent ? [null] : []),
  ];
  return {
    expected: Equal.firstOf(label),
    ...(all.length > 1 ? { accepted: all } : {}),
    ...(accepted.some(({ ambiguous }) => ambiguous) ? { ambiguous: true } : {}),
  };
}
