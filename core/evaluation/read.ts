import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Evaluation from "./evaluation.ts";
import * as Older from "./older.ts";
import * as Wire from "./wire.ts";

/** An evaluation as the API returns it: its artifact, and URLs of its samples. */
export const Shown = Wire.Evaluation.extend({
  samples: z.array(z.object({ url: z.string(), expires_at: z.iso.datetime() })),
}).meta({ id: "EvaluationShown" });
export type Shown = z.output<typeof Shown>;

/** An evaluation with figures. */
export type Measured = Wire.Evaluation & { summary: NonNullable<Wire.Evaluation["summary"]> };

/**
 * An evaluation that has ended. One that failed has no figures.
 * @throws AppError `storage_unavailable`; `internal` if the artifact is gone or invalid.
 */
export async function shown(bucket: Bucket.Bucket, log: Log, row: Evaluation.Row): Promise<Shown> {
  const lists = { fields: [], slices: [], samples_ref: [], samples: [] };
  const nothing = { ...lists, unmatched: null, cost: null, ambiguous_labels: null };
  if (row.artifactRel === null) return { ...Evaluation.entry(row), ...nothing };
  const evaluation = await stored(bucket, log, row.artifactRel);
  const signed = evaluation.samples_ref.map((rel, i) =>
    Bucket.sign(bucket, rel, `${row.evalId}-${i + 1}.jsonl`),
  );
  return { ...evaluation, ...Evaluation.entry(row), samples: await Promise.all(signed) };
}

/**
 * An evaluation that has figures.
 * @param param - the parameter that names it.
 * @throws AppError `conflict` for one that runs (`eval_not_ended`) or failed (`eval_failed`); `storage_unavailable`.
 */
export async function measured(
  bucket: Bucket.Bucket,
  log: Log,
  row: Evaluation.Row,
  param = "eval_id",
): Promise<Measured> {
  if (row.state === "running")
    throw new AppError("conflict", "the evaluation is being made", {
      ...{ param, details: { reason: "eval_not_ended" } },
    });
  const evaluation = row.artifactRel === null ? undefined : await stored(bucket, log, row.artifactRel);
  const summary = evaluation?.summary;
  if (!evaluation || !summary)
    throw new AppError("conflict", "the evaluation failed and has no figures", {
      ...{ param, details: { reason: "eval_failed" } },
    });
  return { ...evaluation, summary };
}

async function stored(bucket: Bucket.Bucket, log: Log, rel: string): Promise<Wire.Evaluation> {
  const bytes = await Bucket.get(bucket, log, rel);
  const lost = (cause?: unknown) =>
    new AppError("internal", "the artifact of this evaluation cannot be read", { cause });
  if (bytes === undefined) throw lost();
  try {
    const evaluation = JSON.parse(Buffer.from(bytes).toString("utf8")) as Wire.Evaluation;
    const { summary, slices, unmatched, ambiguous_labels = null, gt_from_run_id = null } = evaluation;
    return {
      ...{ ...evaluation, ambiguous_labels, gt_from_run_id },
      ...{ summary: summary && Older.summaryOf(summary), slices: slices.map(Older.sliceOf) },
      unmatched: unmatched && Older.unmatchedOf(unmatched),
    };
  } catch (thrown) {
    throw lost(thrown);
  }
}
