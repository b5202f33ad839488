import type { Server } from "#core/vision/complete";
import * as Fault from "#core/vision/fault";
import { probe } from "#core/vision/probe";

interface Confirmed {
  code: "inference_timeout" | "inference_unavailable" | "inference_failed";
  reason: string;
}

/**
 * Probes the model server after a fault that looks like an outage.
 * @param options.deadline - epoch milliseconds; the probe takes no longer.
 * @returns how the question ends; undefined if the server answers, so that the call may be repeated.
 */
export async function confirm(
  server: Server,
  fault: Fault.Fault,
  options: { signal?: AbortSignal | undefined; deadline: number; probeTimeoutMs?: number | undefined },
): Promise<Confirmed | undefined> {
  const left = Math.max(1, options.deadline - Date.now());
  const wanted = options.probeTimeoutMs ?? 2_000;
  const seen = await probe(server, options.signal, Math.min(wanted, left));
  if (options.signal?.aborted) return { code: "inference_timeout", reason: "aborted" };
  // A probe that the deadline cut short confirms nothing.
  if (seen.error === "timeout" && left < wanted) return { code: "inference_timeout", reason: "deadline" };
  const missing = fault.modelMissing === true && !seen.models.includes(server.model);
  if (!seen.ok || missing) return { code: "inference_unavailable", reason: Fault.reasonOf(fault) };
  // The server accepts this key for its list of models, so it refuses the call itself.
  if (fault.status === 401 || fault.status === 403)
    return { code: "inference_failed", reason: Fault.reasonOf(fault) };
  return undefined;
}
