import type { Field } from "#core/canonical/normalize";
import * as Accumulator from "#core/evaluation/accumulator";
import { compare } from "#core/evaluation/compare/compare";
import * as Figures from "#core/evaluation/figures";
import type { Measured } from "#core/evaluation/read";
import type * as Wire from "#core/evaluation/wire";
import { labelsOf } from "./labels.ts";

/** A receipt for tests: its labels, and the result; null if it failed. */
export interface Paper {
  file: string;
  labels: { readonly [name: string]: unknown };
  result: { readonly [name: string]: unknown } | null;
}

/** An evaluation of these receipts with its samples, by the code that evaluates a run. */
export function measured(
  fields: readonly Field[],
  papers: readonly Paper[],
): { evaluation: Measured; samples: Wire.Sample[] } {
  const counted = Accumulator.create(fields);
  const samples = papers.map(({ file, labels, result }, index): Wire.Sample => {
    const prediction = { status: result === null ? ("failed" as const) : ("succeeded" as const), result };
    const comparison = compare(fields, labelsOf(labels), prediction, { strMode: "strip" });
    const vector = Accumulator.add(counted, comparison, { file });
    return {
      ...{ index, document: 1, file, custom_id: null, request_id: `night~${index}` },
      answered: comparison.answered,
      right: Accumulator.isRight(vector, "canonical"),
      right_exact: Accumulator.isRight(vector, "exact"),
      verdicts: comparison.verdicts,
    };
  });
  const { summary, fields: figures, slices } = Figures.of(counted);
  const evaluation: Measured = {
    ...{ eval_id: `eval_${"0".repeat(24)}`, key_id: "alice", run_id: "night", task_id: "receipt_v1" },
    ...{
      gt_id: "gt_x",
      gt_name: "shop",
      gt_sha256: "ab".repeat(32),
      gt_image_key: "file",
      gt_from_run_id: null,
      str_mode: "strip",
    },
    ...{ created_at: "2031-05-24T10:00:00.000Z", finished_at: "2031-05-24T10:01:00.000Z" },
    ...{ status: "succeeded", rules_version: "0123-4567", code_version: "1.2.3" },
    ...{ error: null, artifact_rel: "evals/x.json" },
    ...{ summary, fields: figures, slices, samples_ref: [], ambiguous_labels: counted.ambiguous },
    unmatched: {
      items: { count: 1, first: [{ index: 9, file: "left.png", reason: "no_record" }] },
      records: { count: 0, first: [] },
      documents: { count: 0, first: [] },
      unknown_fields: [],
    },
    cost: {
      ...{ prompt_tokens: 120_000, completion_tokens: 9_000, model_calls: 60, model_seconds: 41.25 },
      latency_ms: { p50: 620, p95: 1_410, p99: 2_200 },
      ...{ cost_usd: 0.04125, right_documents_per_usd: 800 },
      ...{ cost_basis: "gpu_cost_per_hour" as const, cost_provisional: false },
    },
  };
  return { evaluation, samples };
}

export async function* each<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}
