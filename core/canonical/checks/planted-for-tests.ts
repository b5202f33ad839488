import type * as Normalize from "#core/canonical/normalize";
import { type Field, leaves } from "#core/canonical/normalize";
import type * as Task from "#core/task/task";
import type * as Checks from "./checks.ts";
import type { Document } from "./labeled-for-tests.ts";

/** One amount of a document with one wrong digit, as a model misreads it. */
export interface Planted {
  document: Document;
  path: string;
  answer: unknown;
}

/**
 * Every amount and quantity of a document, each of its digits in turn replaced by other digits: each replaced by the
 * digit that is `steps` higher, modulo 10. What reads as the same value (a zero in front) is planted as well; the order
 * is always the same.
 */
export function* plant(
  document: Document,
  fields: readonly Field[],
  steps: readonly number[] = [1, 4, 7],
): Generator<Planted> {
  for (const { path, kind, printed } of leaves(fields, document.answer)) {
    if (kind !== "money" && kind !== "count") continue;
    for (const { index } of printed.matchAll(/\d/g)) {
      for (const step of steps) {
        const digit = (Number(printed[index]) + step) % 10;
        const wrong = `${printed.slice(0, index)}${digit}${printed.slice(index + 1)}`;
        yield { document, path, answer: replaced(document.answer, path, wrong) };
      }
    }
  }
}

/** A copy with another value at a concrete path. */
export function replaced(answer: unknown, path: string, value: string): unknown {
  const copy: unknown = structuredClone(answer);
  const steps = path.split(/[.[\]]+/).filter((step) => step !== "");
  const last = steps.pop() ?? "";
  const parent = steps.reduce<unknown>((node, step) => (node as Record<string, unknown>)[step], copy);
  (parent as Record<string, unknown>)[last] = value;
  return copy;
}

/** The code that judges: this checkout's, or another's. One from before there were reasons has no `examine`. */
export interface Judge {
  tasks: Pick<typeof Task, "get">;
  checks: Pick<typeof Checks, "run"> & Partial<Pick<typeof Checks, "examine">>;
  normalize: typeof Normalize.normalize;
}

export interface Tally {
  planted: number;
  noticed: number;
  /** Errors that were not noticed where a sum did not fit and was left out, by reason. */
  lost: Map<string, number>;
  /** Checks that fail on the right values. */
  falseAlarms: string[];
}

/**
 * How many planted errors raise an alarm. If the right values raise an alarm as well, the alarm is no evidence: errors
 * in such a document count as not noticed.
 */
export function tally(documents: readonly Document[], judge: Judge, steps?: readonly number[]): Tally {
  const result: Tally = { planted: 0, noticed: 0, lost: new Map(), falseAlarms: [] };
  for (const document of documents) {
    const task = judge.tasks.get(document.taskId);
    if (!task) continue;
    const failed = (answer: unknown) =>
      judge.checks.run(task, answer, judge.normalize(task.fields, answer)).filter(({ ok }) => !ok);
    const clean = failed(document.answer);
    result.falseAlarms.push(...clean.map(({ id }) => `${document.name} ${document.taskId} ${id}`));
    for (const { answer } of plant(document, task.fields, steps)) {
      result.planted += 1;
      if (clean.length === 0 && failed(answer).length > 0) result.noticed += 1;
      else count(result.lost, reasons(judge, task, answer));
    }
  }
  return result;
}

function reasons({ checks, normalize }: Judge, task: Task.Task, answer: unknown): string[] {
  const verdicts = checks.examine?.(task, answer, normalize(task.fields, answer)) ?? [];
  return [...new Set(verdicts.flatMap((each) => ("leftOut" in each ? each.leftOut.reason : [])))];
}

function count(lost: Map<string, number>, names: readonly string[]): void {
  for (const name of names) lost.set(name, (lost.get(name) ?? 0) + 1);
}
