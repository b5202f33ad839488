import type * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import type { Mode } from "../columns.ts";
import * as Evaluation from "../evaluation.ts";
import * as Read from "../read.ts";
import * as Samples from "../samples.ts";
import { compared } from "./compared.ts";
import * as Pace from "./pace.ts";
import * as Schema from "./schema.ts";

/** Causes of different figures of two evaluations although no answer differs. */
function differences(first: Evaluation.Row, second: Evaluation.Row): Schema.EvaluationDiff["differs"] {
  // With another member for the picture's name, the same records are labels of other documents.
  const labels = ({ gtSha256, labels: of }: Evaluation.Row) =>
    [gtSha256 ?? ("etag" in of ? `${of.object_key} ${of.etag}` : ""), of.image_key].join(" ");
  // Evaluations from before the rules had their own version use the code's version.
  const rules = ({ rulesVersion, version }: Evaluation.Row) => rulesVersion ?? version;
  const found: [Schema.EvaluationDiff["differs"][number], boolean][] = [
    ["labels", labels(first) !== labels(second)],
    ["rules", rules(first) !== rules(second)],
    ["str_mode", first.strMode !== second.strMode],
  ];
  return found.flatMap(([name, differs]) => (differs ? [name] : []));
}

const about = (row: Evaluation.Row): Schema.DiffSide => Schema.DiffSide.parse(Evaluation.entry(row));

/** Time that is kept for the answer. */
const reserveMs = 1_000;

/**
 * The differences of two evaluations of a task, over the documents that both have. Memory holds the counters, and
 * what `Pair.pairs` needs.
 * @param how.deadline - epoch milliseconds by which the call must have been answered.
 * @throws AppError `conflict` if one has no figures (`eval_not_ended`, `eval_failed`), for different tasks
 *   (`other_task`), for orders that differ too much (`other_order`), or for more documents than can be read in time
 *   (`too_long`, with all that the caller needs to compare the samples itself); `not_found` if one was deleted in the
 *   meantime; `storage_unavailable`.
 */
export async function of(
  bucket: Bucket.Bucket,
  log: Log,
  rows: readonly [Evaluation.Row, Evaluation.Row],
  { mode, deadline }: { mode: Mode; deadline: number },
): Promise<Schema.EvaluationDiff> {
  const [first, second] = await Promise.all([
    Read.measured(bucket, log, rows[0]),
    Read.measured(bucket, log, rows[1], "other_id"),
  ]);
  if (first.task_id !== second.task_id)
    throw new AppError("conflict", "only evaluations of one task can be compared", {
      details: { reason: "other_task" },
    });
  const differs = differences(...rows);
  const total = first.summary.documents + second.summary.documents;
  const pace = { begunAt: Date.now(), deadline: deadline - reserveMs, total };
  let read = 0;
  async function* lines({ samples_ref }: Read.Measured): AsyncGenerator<Buffer> {
    for await (const line of Samples.lines(bucket, log, samples_ref)) {
      read += 1;
      if (Pace.isTooLong(pace, read, Date.now()))
        throw new AppError(
          "conflict",
          "there are too many documents for one call: `ocrlty diff` compares them",
          {
            details: { reason: "too_long", differs },
          },
        );
      yield line;
    }
  }
  const how = { mode, sameLabels: !differs.includes("labels") };
  return {
    ...{ first: about(rows[0]), second: about(rows[1]), differs },
    ...(await compared(first.fields, [lines(first), lines(second)], how)),
  };
}
