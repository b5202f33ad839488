import * as Breaker from "#core/breaker/breaker";
import * as Probe from "#core/breaker/probe";
import * as Send from "#core/extraction/send";
import type { Log } from "#core/log";
import * as Metrics from "#core/metrics/metrics";
import type { Services } from "#core/reading/services";
import * as Pause from "#core/run/dispatch/pause";
import { probe as probeModel } from "#core/vision/probe";

/** So many looks at the first pace: ten minutes, within which a pod is loaded and a restart is over. */
const probesFirst = 120;

/**
 * One look at the model server (`kind: "probe"` in the `urgent` queue). When it is back, everything that waits for it
 * goes on; else the next look is ordered: after 5 s for ten minutes, later 30 s.
 */
export async function probe(
  services: Pick<Services, "db" | "queues" | "times" | "model">,
  { n, chain }: Pick<Probe.Message, "n" | "chain">,
  log: Log,
): Promise<void> {
  const { db, times } = services;
  if ((await Breaker.state(db)).kind !== "closed") {
    const seen = await probeModel(services.model, undefined, times.probeTimeoutMs);
    log.info("breaker_probe", { ok: seen.ok, n, duration_ms: seen.latencyMs });
    if (!seen.ok) {
      Metrics.modelAway();
      const delayMs = n < probesFirst ? times.probeFirstDelayMs : times.probeLaterDelayMs;
      await Breaker.trip(db, times.breakerRetryMs);
      // One chain of looks goes on. This one was in line for so long that another was begun: it was worth its look.
      if (!(await Breaker.stillMessage(db, chain, delayMs + times.probeMessageMs))) return;
      await Probe.send(services.queues, { n: n + 1, chain }, delayMs, log);
      return;
    }
    await Breaker.close(db);
  }
  await Breaker.messageDone(db);
  const resumed = await Send.resumeWaiting(services, log);
  const runs = await Pause.resume(services, log);
  log.info("model_server_back", { resumed, runs });
}
