import * as Checks from "#core/canonical/checks/checks";
import * as Normalize from "#core/canonical/normalize";
import { matchesEmbedded } from "#core/einvoice/matches";
import type { Embedded } from "#core/einvoice/schema";
import { dueDates } from "#core/task/due-dates";
import type { Overridden } from "#core/task/own-schema";
import type { Task } from "#core/task/task";
import { validate } from "#core/task/validate";
import type { Salvaged } from "#core/vision/answer/salvage";
import * as Partial from "./long-list/partial.ts";
import type { Tile } from "./long-paper/tile.ts";
import * as Merge from "./merge.ts";
import * as Account from "./rows/account.ts";
import type { Extract } from "./schema.ts";

/*
 * Evaluates an answer: checks it against its schema, normalizes it, checks its sums. It is a separate module, because
 * it needs the tables of currencies, months and marks; it is loaded while the model answers, not at a cold start.
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

/** The answer of a call, and what it is about. */
export interface Answered {
  page: number;
  tile: Tile | undefined;
  value: Record<string, unknown>;
}

/** One answer from those of several calls, in their order: of the tiles of a page first, then of the pages. */
export function joined(work: About, answers: readonly Answered[]): Merge.Merged {
  const merged = (parts: readonly Omit<Answered, "page">[]) =>
    Merge.merge(
      work.task,
      parts.map(({ value, tile }) => ({ value, tile, normalized: canonical(work, value) })),
    );
  const pages: Answered[][] = [];
  for (const answer of answers) {
    const tiles = pages.at(-1);
    const isOfSame = answer.tile !== undefined && tiles?.[0]?.tile !== undefined;
    if (isOfSame && tiles?.[0]?.page === answer.page) tiles.push(answer);
    else pages.push([answer]);
  }
  const [first] = pages;
  // The parts of one page are not compared with each other, because most of them have no head.
  if (pages.length === 1 && first !== undefined) return { ...merged(first), disagree: [] };
  const wholes = pages.map((tiles) => (tiles.length > 1 ? merged(tiles) : { value: tiles[0]?.value ?? {} }));
  const whole = merged(wholes.map(({ value }) => ({ value, tile: undefined })));
  return { ...whole, unclear: wholes.some((page) => "unclear" in page && page.unclear) };
}

/** A whole answer. The only time that is used is that of the row, so that a replay gives the same result. */
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
 * The part of an incomplete answer that was read. It is not checked against the schema, and an incomplete list is not
 * summed.
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

/** Whether all rows of the paper are there; nothing for a task without a list of items. */
export function accounted(
  { task }: Pick<About, "task">,
  value: unknown,
  { normalized }: Pick<Examined, "normalized">,
  evidence: Account.Evidence,
): Partial<Account.Account> {
  return Account.account(task, { value, normalized }, evidence) ?? {};
}

function canonical({ task, createdAt }: About, value: unknown): Extract["normalized"] {
  return Normalize.normalize(task.fields, value, { createdAt, dueDates: dueDates(task) });
}
