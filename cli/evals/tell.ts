import type { Context } from "#cli/terminal/context";
import type * as Read from "#core/evaluation/read";
import * as Bar from "./bar.ts";
import * as Show from "./show.ts";

/**
 * Prints an evaluation, with `json` on one line, and on stderr whether each bar was reached. Throws UsageError for a bar of a
 * field that the task does not have.
 */
export function tell(
  context: Context,
  evaluation: Read.Shown,
  { bars, json }: { bars: readonly string[]; json: boolean | undefined },
): Bar.Judged[] {
  // The figures cost a run: a bar that names no field does not keep them back.
  if (!json) context.out(Show.table(evaluation, context));
  const judged = Bar.judge(bars.map(Bar.parse), evaluation);
  if (json) context.out(`${JSON.stringify({ ...evaluation, bars: judged })}\n`);
  for (const each of judged) context.say(Show.bar(each));
  return judged;
}
