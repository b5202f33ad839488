import type { Server } from "#core/vision/complete";
import * as Transport from "#core/vision/transport";

/** The model server's numbers of requests, of all its clients together. */
export interface Load {
  /** Requests that it works on. */
  running: number;
  /** Requests that wait for a place. Some that wait for the preparation of their pictures are not counted (vllm#44688). */
  waiting: number;
  /** The used part of the cache of keys and values, 0 to 1. */
  kvUsed: number;
}

const maxBodyBytes = 4 * 1024 * 1024;

/**
 * Reads `/metrics`, which lies beside `/v1`. Undefined if the server has none, or does not answer in time. Never throws.
 * Names of the metrics: vLLM 0.32, `vllm/v1/metrics/loggers.py`.
 */
export async function read(server: Server, timeoutMs: number): Promise<Load | undefined> {
  const exchange = Transport.open({ connectTimeoutMs: Math.min(server.connectTimeoutMs, timeoutMs) });
  try {
    const response = await exchange.send(`${server.baseUrl.replace(/\/v1$/, "")}/metrics`, {
      headers: server.apiKey === undefined ? {} : { authorization: `Bearer ${server.apiKey}` },
      signal: AbortSignal.timeout(timeoutMs),
    });
    return response.status === 200 ? parse(await textOf(response.body)) : undefined;
  } catch {
    return undefined;
  } finally {
    exchange.close();
  }
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    pieces.push(piece);
    size += piece.byteLength;
    if (size > maxBodyBytes) break;
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** Prometheus's text format; several engines of one server are added up. */
function parse(text: string): Load | undefined {
  const running = valuesOf(text, "vllm:num_requests_running");
  const waiting = valuesOf(text, "vllm:num_requests_waiting");
  if (running.length === 0 || waiting.length === 0) return undefined;
  const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);
  const kv = valuesOf(text, "vllm:kv_cache_usage_perc");
  return { running: sum(running), waiting: sum(waiting), kvUsed: Math.max(0, ...kv) };
}

function valuesOf(text: string, name: string): number[] {
  const values: number[] = [];
  for (const line of text.split("\n")) {
    if (!line.startsWith(name)) continue;
    const match = /^(?:\{[^}]*\})? +(\S+)/.exec(line.slice(name.length));
    const value = Number(match?.[1] ?? Number.NaN);
    if (Number.isFinite(value) && value >= 0) values.push(value);
  }
  return values;
}
