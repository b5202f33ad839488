import type { Task } from "./task.ts";

/**
 * Paths of the task's dates that lie ahead of the document, such as the day to pay by: those that its checks ask to
 * come later than another.
 */
export function dueDates({ checks }: Pick<Task, "checks">): string[] {
  return checks.flatMap((check) => (check.rule === "dates_in_order" ? check.later : []));
}
