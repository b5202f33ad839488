import type { Task } from "./task.ts";

/**
 * Paths of the task's dates that may be later than the document, such as the due date: the dates that a check requires
 * to be after another date.
 */
export function dueDates({ checks }: Pick<Task, "checks">): string[] {
  return checks.flatMap((check) => (check.rule === "dates_in_order" ? check.later : []));
}
