import type { Field } from "#core/canonical/normalize";
import type { Mode } from "../columns.ts";
import type * as Wire from "../wire.ts";
import * as Diff from "./diff.ts";
import * as Pair from "./pair.ts";
import type * as Schema from "./schema.ts";

/** Changes of each kind that are listed; all are counted. */
const listed = 100;
/** Longest text of a listed value. */
const textLength = 500;

const cut = (text: string | null): string | null =>
  text === null || text.length <= textLength ? text : `${text.slice(0, textLength).toWellFormed()}…`;

/** The differences, without the facts about the two evaluations. */
export type Compared = Omit<Schema.EvaluationDiff, "first" | "second" | "differs">;

/**
 * Compares the samples of two evaluations of a task, wherever they are stored.
 * @param fields - of the task; @param samples - the lines of either one's samples, read in step.
 * @throws AppError `conflict` for orders that differ too much (`other_order`), and what reading throws.
 */
export async function compared(
  fields: readonly Field[],
  samples: readonly [AsyncIterable<Buffer>, AsyncIterable<Buffer>],
  { mode, sameLabels }: { mode: Mode; sameLabels: boolean },
): Promise<Compared> {
  const diff = Diff.create(fields, { sameLabels });
  const left: Pair.Left = { only_in_first: 0, only_in_second: 0 };
  const found = { broken: [], fixed: [], changed: [], still_wrong: [] } as Record<
    Schema.DiffChange["kind"],
    Schema.DiffChange[]
  >;
  for await (const [before, after] of Pair.pairs<Wire.Sample>(...samples, left)) {
    const { file, custom_id, document } = after;
    for (const { kind, ...change } of Diff.add(diff, before, after, mode)) {
      if (found[kind].length >= listed) continue;
      const accepted = change.accepted.map(cut);
      const texts = { expected: cut(change.expected), before: cut(change.before), after: cut(change.after) };
      found[kind].push({ kind, file, custom_id, document, ...change, accepted, ...texts });
    }
  }
  const changes = Object.values(found).flat();
  return { compared_by: mode, ...left, ...Diff.figures(diff), changes };
}
