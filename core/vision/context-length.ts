import type { Server } from "#core/vision/complete";
import { probe } from "#core/vision/probe";

/** vLLM's start command in docs/gpu.md; what is assumed of a server that does not say. */
const assumed = 8192;
/** A server may come back with another setting; once in ten minutes is often enough to notice. */
const keepMs = 600_000;

const known = new Map<string, { at: number; tokens: number }>();

/**
 * Context length of the configured model in tokens: what the server reports in `/v1/models` (vLLM does), asked
 * for once an instance and every ten minutes; 8,192 where it says nothing or does not answer. Never throws.
 */
export async function contextLength(server: Server, signal?: AbortSignal): Promise<number> {
  const name = `${server.baseUrl} ${server.model}`;
  const last = known.get(name);
  if (last !== undefined && Date.now() - last.at < keepMs) return last.tokens;
  const { ok, maxModelLen } = await probe(server, signal);
  const tokens = maxModelLen ?? last?.tokens ?? assumed;
  if (ok) known.set(name, { at: Date.now(), tokens });
  return tokens;
}
