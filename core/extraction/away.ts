import * as Breaker from "#core/breaker/breaker";
import { AppError, from } from "#core/error";
import type { Log } from "#core/log";
import type { Services } from "#core/reading/services";
import * as Vision from "#core/vision/vision";
import type * as Claim from "./claim.ts";

/**
 * True if the model server is known to be away. If a probe is due, one of several callers makes it; the others assume
 * an outage.
 */
export async function isAway(
  services: Services,
  log: Log,
  { breaker }: Claim.Outlook,
): Promise<AppError | undefined> {
  if (breaker.kind === "closed") return undefined;
  const { probeTimeoutMs, breakerRetryMs } = services.times;
  const away = (retryAfterMs: number) =>
    new AppError("inference_unavailable", "the model server is away", { retryAfterS: seconds(retryAfterMs) });
  if (breaker.kind === "open" && breaker.hold !== undefined) return held(breaker.hold, breaker.retryAfterMs);
  if (breaker.kind === "open") return away(breaker.retryAfterMs);
  if (!(await Breaker.mayProbe(services.db, probeTimeoutMs * 2))) return away(breakerRetryMs);
  const probe = await Vision.probe(services.model, undefined, probeTimeoutMs);
  log.info("breaker_probe", { ok: probe.ok, duration_ms: probe.latencyMs });
  await noted(log, probe.ok ? Breaker.close(services.db) : Breaker.trip(services.db, breakerRetryMs));
  return probe.ok ? undefined : away(breakerRetryMs);
}

const seconds = (ms: number) => Math.max(1, Math.ceil(ms / 1000));

const holds = {
  pod: { message: "the model server's pod is not ready", reason: "pod_not_ready" },
  budget: {
    message: "the model server's pod has used up what it may cost today",
    reason: "pod_budget_spent",
  },
} as const;

/** The pod of the model server is not up, or the day's ceiling is reached: its manager says until when. */
function held(hold: keyof typeof holds, retryAfterMs: number): AppError {
  const { message, reason } = holds[hold];
  const retryAfterS = seconds(retryAfterMs);
  return new AppError("inference_unavailable", message, { retryAfterS, details: { reason } });
}

/** Whether an error says that a pod is not ready, so that its `retryAfterS` is what the pod's manager expects. */
export function isHeld({ details }: AppError): boolean {
  return Object.values(holds).some(({ reason }) => reason === details?.reason);
}

/** Stores for other calls what was found. If that fails, this call goes on. */
export async function noted(log: Log, note: Promise<unknown>): Promise<void> {
  try {
    await note;
  } catch (thrown) {
    log.warn("breaker_not_noted", { code: from(thrown).code });
  }
}
