import type { Field } from "#core/task/task";
import { isMembers, type Members } from "./converted.ts";

/**
 * Labels of receipt_v1 as labels of another task. A label goes to the field of the same path, else to the field named
 * like its last part (`totals.total` to `total`). Rows go to the list of the same name, with the cells that it has.
 * @returns the labels, and the paths that the task has no field for.
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
    if (Array.isArray(value) && cells.length > 0) projected[path] = value.map((row) => rowOf(row, cells));
    else if (paths.includes(path)) projected[path] = value;
    else if (paths.includes(last)) projected[last] = value;
    else left.push(path);
  }
  return { fields: projected, left };
}

const rowOf = (row: unknown, cells: readonly string[]): unknown =>
  isMembers(row) ? Object.fromEntries(Object.entries(row).filter(([name]) => cells.includes(name))) : row;
