import * as z from "zod";
import type { Verdict } from "./compare/compare.ts";
import * as Schema from "./schema.ts";

/** How printed texts are compared in exact figures. */
const StrMode = z.enum(["exact", "strip"]).meta({
  description:
    "How exact figures compare printed texts: as they are, or without white space around them. Canonical figures compare what values mean.",
});

/** The body of `POST /v1/evals`. */
export const Request = z
  .strictObject({
    run_id: z.string().min(1).max(100).meta({ description: "One of your runs that has ended." }),
    gt_id: z.string().min(1).max(100).meta({ description: "What `POST /v1/ground_truths` returned." }),
    gt_image_key: z.string().min(1).max(100).optional().meta({
      description: "Which member of a record names its picture; the ground truth's own without it.",
    }),
    str_mode: StrMode.default("strip"),
  })
  .meta({ id: "EvalRequest" });
export type Request = z.output<typeof Request>;

const count = z.int().min(0);

/** Items, documents and records that are in no figure. All are counted; the first hundred are named. */
export const Unmatched = z
  .object({
    items: z.object({
      count,
      first: z.array(
        z.object({
          index: count,
          file: z.string().nullable(),
          reason: z.enum(["no_record", "ambiguous"]),
        }),
      ),
    }),
    records: z.object({
      count,
      first: z.array(
        z.object({
          index: count.meta({ description: "Its place in the ground truth, from 0." }),
          image: z.string().nullable(),
          reason: z.enum(["unnamed", "no_item", "duplicate", "several_items"]),
        }),
      ),
    }),
    documents: z
      .object({
        count,
        first: z.array(z.object({ index: count, file: z.string().nullable(), document: z.int().min(1) })),
      })
      .meta({
        description:
          "Documents that were read of a picture and have no record, while other documents of it have one; none in evaluations of before 2026-12.",
      }),
    unknown_fields: z
      .array(z.string())
      .meta({ description: "Labeled fields that the task does not read; they are not scored." }),
  })
  .meta({ id: "EvalUnmatched" });
export type Unmatched = z.output<typeof Unmatched>;

/** The cost of the run, in addition to its accuracy. */
export const Cost = z
  .object({
    prompt_tokens: count,
    completion_tokens: count,
    model_calls: count,
    model_seconds: z.number().min(0),
    latency_ms: z
      .object({ p50: count, p95: count, p99: count })
      .nullable()
      .meta({ description: "Measured for items that succeeded, from the claim to the end." }),
    cost_usd: z.number().nullable().meta({
      description:
        "Of the GPU: the run's part of the managed pod's sessions, else model seconds at `GPU_COST_PER_HOUR`; null where neither is known.",
    }),
    cost_basis: z
      .enum(["pod_sessions", "gpu_cost_per_hour"])
      .nullable()
      .default(null)
      .meta({ description: "How it was found; null where it is not known." }),
    cost_provisional: z
      .boolean()
      .default(false)
      .meta({ description: "True if the pod's session was still open when this was measured." }),
    right_documents_per_usd: z.number().nullable(),
  })
  .meta({ id: "EvalCost" });
export type Cost = z.output<typeof Cost>;

const about = {
  eval_id: z.string(),
  key_id: z.string().meta({ description: "The key that it belongs to." }),
  run_id: z.string(),
  task_id: z.string(),
  gt_id: z.string().nullable().meta({ description: "Null for labels under the data root (`gt_path`)." }),
  gt_name: z.string().nullable(),
  gt_sha256: z.string().nullable().meta({ description: "The version of the labels." }),
  gt_image_key: z.string(),
  gt_from_run_id: z.string().nullable().meta({
    description:
      "The run whose answers are the labels, as an uncorrected draft (`from_run`): then the figures say how far the two runs agree, and not how good one is.",
  }),
  str_mode: StrMode,
  created_at: z.iso.datetime(),
};

/** An evaluation as an entry of the list. */
export const Entry = z
  .object({
    ...about,
    status: z.enum(["running", "succeeded", "failed"]),
    finished_at: z.iso.datetime().nullable(),
    rules_version: z.string().nullable().meta({
      description:
        "The version of the rules for the meaning of values and for equality: two hashes. Null before the end.",
    }),
    code_version: z.string().nullable().meta({ description: "The version of the code that computed it." }),
    summary: Schema.Figures.shape.summary.nullable(),
    error: z
      .object({
        code: z.string(),
        message: z.string(),
        details: z.record(z.string(), z.unknown()).optional(),
      })
      .nullable(),
    artifact_rel: z.string().nullable(),
  })
  .meta({ id: "EvalEntry" });
export type Entry = z.output<typeof Entry>;

/** An evaluation that has ended, with all of its figures. */
export const Evaluation = Entry.extend({
  fields: z.array(Schema.FieldFigures),
  slices: z.array(Schema.Slice),
  unmatched: Unmatched.nullable(),
  ambiguous_labels: Schema.AmbiguousLabels.nullable().meta({
    description: "Null for a failed evaluation, and for those made before December 2026.",
  }),
  cost: Cost.nullable(),
  samples_ref: z.array(z.string()).meta({
    description: "Objects with a JSON line for each document: every labeled value and its outcome.",
  }),
}).meta({ id: "Evaluation" });
export type Evaluation = z.output<typeof Evaluation>;

/** The response while the evaluation is in progress. */
export const Running = z
  .object({
    eval_id: z.string(),
    status: z.literal("running"),
    items: z.object({ done: count, total: count }),
    poll_url: z.string(),
  })
  .meta({ id: "EvalRunning" });

/** The outcomes of one document's values: a line of an object of `samples_ref`. */
export interface Sample {
  index: number;
  /** 1, or more if a picture shows several papers. */
  document: number;
  file: string | null;
  custom_id: string | null;
  request_id: string;
  /** False if the item failed, was canceled, or has no such document. */
  answered: boolean;
  right: boolean;
  right_exact: boolean;
  /** Lists that are labeled as empty. Absent if there is none, and in evaluations made before December 2026. */
  empty_lists?: string[];
  verdicts: Verdict[];
}
