import type { GroundTruth, Label, Labelled } from "#core/ground-truth/record";
import type { Cell, Layout, List } from "./layout.ts";

/*
 * Both sides of a comparison in one form: the labels of a document, and the model's answer. Values are texts; null
 * stands for no value.
 */

/** A row of a list, column by column in the order of the list's cells. */
export type Row<T> = readonly T[];

export interface Sheet<T> {
  /** In the order of the layout's scalars. */
  scalars: readonly T[];
  /** In the order of the layout's lists; undefined if the list itself is not labeled. */
  lists: readonly (readonly Row<T>[] | undefined)[];
}

/**
 * No receipt has more rows; a longer list comes from a model in a loop. Further rows are ignored, as in the canonical
 * forms.
 */
const maxRows = 1000;

/** A model's value as text: null, "" and white space are no value; numbers as JSON writes them. */
export function textOf(value: unknown): string | null {
  if (typeof value === "string") return value.trim() === "" ? null : value;
  if (value === null || value === undefined) return null;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function child(node: unknown, name: string): unknown {
  return typeof node === "object" && node !== null && Object.hasOwn(node, name)
    ? (node as Record<string, unknown>)[name]
    : undefined;
}

/** The value at a path of names; undefined if there is none. */
export const at = (steps: readonly string[], node: unknown): unknown => steps.reduce(child, node);

/** The model's answer; fields that the task does not have are ignored. Never throws. */
export function ofResult(layout: Layout, result: unknown): Sheet<string | null> {
  return {
    scalars: layout.scalars.map(({ steps }) => textOf(at(steps, result))),
    lists: layout.lists.map((list) => {
      const rows = at(list.steps, result);
      if (!Array.isArray(rows)) return [];
      return rows
        .slice(0, maxRows)
        .map((row: unknown) => list.cells.map((cell) => textOf(at(cell.steps, row))));
    }),
  };
}

/** The label at a path; undefined without one. If a parent is labeled absent, so is the label below it. */
function labelAt(steps: readonly string[], from: Label | undefined): Label | undefined {
  let label = from;
  for (const step of steps) {
    if (label === undefined || label.kind === "absent") return label;
    if (label.kind !== "group") return undefined;
    label = label.members.get(step);
  }
  return label;
}

const single = (label: Label | undefined): Labelled | undefined =>
  label === undefined || label.kind === "group" || label.kind === "rows" ? undefined : label;

/** The labels of a document in the form of an answer; undefined stands for "not labeled". */
export function ofLabels(layout: Layout, labels: GroundTruth["labels"]): Sheet<Labelled | undefined> {
  const root: Label = { kind: "group", members: labels };
  return {
    scalars: layout.scalars.map(({ steps }) => single(labelAt(steps, root))),
    lists: layout.lists.map((list) => {
      const label = labelAt(list.steps, root);
      if (label?.kind === "absent") return [];
      if (label?.kind !== "rows") return undefined;
      return label.rows
        .slice(0, maxRows)
        .map((row) => list.cells.map((cell) => single(labelAt(cell.steps, row))));
    }),
  };
}

/** Labeled paths that the task does not have; they are reported rather than ignored. */
export function unknownLabels(layout: Layout, labels: GroundTruth["labels"]): string[] {
  const known = new Set(layout.fields.map(({ path }) => path));
  const found = new Set<string>();
  const walk = (label: Label, path: string): void => {
    if (label.kind === "group")
      for (const [name, member] of label.members) walk(member, path === "" ? name : `${path}.${name}`);
    else if (label.kind === "rows") for (const row of label.rows.slice(0, maxRows)) walk(row, `${path}[]`);
    else if (!known.has(path) && label.kind !== "absent") found.add(path);
  };
  walk({ kind: "group", members: labels }, "");
  return [...found].sort();
}

/** The plain answer from which a sheet of texts was made, to compute canonical forms from the whole document. */
export function plain(layout: Layout, sheet: Sheet<string | null>): Record<string, unknown> {
  const answer: Record<string, unknown> = {};
  layout.scalars.forEach(({ steps }, i) => {
    put(answer, steps, sheet.scalars[i] ?? null);
  });
  layout.lists.forEach((list, i) => {
    put(
      answer,
      list.steps,
      (sheet.lists[i] ?? []).map((row) => rowOf(list, row)),
    );
  });
  return answer;
}

/** The object or value from which a row was made, with these columns only. */
export function rowOf(list: List, row: Row<string | null>, columns?: readonly boolean[]): unknown {
  if (list.cells.length === 1 && list.cells[0]?.name === "") return row[0] ?? null;
  const plainRow: Record<string, unknown> = {};
  list.cells.forEach((cell: Cell, i) => {
    if (columns?.[i] !== false) put(plainRow, cell.steps, row[i] ?? null);
  });
  return plainRow;
}

/** Sets the value at a path of names and creates missing groups; `__proto__` is treated like any other name. */
export function put(into: Record<string, unknown>, steps: readonly string[], value: unknown): void {
  let node = into;
  for (const step of steps.slice(0, -1)) {
    const there = Object.hasOwn(node, step) ? node[step] : undefined;
    const next = (typeof there === "object" && there !== null ? there : {}) as Record<string, unknown>;
    Object.defineProperty(node, step, { value: next, enumerable: true, writable: true, configurable: true });
    node = next;
  }
  const last = steps.at(-1);
  if (last !== undefined)
    Object.defineProperty(node, last, { value, enumerable: true, writable: true, configurable: true });
}
