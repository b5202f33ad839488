import * as Checks from "#core/canonical/checks/checks";
import * as Normalize from "#core/canonical/normalize";
import { matchesEmbedded } from "#core/einvoice/matches";
import type { Embedded } from "#core/einvoice/schema";
import { dueDates } from "#core/task/due-dates";
import type { Overridden } from "#core/task/own-schema";
import type { Task } from "#core/task/task";
import { validate } from "#core/task/validate";
import type { Salvaged } from "#core/vision/answer/salvage";
import * as Merge from "./merge.ts";
import * as Partial from "./partial.ts";
import type { Extract } from "./schema.ts";

/*
 * Evaluates an answer: checks it against its schema, normalizes it, adds it up. It is a module of its own, with
 * everything about currencies, months and marks, and is loaded while the model answers instead of at a cold start.
 */

type Examined = Pick<Extract, "schema_ok" | "schema_errors" | "normalized" | "checks">;

/** The answer's task, and when its picture was received. */
interface About {
  task: Task;
  createdAt: Date;
  /** The e-invoice that the document carries. */
  embedded?: Embedded | undefined;
  /** Instead of the task's own validation. */
  validate?: Overridden["validate"] | undefined;
}

/** One answer from those of several calls, in the order of their pages. */
export function joined(work: About, values: readonly Record<string, unknown>[]): Merge.Merged {
  const parts = values.map((value) => ({ value, normalized: canonical(work, value) }));
  return Merge.merge(work.task, parts);
}

/** A whole answer. Of a clock only the time of the row is used, so that a replay gives the same. */
export function whole(work: About, value: unknown): Examined {
  const { task } = work;
  const { ok, errors } = work.validate?.(value) ?? validate(task, value);
  const normalized = canonical(work, value);
  return {
    schema_ok: ok,
    schema_errors: errors,
    normalized,
    checks: [...Checks.run(task, value, normalized), ...beside(work, value, normalized)],
  };
}

function beside({ task, embedded }: About, result: unknown, normalized: Extract["normalized"]) {
  return embedded === undefined ? [] : matchesEmbedded(task.fields, { result, normalized }, embedded);
}

/**
 * The part of an incomplete answer that was read. It is not checked against the schema, and a list that breaks off is
 * not summed.
 */
export function partial(
  work: About,
  { value, brokenList }: Salvaged,
): Pick<Examined, "normalized" | "checks"> {
  const { task } = work;
  const normalized = canonical(work, value);
  const checks = brokenList === undefined ? task.checks : Partial.rulesWithout(task.checks, brokenList);
  const sums = Checks.run({ ...task, checks }, value, normalized);
  return { normalized, checks: [...sums, ...beside(work, value, normalized)] };
}

function canonical({ task, createdAt }: About, value: unknown): Extract["normalized"] {
  return Normalize.normalize(task.fields, value, { createdAt, dueDates: dueDates(task) });
}
