import * as Breaker from "#core/breaker/breaker";
import * as Probe from "#core/breaker/probe";
import * as Send from "#core/extraction/send";
import type { Log } from "#core/log";
import * as Metrics from "#core/metrics/metrics";
import type { Services } from "#core/reading/services";
import * as Pause from "#core/run/dispatch/pause";
import { probe as probeModel } from "#core/vision/probe";

/** The number of probes with short pauses: ten minutes, long enough for a pod to start or a server to restart. */
const probesFirst = 120;

/**
 * Probes the model server once (`kind: "probe"` in the `urgent` queue). If the server answers, all waiting work goes
 * on. Otherwise the next probe is ordered: after 5 s during the first ten minutes, later after 30 s.
 */
export async function probe(
  services: Pick<Services, "db" | "queues" | "times" | "model">,
  { n, chain }: Pick<Probe.Message, "n" | "chain">,
  log: Log,
): Promise<void> {
  const { db, times } = services;
  const state = await Breaker.state(db);
  if (state.kind !== "closed") {
    // A pod that must not be used yet, or today, is not probed: its manager says when it may be.
    const isHeld = state.kind === "open" && state.hold !== undefined;
    const seen = isHeld ? undefined : await probeModel(services.model, undefined, times.probeTimeoutMs);
    if (seen !== undefined) log.info("breaker_probe", { ok: seen.ok, n, duration_ms: seen.latencyMs });
    if (seen?.ok !== true) {
      if (!isHeld) Metrics.modelAway();
      const delayMs = n < probesFirst && !isHeld ? times.probeFirstDelayMs : times.probeLaterDelayMs;
      if (!isHeld) await Breaker.trip(db, times.breakerRetryMs);
      // Only one chain of probes continues. This message was in line for so long that another chain was started.
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
