import type * as Normalize from "#core/canonical/normalize";
import type { Labelled } from "#core/ground-truth/record";
import * as Equal from "./equal.ts";
import type { Layout } from "./layout.ts";
import type * as Sheet from "./sheet.ts";

/*
 * The labelled side of a comparison: what would be right at each place, in both forms.
 */

/** What would be right at one place: every accepted value. */
export interface Expected {
  label: Labelled;
  accepted: readonly Equal.Value[];
}

export interface Truth extends Sheet.Sheet<Expected | undefined> {
  currency: string | null;
}

/**
 * Reads the labels of a document in their own context, which is made of the first accepted value of each. Another
 * accepted value is read in its place among them.
 */
export function of(
  layout: Layout,
  labels: Sheet.Sheet<Labelled | undefined>,
  circumstances: Normalize.Circumstances,
): Truth {
  const first: Sheet.Sheet<string | null> = {
    scalars: labels.scalars.map(Equal.firstOf),
    lists: labels.lists.map((rows) => rows?.map((row) => row.map(Equal.firstOf))),
  };
  const side = Equal.sideOf(layout, first, circumstances);
  const expected = (
    label: Labelled | undefined,
    path: string,
    swapped: (printed: string) => Sheet.Sheet<string | null>,
  ): Expected | undefined => {
    if (label === undefined) return undefined;
    if (label.kind !== "value") return { label, accepted: [] };
    const accepted = label.accepted.map((scalar, i) => {
      const printed = Equal.printedOf(scalar);
      return i === 0
        ? side.read(path, printed)
        : Equal.sideOf(layout, swapped(printed), circumstances).read(path, printed);
    });
    return { label, accepted };
  };
  return {
    currency: side.currency,
    scalars: labels.scalars.map((label, i) =>
      expected(label, layout.scalars[i]?.path ?? "", (printed) => ({
        ...first,
        scalars: first.scalars.with(i, printed),
      })),
    ),
    lists: labels.lists.map((rows, i) =>
      rows?.map((row, r) =>
        row.map((label, c) =>
          expected(label, concrete(layout, i, r, c), (printed) => ({
            ...first,
            lists: first.lists.with(i, first.lists[i]?.with(r, first.lists[i]?.[r]?.with(c, printed) ?? [])),
          })),
        ),
      ),
    ),
  };
}

/** The concrete path of a cell: `items[3].price`. */
export function concrete(layout: Layout, list: number, row: number, cell: number): string {
  const { path, cells } = layout.lists[list] ?? { path: "", cells: [] };
  const name = cells[cell]?.name ?? "";
  return name === "" ? `${path}[${row}]` : `${path}[${row}].${name}`;
}
