import type { RunRow } from "#core/run/run.sql";
import type * as Wire from "../wire.ts";
import type { Light } from "./documents.ts";

const hourMs = 3_600_000;

/**
 * The cost of a run: its tokens and model time, the latency of items that succeeded (nearest rank), and dollars at the
 * price per GPU hour.
 */
export function costOf(
  run: Pick<RunRow, "promptTokens" | "completionTokens" | "modelCalls" | "modelMs">,
  lights: readonly Light[],
  options: { gpuCostPerHour: number | undefined; documentsRight: number },
): Wire.Cost {
  const times = lights
    .flatMap(({ status, totalMs }) => (status === "succeeded" && totalMs !== null ? [totalMs] : []))
    .sort((a, b) => a - b);
  const at = (share: number) => times[Math.max(0, Math.ceil(share * times.length) - 1)] ?? 0;
  const { gpuCostPerHour, documentsRight } = options;
  const usd = gpuCostPerHour === undefined ? null : (run.modelMs / hourMs) * gpuCostPerHour;
  return {
    prompt_tokens: run.promptTokens,
    completion_tokens: run.completionTokens,
    model_calls: run.modelCalls,
    model_seconds: run.modelMs / 1000,
    latency_ms: times.length === 0 ? null : { p50: at(0.5), p95: at(0.95), p99: at(0.99) },
    cost_usd: usd,
    right_documents_per_usd: usd === null || usd === 0 ? null : documentsRight / usd,
  };
}
