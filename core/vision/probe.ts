import type { Server } from "#core/vision/complete";
import { reasonOf } from "#core/vision/fault";
import * as Transport from "#core/vision/transport";

export interface Probe {
  /** True if the server returned its list of models, and the configured one is not missing from it. */
  ok: boolean;
  latencyMs: number;
  /** Context length of the configured model, if the server reports it (vLLM does). */
  maxModelLen?: number;
  /** Names of the models it serves. */
  models: string[];
  /**
   * Why it is not ok, in snake_case; never a host. `model_missing`: vLLM accepts only the names in `models`. Other
   * servers accept any name, or complete it, so their list is no evidence.
   */
  error?: string;
}

const probeTimeoutMs = 2_000;
const maxBodyBytes = 1024 * 1024;

/** Asks `GET /v1/models`, for 2 s at most. Never throws. */
export async function probe(
  server: Server,
  signal?: AbortSignal,
  timeoutMs: number = probeTimeoutMs,
): Promise<Probe> {
  const startedAt = Date.now();
  const exchange = Transport.open({ connectTimeoutMs: Math.min(server.connectTimeoutMs, timeoutMs) });
  const timeout = AbortSignal.timeout(timeoutMs);
  const ended = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
  const away = (error: string): Probe => ({
    ok: false,
    latencyMs: Date.now() - startedAt,
    models: [],
    error,
  });
  try {
    const response = await exchange.send(`${server.baseUrl}/models`, {
      headers: server.apiKey === undefined ? {} : { authorization: `Bearer ${server.apiKey}` },
      signal: ended,
    });
    if (response.status !== 200) return away(`status_${response.status}`);
    const cards = readCards(await readText(response.body));
    if (cards === undefined) return away("not_a_model_server");
    const named = cards.find((each) => each.id === server.model);
    const card = named ?? (cards.length === 1 ? cards[0] : undefined);
    const isMissing = named === undefined && cards.some(({ isOfVllm }) => isOfVllm);
    return {
      ok: !isMissing,
      ...(isMissing ? { error: "model_missing" } : {}),
      latencyMs: Date.now() - startedAt,
      models: cards.map((each) => each.id),
      ...(card?.maxModelLen === undefined ? {} : { maxModelLen: card.maxModelLen }),
    };
  } catch {
    const fault = exchange.fault();
    return away(timeout.aborted ? "timeout" : fault === undefined ? "unavailable" : reasonOf(fault));
  } finally {
    exchange.close();
  }
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    pieces.push(piece);
    size += piece.byteLength;
    if (size > maxBodyBytes) break;
  }
  return Buffer.concat(pieces).toString("utf8");
}

interface Card {
  id: string;
  isOfVllm: boolean;
  maxModelLen?: number;
}

/** The list of models; undefined for any other answer, e.g. a proxy's page with status 200. */
function readCards(body: string): Card[] | undefined {
  let parsed: { data?: unknown } | null;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null || !Array.isArray(parsed.data)) return undefined;
  const cards: Card[] = [];
  for (const each of parsed.data as unknown[]) {
    if (typeof each !== "object" || each === null || !("id" in each) || typeof each.id !== "string") continue;
    const length = "max_model_len" in each ? each.max_model_len : undefined;
    const isOfVllm = "owned_by" in each && each.owned_by === "vllm";
    cards.push({
      ...{ id: each.id, isOfVllm },
      ...(typeof length === "number" && length > 0 ? { maxModelLen: length } : {}),
    });
  }
  return cards;
}
