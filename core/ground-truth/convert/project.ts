import type { Field } from "#core/task/task";
import { isMembers, type Members, valuesIn } from "./converted.ts";

/**
 * Labels of receipt_v1 as labels of another task. A label goes to the field of the same path, else to the field named
 * like its last part (`totals.total` to `total`). Rows go to the list of the same name, with the cells that it has.
 * @returns the labels, and the path of each value that has no field, or whose field already has another label.
 */
export function project(
  fields: Readonly<Members>,
  task: readonly Field[],
): { fields: Members; left: string[] } {
  const paths = task.map(({ path }) => path);
  const left: string[] = [];
  const projected: Members = {};
  for (const [path, value] of Object.entries(fields)) {
    const last = path.slice(path.lastIndexOf(".") + 1);
    const cells = paths
      .filter((each) => each.startsWith(`${path}[].`))
      .map((each) => each.slice(path.length + 3));
    if (cells.length > 0)
      projected[path] = Array.isArray(value) ? value.map((row) => rowOf(row, { path, cells, left })) : value;
    else {
      const to = [path, last].find((name) => paths.includes(name));
      // The field's own path comes first, wherever it stands.
      const isTaken =
        to !== path && to !== undefined && (Object.hasOwn(fields, to) || Object.hasOwn(projected, to));
      if (to === undefined || isTaken) left.push(...labelsIn(path, value));
      else projected[to] = value;
    }
  }
  return { fields: projected, left };
}

function rowOf(row: unknown, to: { path: string; cells: readonly string[]; left: string[] }): unknown {
  if (!isMembers(row)) return row;
  const others = Object.entries(row).filter(([name]) => !to.cells.includes(name));
  to.left.push(...others.flatMap(([name, value]) => labelsIn(`${to.path}[].${name}`, value)));
  return Object.fromEntries(Object.entries(row).filter(([name]) => to.cells.includes(name)));
}

/** Accepted values are one label, and so is null: it says that the value is absent. */
const labelsIn = (path: string, label: unknown): string[] =>
  label === null || (isMembers(label) && Array.isArray(label.any)) ? [path] : valuesIn(path, label);

/**
 * The reverse: labels by the names of a task's fields as labels of receipt_v1. A label keeps its path where receipt_v1 has
 * it, and else gets the only one that ends with it (`total` becomes `totals.total`), unless another label has that.
 * @param receipt - the fields of receipt_v1. @returns all labels; those without such a field keep their path.
 */
export function back(fields: Readonly<Members>, receipt: readonly Field[]): Members {
  const paths = receipt.map(({ path }) => path);
  return Object.fromEntries(
    Object.entries(fields).map(([path, value]) => {
      const [to, second] = paths.filter((each) => !each.includes("[]") && each.endsWith(`.${path}`));
      const isThere = paths.some((each) => each === path || each.startsWith(`${path}[].`));
      const isFree = to !== undefined && second === undefined && !Object.hasOwn(fields, to);
      return [!isThere && isFree ? to : path, value];
    }),
  );
}
