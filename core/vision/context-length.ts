import type { Server } from "#core/vision/complete";
import { probe } from "#core/vision/probe";

/** vLLM's start command in docs/gpu.md; what is assumed of a server that does not say. */
const assumed = 8192;
/** A server may come back with another setting; once in ten minutes is often enough to notice by itself. */
const keepMs = 600_000;
/** What an answer shows below this is no context, but a server that counts in its own way. */
const leastTokens = 1024;

/** A server, and what its operator says about it. */
export interface Believed extends Server {
  /** `VLLM_MAX_MODEL_LEN`; undefined: what the server reports. */
  maxModelLen?: number | undefined;
}

const known = new Map<string, { at: number; tokens: number }>();
const nameOf = (server: Server) => `${server.baseUrl} ${server.model}`;

/**
 * Context length of the configured model in tokens: what the operator says, but no more than the server has shown to
 * have within ten minutes; without an operator's word what the server reports in `/v1/models` (vLLM does), asked for
 * once an instance and every ten minutes; 8,192 where it says nothing or does not answer. Never throws.
 */
export async function contextLength(server: Believed, signal?: AbortSignal): Promise<number> {
  const last = known.get(nameOf(server));
  const fresh = last !== undefined && Date.now() - last.at < keepMs;
  if (server.maxModelLen !== undefined)
    return fresh ? Math.min(server.maxModelLen, last.tokens) : server.maxModelLen;
  if (fresh) return last.tokens;
  const { ok, maxModelLen } = await probe(server, signal);
  const tokens = maxModelLen ?? last?.tokens ?? assumed;
  if (ok) known.set(nameOf(server), { at: Date.now(), tokens });
  return tokens;
}

/** Asks the server again, whatever is known of it. Undefined where it does not say, or not now. Never throws. */
export async function refresh(server: Server, signal?: AbortSignal): Promise<number | undefined> {
  const { maxModelLen } = await probe(server, signal);
  if (maxModelLen !== undefined) learn(server, maxModelLen);
  return maxModelLen;
}

/** Notes what the server itself has said or shown. */
export function learn(server: Server, tokens: number): void {
  if (tokens >= leastTokens) known.set(nameOf(server), { at: Date.now(), tokens });
}
