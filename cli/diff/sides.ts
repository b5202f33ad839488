/** What `diff` compares: two runs, or two evaluations. */
import * as z from "zod";
import * as Run from "#cli/batch/run";
import * as Evaluate from "#cli/evals/evaluate";
import { CallError } from "#cli/server/call-error";
import type { Server } from "#cli/server/server";
import { type Context, UsageError } from "#cli/terminal/context";
import type * as Read from "#core/evaluation/read";
import type * as Wire from "#core/evaluation/wire";
import * as Id from "#core/id";

/** A run, and its evaluation; undefined if it has none. */
interface Side {
  readonly runId: string;
  readonly evaluation: Read.Shown | undefined;
}

const Entry = z.looseObject({ eval_id: z.string(), status: z.string() });

/**
 * The evaluation with this id, or the newest of a run that has figures. If none has figures and one is being made, waits
 * for it. Throws CallError, also for a run whose evaluations all failed.
 */
export async function of(context: Context, server: Server, id: string): Promise<Side> {
  if (Id.evalIdPattern.test(id)) {
    const evaluation = await evaluationOf(context, server, id);
    if (evaluation !== undefined) return { runId: evaluation.run_id, evaluation };
  }
  const query = { run_id: id };
  let waiting: string | undefined;
  let failed: Pick<Wire.Entry, "error"> | undefined;
  for await (const entry of Run.list(server, "/v1/evals", { query, signal: context.signal, schema: Entry })) {
    const { eval_id, status } = entry;
    if (status === "succeeded")
      return { runId: id, evaluation: await evaluationOf(context, server, eval_id) };
    if (status === "running") waiting ??= eval_id;
    else failed ??= entry as unknown as Wire.Entry;
  }
  if (waiting !== undefined) return { runId: id, evaluation: await evaluationOf(context, server, waiting) };
  const error = failed?.error;
  if (!error) return { runId: id, evaluation: undefined };
  throw new CallError(`the evaluation of ${id} failed: ${error.message} (${error.code})`, {
    scope: "item",
    code: error.code,
  });
}

/** An evaluation with its figures; undefined if the id is unknown. Waits for one that is in progress. */
async function evaluationOf(context: Context, server: Server, id: string): Promise<Read.Shown | undefined> {
  try {
    return await Evaluate.wait(context, server, `/v1/evals/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error instanceof CallError && error.code === "not_found") return undefined;
    throw error;
  }
}

/** For two sides of which only one was evaluated. */
export function oneSided([first, second]: readonly [Side, Side]): UsageError {
  const [without, other] = first.evaluation === undefined ? [first, second] : [second, first];
  const labels = other.evaluation?.gt_id ?? "LABELS";
  return new UsageError(
    `${without.runId} has no evaluation, ${other.runId} has one: npm run ocrlty -- eval ${without.runId} --gt ${labels}`,
  );
}
