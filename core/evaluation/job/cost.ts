import type { Gpu } from "#core/cost/gpu";
import type { RunRow } from "#core/run/run.sql";
import type * as Wire from "../wire.ts";
import type { Light } from "./documents.ts";

/**
 * The cost of a run: its tokens and model time, the latency of items that succeeded (nearest rank), and the dollars of
 * its GPU.
 */
export function costOf(
  run: Pick<RunRow, "promptTokens" | "completionTokens" | "modelCalls" | "modelMs">,
  lights: readonly Light[],
  options: { gpu: Gpu | undefined; documentsRight: number },
): Wire.Cost {
  const times = lights
    .flatMap(({ status, totalMs }) => (status === "succeeded" && totalMs !== null ? [totalMs] : []))
    .sort((a, b) => a - b);
  const at = (share: number) => times[Math.max(0, Math.ceil(share * times.length) - 1)] ?? 0;
  const { gpu, documentsRight } = options;
  const usd = gpu?.usd ?? null;
  return {
    prompt_tokens: run.promptTokens,
    completion_tokens: run.completionTokens,
    model_calls: run.modelCalls,
    model_seconds: run.modelMs / 1000,
    latency_ms: times.length === 0 ? null : { p50: at(0.5), p95: at(0.95), p99: at(0.99) },
    cost_usd: usd,
    cost_basis: gpu?.basis ?? null,
    cost_provisional: gpu?.provisional ?? false,
    right_documents_per_usd: usd === null || usd === 0 ? null : documentsRight / usd,
  };
}
