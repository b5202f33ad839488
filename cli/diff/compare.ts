/** The differences of two evaluations: computed by the server, or on this machine if they are too long for one call. */
import * as z from "zod";
import * as Progress from "#cli/batch/progress";
import * as Evaluate from "#cli/evals/evaluate";
import { CallError } from "#cli/server/call-error";
import * as Client from "#cli/server/client";
import { failureOf } from "#cli/server/refusal";
import type { Server } from "#cli/server/server";
import type { Context } from "#cli/terminal/context";
import { compared } from "#core/evaluation/diff/compared";
import * as Schema from "#core/evaluation/diff/schema";
import type * as Read from "#core/evaluation/read";

/** The refusal of a server that has no time to read both. */
const TooLong = z.object({
  reason: z.literal("too_long"),
  differs: Schema.EvaluationDiff.shape.differs,
});

/** Throws CallError; for two tasks, too. */
export async function compare(
  context: Context,
  server: Server,
  sides: readonly [Read.Shown, Read.Shown],
  values: Schema.EvaluationDiff["compared_by"],
): Promise<Schema.EvaluationDiff> {
  const [first, second] = sides;
  const path = `/v1/evals/${first.eval_id}/diff/${second.eval_id}?values=${values}`;
  const answer = await Client.call(server, { path, signal: context.signal });
  if (answer.status === 200) return checked(answer.json);
  const refused = failureOf(answer);
  const long = TooLong.safeParse(refused.own?.details);
  if (!long.success) throw refused;
  context.say("too many documents for one call: they are compared on this machine");
  const { differs } = long.data;
  const total = first.summary?.documents ?? 0;
  const progress = Progress.start(context, { label: "comparison", unit: "documents", total });
  async function* counted(side: Read.Shown): AsyncGenerator<Buffer> {
    let read = 0;
    for await (const line of Evaluate.lines(context, side)) {
      read += 1;
      if (side === first) progress.update(read);
      yield line;
    }
  }
  try {
    return {
      ...{ first: Schema.DiffSide.parse(first), second: Schema.DiffSide.parse(second), differs },
      ...(await compared(first.fields, [counted(first), counted(second)], {
        ...{ mode: values, sameLabels: !differs.includes("labels") },
      })),
    };
  } finally {
    progress.stop();
  }
}

/** The server's answer with all fields, for output as it came. Throws CallError. */
function checked(json: unknown): Schema.EvaluationDiff {
  if (Schema.EvaluationDiff.safeParse(json).success) return json as Schema.EvaluationDiff;
  throw new CallError("the answer is not a comparison of evaluations: this is a server of another version", {
    ...{ scope: "server", code: "odd_answer" },
  });
}
