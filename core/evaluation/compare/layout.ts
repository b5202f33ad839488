import type { Field, FieldKind } from "#core/canonical/normalize";

/** A task's fields as they are scored: single values, and lists, whose rows are aligned first. */
export interface Layout {
  /** Every field in the order of the schema, which is also the order of all figures. */
  fields: readonly Field[];
  scalars: readonly Scalar[];
  lists: readonly List[];
}

interface Scalar {
  path: string;
  kind: FieldKind;
  steps: readonly string[];
}

export interface List {
  /** The path of the list, without brackets: `items`. */
  path: string;
  steps: readonly string[];
  cells: readonly Cell[];
}

/** A column of a list. */
export interface Cell {
  /** The field's path: `items[].price`. */
  path: string;
  kind: FieldKind;
  /** Path below the row; empty if the rows themselves are values (`tags[]`). */
  steps: readonly string[];
  /** The same as text, as in concrete paths: `price`, or "". */
  name: string;
}

/** Keyed by the field array, so that a task's fields are parsed once. */
const known = new WeakMap<readonly Field[], Layout>();

/**
 * The layout of a task's fields. A list within a row is not scored, since rows are aligned on one level only and no
 * task has one; `fields` omits such columns.
 */
export function of(fields: readonly Field[]): Layout {
  const before = known.get(fields);
  if (before) return before;
  const scalars: Scalar[] = [];
  const lists = new Map<string, List & { cells: Cell[] }>();
  const scored: Field[] = [];
  for (const field of fields) {
    const { path, kind } = field;
    const at = path.indexOf("[]");
    if (at < 0) {
      scalars.push({ path, kind, steps: path.split(".") });
      scored.push(field);
      continue;
    }
    const name = path.slice(at + 2).replace(/^\./, "");
    if (name.includes("[]")) continue;
    const list = path.slice(0, at);
    const entry = lists.get(list) ?? { path: list, steps: list.split("."), cells: [] };
    entry.cells.push({ path, kind, name, steps: name === "" ? [] : name.split(".") });
    lists.set(list, entry);
    scored.push(field);
  }
  const layout = { fields: scored, scalars, lists: [...lists.values()] };
  known.set(fields, layout);
  return layout;
}
