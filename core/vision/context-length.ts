import type { Server } from "#core/vision/complete";
import { probe } from "#core/vision/probe";

/** The context length of vLLM's start command in docs/gpu.md; assumed for a server that reports none. */
const assumed = 8192;
/** A restarted server may have another setting, so it is asked again every ten minutes. */
const keepMs = 600_000;
/** A total below this is not a full context, but another way of counting. */
const leastTokens = 1024;

/** A server, with its operator's setting. */
export interface Believed extends Server {
  /** `VLLM_MAX_MODEL_LEN`; undefined: what the server reports. */
  maxModelLen?: number | undefined;
}

const known = new Map<string, { at: number; tokens: number }>();
const nameOf = (server: Server) => `${server.baseUrl} ${server.model}`;

/**
 * Context length of the configured model in tokens: the operator's setting, but at most what the server's answers have
 * shown within ten minutes. Without a setting, the value that the server reports in `/v1/models` (vLLM does), requested
 * once per instance and every ten minutes; 8,192 if it reports none or does not answer. Never throws.
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

/**
 * Asks the server again and ignores the cached value. Undefined if it does not report it or does not answer. Never
 * throws.
 */
export async function refresh(server: Server, signal?: AbortSignal): Promise<number | undefined> {
  const { maxModelLen } = await probe(server, signal);
  if (maxModelLen !== undefined) learn(server, maxModelLen);
  return maxModelLen;
}

/** Stores what the server reported or its answers showed. */
export function learn(server: Server, tokens: number): void {
  if (tokens >= leastTokens) known.set(nameOf(server), { at: Date.now(), tokens });
}
