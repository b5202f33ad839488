import type { Used } from "#core/usage/usage";
import type { Artifact } from "./schema.ts";

const nothing: Used = { promptTokens: 0, completionTokens: 0, modelCalls: 0, modelMs: 0, imageBytes: 0 };

/**
 * What an attempt used of the model, by its record. A server that was unavailable or refused the call did no work, so
 * an outage costs the key no time.
 */
export function usedOf(artifact: Pick<Artifact, "usage" | "timings_ms" | "error" | "input">): Used {
  const { usage, timings_ms: timings, error, input } = artifact;
  const answered = usage.prompt_tokens + usage.completion_tokens > 0;
  if (error?.code === "inference_unavailable" && !answered) return nothing;
  return {
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    modelCalls: usage.attempts,
    modelMs: timings.inference,
    imageBytes: input?.bytes ?? 0,
  };
}

/** Both together. */
export function sum(a: Used, b: Used): Used {
  return {
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
    modelCalls: a.modelCalls + b.modelCalls,
    modelMs: a.modelMs + b.modelMs,
    imageBytes: a.imageBytes + b.imageBytes,
  };
}
