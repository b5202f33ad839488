import type { Task } from "./task.ts";

/**
 * Paths of the task's dates that may be later than the document, such as the due date: those that a check requires to
 * come after another date.
 */
export function dueDates({ checks }: Pick<Task, "checks">): string[] {
  return checks.flatMap((check) => (check.rule === "dates_in_order" ? check.later : []));
}
