/** Measures several models on the same receipts, each by a local loop of its own. */
import * as Evaluate from "#cli/evals/evaluate";
import type { Context } from "#cli/terminal/context";
import * as Compared from "#core/evaluation/diff/compared";
import type * as Read from "#core/evaluation/read";
import type * as Task from "#core/task/task";
import type { Wanted } from "./models.ts";
import type { Receipts } from "./receipts.ts";
import * as Rounds from "./rounds.ts";
import * as Stand from "./stand.ts";

/** The cost of one receipt; the sums of the run are in the evaluation. */
interface PerReceipt {
  model_seconds: number | null;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  /** Null where no price is set. */
  cost_usd: number | null;
}

export interface Measured {
  label: string;
  model: string;
  url: string;
  evaluation: Read.Shown;
  per_receipt: PerReceipt;
  /** Compared with the first model; null for the first one, and with --no-verdict. */
  diff: Compared.Compared | null;
}

export interface Bench {
  task_id: string;
  /** Labeled papers. */
  documents: number;
  gt_sha256: string | null;
  concurrency: number;
  rounds: number;
  models: Measured[];
}

interface Wish extends Stand.Wish {
  readonly task: Task.Task;
  /** How many receipts a model reads in its turn. */
  readonly turn: number;
  readonly isCompared: boolean;
}

/**
 * Runs the whole bench. However it ends, the loops are ended and their folders are gone, unless they are kept. Throws
 * CallError, the errors of a loop that does not start, and the signal's reason.
 */
export async function run(
  context: Context,
  models: readonly Wanted[],
  receipts: Receipts,
  wish: Wish,
): Promise<Bench> {
  const stands: Stand.Stand[] = [];
  try {
    for (const wanted of models) {
      context.say(`${wanted.label}: a local loop for ${wanted.url}`);
      stands.push(await Stand.open(context, wanted, wish));
    }
    const [warm, ready]: [Stand.Stand[], Stand.Stand[]] = [[], []];
    for (const stand of stands) warm.push(await Stand.warmUp(context, stand, receipts, wish));
    await Rounds.play(context, warm, { label: "warm-up", size: 1, receipts: 1 });
    for (const stand of stands) ready.push(await Stand.measured(context, stand, receipts, wish));
    const all = { label: "bench-model", size: wish.turn, receipts: receipts.entries.length };
    const rounds = await Rounds.play(context, ready, all);
    const found: Measured[] = [];
    for (const stand of ready) found.push(await measure(context, stand, found[0], wish));
    return {
      ...{ task_id: wish.taskId, documents: receipts.documents },
      gt_sha256: found[0]?.evaluation.gt_sha256 ?? null,
      ...{ concurrency: wish.concurrency, rounds, models: found },
    };
  } finally {
    await Promise.all(stands.map((stand) => stand.close()));
  }
}

async function measure(
  context: Context,
  stand: Stand.Stand,
  first: Measured | undefined,
  { task, isCompared }: Wish,
): Promise<Measured> {
  const { label, model, url } = stand.wanted;
  const evaluation = await Evaluate.ofRun(context, stand.server, stand.runId);
  const { counts } = await Stand.runOf(stand, context.signal);
  const lines = (of: Read.Shown) => Evaluate.lines(context, of);
  const isFirst = first === undefined || !isCompared;
  return {
    ...{ label, model, url, evaluation, per_receipt: perReceipt(evaluation, counts.total) },
    // The two evaluations are in different databases, so no API call can compare them. This uses the function behind
    // that call.
    diff: isFirst
      ? null
      : await Compared.compared(task.fields, [lines(first.evaluation), lines(evaluation)], {
          ...{ mode: "canonical", sameLabels: true },
        }),
  };
}

function perReceipt({ cost }: Read.Shown, receipts: number): PerReceipt {
  const per = (sum: number | null | undefined) =>
    sum === null || sum === undefined || receipts === 0 ? null : sum / receipts;
  return {
    model_seconds: per(cost?.model_seconds),
    prompt_tokens: per(cost?.prompt_tokens),
    completion_tokens: per(cost?.completion_tokens),
    cost_usd: per(cost?.cost_usd),
  };
}
