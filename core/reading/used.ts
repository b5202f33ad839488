import type { Used } from "#core/usage/usage";
import type { AttemptRecord } from "#core/vision/fault";
import type { Artifact } from "./schema.ts";

const nothing: Used = {
  promptTokens: 0,
  completionTokens: 0,
  modelCalls: 0,
  modelMs: 0,
  imageBytes: 0,
  pages: 0,
};

/** The record of one of several calls to the model server. */
type Attempt = Partial<AttemptRecord & { call: number }>;

/**
 * The model usage of an attempt, by its record. A server that was unavailable or refused the call did no work, so an
 * outage costs the key no time. @param counted - how many calls about a long document are counted already.
 */
export function usedOf(artifact: Asked, counted = 0): Used {
  if (counted > 0) return usedAfter(artifact, counted);
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

/** The usage of the calls after those that are counted. Their times do not include the pauses between repeats. */
function usedAfter(artifact: Asked, counted: number): Used {
  const attempts = (artifact.attempts as readonly Attempt[]).filter(({ call = 0 }) => call > counted);
  const sumOf = (of: (attempt: Attempt) => number | undefined) =>
    attempts.reduce((total, attempt) => total + (of(attempt) ?? 0), 0);
  const promptTokens = sumOf(({ usage }) => usage?.prompt_tokens);
  const completionTokens = sumOf(({ usage }) => usage?.completion_tokens);
  const isAway = artifact.error?.code === "inference_unavailable";
  if (isAway && promptTokens + completionTokens === 0) return nothing;
  const modelMs = sumOf(({ ms }) => ms);
  const pages = pagesOf(artifact, counted) ?? 0;
  return { promptTokens, completionTokens, modelCalls: attempts.length, modelMs, imageBytes: 0, pages };
}

/** The artifact's record of how the model was asked. */
type Asked = Pick<Artifact, "usage" | "timings_ms" | "error" | "input" | "attempts"> & PagesAsked;
type PagesAsked = Pick<Artifact, "result"> & Partial<Pick<Artifact, "sent" | "calls" | "documents">>;

/**
 * How many pages the model read: those of all answers that count. Null without an answer.
 * @param after - only pages that no call up to this one read.
 */
export function pagesOf({ result, sent, calls, documents }: PagesAsked, after = 0): number | null {
  const all = calls ?? documents?.flatMap((document) => document.calls ?? []);
  if (all === undefined) return result === null || !sent ? null : 1;
  const counted = all.filter(({ raw_model_text, repeated }) => raw_model_text !== null && !repeated);
  const before = new Set(counted.flatMap(({ call, pages }) => (call <= after ? pages : [])));
  // Tiles of a page, and receipts on it, may be read in several steps.
  const read = new Set(counted.flatMap(({ pages }) => pages.filter((page) => !before.has(page))));
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
