import type * as Bucket from "#core/bucket/bucket";
import type { Field } from "#core/canonical/normalize";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import type { Mode } from "../columns.ts";
import type * as Evaluation from "../evaluation.ts";
import * as Read from "../read.ts";
import * as Samples from "../samples.ts";
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

/** Causes of different figures of two evaluations although no answer differs. */
function differences(first: Evaluation.Row, second: Evaluation.Row): Schema.EvaluationDiff["differs"] {
  const labels = ({ gtSha256, labels: of }: Evaluation.Row) =>
    gtSha256 ?? ("etag" in of ? `${of.object_key} ${of.etag}` : "");
  // Evaluations of before the rules had a version of their own: the code's.
  const rules = ({ rulesVersion, version }: Evaluation.Row) => rulesVersion ?? version;
  const found: [Schema.EvaluationDiff["differs"][number], boolean][] = [
    ["labels", labels(first) !== labels(second)],
    ["rules", rules(first) !== rules(second)],
    ["str_mode", first.strMode !== second.strMode],
  ];
  return found.flatMap(([name, differs]) => (differs ? [name] : []));
}

const about = ({ evalId, runId, gtName, gtSha256, rulesVersion }: Evaluation.Row): Schema.DiffSide => ({
  ...{ eval_id: evalId, run_id: runId, gt_name: gtName, gt_sha256: gtSha256, rules_version: rulesVersion },
});

/**
 * The differences of two evaluations of a task, over the documents that both have. Memory holds the counters, and
 * what `Pair.pairs` needs.
 * @throws AppError `conflict` if one has no figures (`eval_not_ended`, `eval_failed`), for different tasks
 *   (`other_task`), or for orders that differ too much (`other_order`); `not_found` if one was deleted in the
 *   meantime; `storage_unavailable`.
 */
export async function of(
  bucket: Bucket.Bucket,
  log: Log,
  rows: readonly [Evaluation.Row, Evaluation.Row],
  mode: Mode,
): Promise<Schema.EvaluationDiff> {
  const [first, second] = await Promise.all([
    Read.measured(bucket, log, rows[0]),
    Read.measured(bucket, log, rows[1]),
  ]);
  if (first.task_id !== second.task_id)
    throw new AppError("conflict", "only evaluations of one task can be compared", {
      details: { reason: "other_task" },
    });
  const lines = ({ samples_ref }: Read.Measured) => Samples.lines(bucket, log, samples_ref);
  return {
    ...{ first: about(rows[0]), second: about(rows[1]) },
    differs: differences(...rows),
    ...(await compared(first.fields, [lines(first), lines(second)], mode)),
  };
}

/** The differences alone, without what is known of the two evaluations. */
export type Compared = Omit<Schema.EvaluationDiff, "first" | "second" | "differs">;

/**
 * Compares the samples of two evaluations of a task, wherever they are stored.
 * @param fields - of the task; @param samples - the lines of either one's samples, read in step.
 * @throws AppError `conflict` for orders that differ too much (`other_order`), and what reading throws.
 */
export async function compared(
  fields: readonly Field[],
  samples: readonly [AsyncIterable<Buffer>, AsyncIterable<Buffer>],
  mode: Mode,
): Promise<Compared> {
  const diff = Diff.create(fields);
  const left: Pair.Left = { only_in_first: 0, only_in_second: 0 };
  const found = { broken: [], fixed: [], changed: [], still_wrong: [] } as Record<
    Schema.DiffChange["kind"],
    Schema.DiffChange[]
  >;
  for await (const [before, after] of Pair.pairs<Wire.Sample>(...samples, left)) {
    const { file, custom_id, document } = after;
    for (const { kind, ...change } of Diff.add(diff, before, after, mode)) {
      if (found[kind].length >= listed) continue;
      const texts = { expected: cut(change.expected), before: cut(change.before), after: cut(change.after) };
      found[kind].push({ kind, file, custom_id, document, ...change, ...texts });
    }
  }
  const changes = Object.values(found).flat();
  return { compared_by: mode, ...left, ...Diff.figures(diff), changes };
}
