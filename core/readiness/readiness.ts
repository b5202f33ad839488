import * as z from "zod";
import * as Bucket from "#core/artifact/bucket";
import type * as Config from "#core/config";
import * as Database from "#core/db/client";
import * as Queue from "#core/queue/queue";
import { probe as probeModel } from "#core/vision/probe";
import type { Times } from "#infra/limits";

const Check = z
  .object({
    ok: z.boolean(),
    latency_ms: z.int(),
    error: z.string().optional().meta({ description: "A code, never a host." }),
  })
  .meta({ id: "ReadinessCheck" });

/** Whether each thing that an extract needs answers now. */
export const Readiness = z
  .object({
    ok: z.boolean(),
    checks: z.object({ model_server: Check, storage: Check, database: Check, queue: Check }).optional(),
  })
  .meta({ id: "Readiness" });
export type Readiness = z.output<typeof Readiness>;
type CheckResult = z.output<typeof Check>;

export interface Dependencies {
  model: () => Config.Model;
  bucket: () => Bucket.Bucket;
  db: () => Database.Db;
  queues: () => Queue.Queues;
  times: Pick<Times, "probeTimeoutMs" | "probeCacheMs">;
}

let last: { at: number; readiness: Readiness } | undefined;

/** Probes everything side by side, each for the probe's time limit at most; an answer is kept a few seconds. */
export async function check(dependencies: Dependencies): Promise<Readiness> {
  const { probeTimeoutMs, probeCacheMs } = dependencies.times;
  if (last !== undefined && Date.now() - last.at < probeCacheMs) return last.readiness;
  const [model_server, storage, database, queue] = await Promise.all([
    timed(probeTimeoutMs, async (signal) => {
      const probe = await probeModel(dependencies.model(), signal);
      return probe.ok ? undefined : (probe.error ?? "unavailable");
    }),
    timed(probeTimeoutMs, async (signal) => {
      await Bucket.ping(dependencies.bucket(), signal);
      return undefined;
    }),
    timed(probeTimeoutMs, async () => {
      await Database.ping(dependencies.db());
      return undefined;
    }),
    timed(probeTimeoutMs, async (signal) => {
      await Queue.ping(dependencies.queues(), signal);
      return undefined;
    }),
  ]);
  const checks = { model_server, storage, database, queue };
  const readiness = { ok: Object.values(checks).every((each) => each.ok), checks };
  last = { at: Date.now(), readiness };
  return readiness;
}

/** Runs one probe against the clock. Its error is a code: the name of a wrong setting, a timeout, or "unavailable". */
async function timed(
  timeoutMs: number,
  probe: (signal: AbortSignal) => Promise<string | undefined>,
): Promise<CheckResult> {
  const startedAt = Date.now();
  const signal = AbortSignal.timeout(timeoutMs);
  const late = new Promise<string>((resolve) =>
    signal.addEventListener("abort", () => resolve("timeout"), { once: true }),
  );
  let error: string | undefined;
  try {
    error = await Promise.race([probe(signal), late]);
  } catch (thrown) {
    error = signal.aborted
      ? "timeout"
      : thrown instanceof Error && thrown.name === "ConfigError"
        ? "not_configured"
        : "unavailable";
  }
  return {
    ok: error === undefined,
    latency_ms: Date.now() - startedAt,
    ...(error === undefined ? {} : { error }),
  };
}
