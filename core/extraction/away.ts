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
    new AppError("inference_unavailable", "the model server is away", {
      retryAfterS: Math.max(1, Math.ceil(retryAfterMs / 1000)),
    });
  if (breaker.kind === "open") return away(breaker.retryAfterMs);
  if (!(await Breaker.mayProbe(services.db, probeTimeoutMs * 2))) return away(breakerRetryMs);
  const probe = await Vision.probe(services.model, undefined, probeTimeoutMs);
  log.info("breaker_probe", { ok: probe.ok, duration_ms: probe.latencyMs });
  await noted(log, probe.ok ? Breaker.close(services.db) : Breaker.trip(services.db, breakerRetryMs));
  return probe.ok ? undefined : away(breakerRetryMs);
}

/** Stores for other calls what was found. If that fails, this call goes on. */
export async function noted(log: Log, note: Promise<unknown>): Promise<void> {
  try {
    await note;
  } catch (thrown) {
    log.warn("breaker_not_noted", { code: from(thrown).code });
  }
}
