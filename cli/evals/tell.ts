import type { Context } from "#cli/terminal/context";
import * as Text from "#cli/terminal/text";
import type * as Read from "#core/evaluation/read";
import * as Bar from "./bar.ts";
import * as Show from "./show.ts";

/** Why an evaluation has no figures although it succeeded; undefined if at least one value was scored. */
export function nothingIn({ run_id, summary, unmatched }: Read.Shown): string | undefined {
  const { documents = 0, documents_judged: judged = 0 } = summary ?? {};
  if (judged > 0) return undefined;
  if (documents === 0)
    return `nothing was measured: of ${Text.counted(unmatched?.records.count ?? 0, "record")} none labels one of the ${Text.counted(unmatched?.items.count ?? 0, "item")} of ${run_id}`;
  return `nothing was measured: ${Text.counted(documents, "labeled document has", "labeled documents have")} no value that is scored, only "?" or fields that the task does not read`;
}

/**
 * Prints an evaluation, with `json` on one line, and on stderr whether each bar was reached. Throws UsageError for a bar of a
 * field that the task does not have.
 * @returns `isGood: false` where a bar was missed, or nothing was measured.
 */
export function tell(
  context: Context,
  evaluation: Read.Shown,
  { bars, json }: { bars: readonly string[]; json: boolean | undefined },
): { judged: Bar.Judged[]; isGood: boolean } {
  // The figures took a whole run, so they are printed even if a bar names an unknown field.
  if (!json) context.out(Show.table(evaluation, context));
  const judged = Bar.judge(bars.map(Bar.parse), evaluation);
  if (json) context.out(`${JSON.stringify({ ...evaluation, bars: judged })}\n`);
  for (const each of judged) context.say(Show.bar(each));
  const nothing = nothingIn(evaluation);
  if (nothing !== undefined) context.say(`error: ${nothing}`);
  return { judged, isGood: nothing === undefined && judged.every(({ ok }) => ok) };
}
