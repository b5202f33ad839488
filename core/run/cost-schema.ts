import * as z from "zod";

const dollars = z.number().min(0);

/** What a run cost, in US dollars (core/run/cost.ts). */
export const RunCost = z
  .object({
    basis: z.enum(["pod_sessions", "gpu_cost_per_hour"]).meta({
      description:
        "`pod_sessions`: the run's part of what the managed pod cost, idle time included; `gpu_cost_per_hour`: its model seconds at the operator's price, an upper bound.",
    }),
    provisional: z.boolean().meta({
      description: "True until the pod's session has ended: more work in it makes each receipt cheaper.",
    }),
    gpu: dollars,
    gpu_idle: dollars.nullable().meta({
      description: "The part of `gpu` in which the pod waited for work; null where it is not known.",
    }),
    aws: dollars.meta({ description: "Estimated from what was counted, at list prices." }),
    storage: dollars.meta({
      description: "Requests to the bucket, and a month of what is stored; estimated.",
    }),
    total: dollars,
    per_model_second: dollars.nullable().meta({
      description:
        "`total` by model second: times an item's `timings_ms.inference` (`model_seconds` in CSV) it is what that item cost.",
    }),
    per_receipt: dollars.nullable().meta({ description: "Of the items that succeeded; null without any." }),
    per_schema_valid: dollars.nullable(),
    per_correct: dollars.nullable().meta({
      description: "Of the documents that the newest evaluation found right; null without one.",
    }),
    prices_read_on: z.iso.date().meta({ description: "When the list prices were read." }),
  })
  .meta({ id: "RunCost" });
export type RunCost = z.output<typeof RunCost>;
