import type { Used } from "#core/usage/usage";
import type { Artifact } from "./schema.ts";

const nothing: Used = {
  promptTokens: 0,
  completionTokens: 0,
  modelCalls: 0,
  modelMs: 0,
  imageBytes: 0,
  pages: 0,
};

/**
 * What an attempt used of the model, by its record. A server that was unavailable or refused the call did no work, so
 * an outage costs the key no time.
 */
export function usedOf(artifact: Asked): Used {
  const { usage, timings_ms: timings, error, input } = artifact;
  const answered = usage.prompt_tokens + usage.completion_tokens > 0;
  if (error?.code === "inference_unavailable" && !answered) return nothing;
  return {
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    modelCalls: usage.attempts,
    modelMs: timings.inference,
    imageBytes: input?.bytes ?? 0,
    pages: pagesOf(artifact) ?? 0,
  };
}

/** What an artifact says of how the model was asked. */
type Asked = Pick<Artifact, "usage" | "timings_ms" | "error" | "input"> & PagesAsked;
type PagesAsked = Pick<Artifact, "result"> & Partial<Pick<Artifact, "sent" | "calls">>;

/** How many pages the model read: those of all answers that count. Null where there was no answer. */
export function pagesOf({ result, sent, calls }: PagesAsked): number | null {
  if (calls === undefined) return result === null || !sent ? null : 1;
  const read = new Set(
    calls.flatMap(({ pages, raw_model_text, repeated }) =>
      raw_model_text === null || repeated ? [] : pages,
    ),
  );
  return read.size === 0 ? null : read.size;
}

/** Both together. */
export function sum(a: Used, b: Used): Used {
  return {
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
    modelCalls: a.modelCalls + b.modelCalls,
    modelMs: a.modelMs + b.modelMs,
    imageBytes: a.imageBytes + b.imageBytes,
    pages: a.pages + b.pages,
  };
}
