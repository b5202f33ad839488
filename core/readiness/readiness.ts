import * as z from "zod";
import * as Address from "#core/breaker/address";
import * as Breaker from "#core/breaker/breaker";
import type { Hold } from "#core/breaker/breaker.sql";
import * as Bucket from "#core/bucket/bucket";
import * as Proof from "#core/bucket/proof";
import type * as Config from "#core/config";
import type * as Database from "#core/db/database";
import * as Queue from "#core/queue/queue";
import { type Probe, probe as probeModel } from "#core/vision/probe";
import type { Times } from "#spec/limits";
import { Expiries } from "./expiries.ts";

const Check = z
  .object({
    ok: z.boolean(),
    latency_ms: z.int(),
    error: z.string().optional().meta({ description: "A code, never a host." }),
  })
  .meta({ id: "ReadinessCheck" });

const ModelCheck = Check.extend({
  models: z.array(z.string()).optional().meta({
    description: "With the error `model_missing`: what the server lists, of which `VLLM_MODEL` is none.",
  }),
  context_tokens: z
    .int()
    .optional()
    .meta({ description: "The model's context as the server reports it (vLLM does)." }),
  waiting_for: z.enum(["pod", "budget"]).optional().meta({
    description:
      "The managed pod is not up, or has used up what it may cost today. That is no fault: calls become 202, and the pod is started when work waits.",
  }),
}).meta({ id: "ModelServerCheck" });

const ConditionalWrites = z
  .object({
    ok: z.boolean(),
    checked_at: z.string().nullable().meta({ description: "When it was tried out; null: not yet." }),
    error: z.string().optional().meta({ description: "`overwritten` or `refused`." }),
  })
  .meta({
    id: "ConditionalWrites",
    description:
      "Whether the bucket refused a second write of one name with `If-None-Match: *`, without which answers could be overwritten. It is tried out at most once a day, not by this call.",
  });

/** Whether each thing that an extract needs answers now. */
export const Readiness = z
  .object({
    ok: z.boolean(),
    checks: z
      .object({
        model_server: ModelCheck,
        storage: Check,
        database: Check,
        queue: Check,
        // Absent during an outage of the database, which has this fact.
        conditional_writes: ConditionalWrites.optional(),
      })
      .optional(),
    expiries: Expiries.optional(),
  })
  .meta({ id: "Readiness" });
export type Readiness = z.output<typeof Readiness>;
type CheckResult = z.output<typeof Check>;

/** At most this many of a server's models are named. */
const mostNames = 10;

interface Dependencies {
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
  let proof: Proof.Proof | undefined;
  let overwrites = false;
  let seen: Probe | undefined;
  let hold: Hold | undefined;
  const [model, storage, database, queue] = await Promise.all([
    timed(probeTimeoutMs, async (signal) => {
      const model = dependencies.model();
      if (model.managed) hold = await Breaker.hold(dependencies.db());
      if (hold !== undefined) return undefined;
      seen = await probeModel(Address.at(model), signal);
      return seen.ok ? undefined : (seen.error ?? "unavailable");
    }),
    timed(probeTimeoutMs, async (signal) => {
      const bucket = dependencies.bucket();
      overwrites = bucket.settings.allowOverwrite;
      await Bucket.ping(bucket, signal);
      return undefined;
    }),
    timed(probeTimeoutMs, async () => {
      proof = await Proof.last(dependencies.db());
      return undefined;
    }),
    timed(probeTimeoutMs, async (signal) => {
      await Queue.ping(dependencies.queues(), signal);
      return undefined;
    }),
  ]);
  const conditional_writes = {
    // A stage that allows overwriting does not need it.
    ok: proof?.ok !== false || overwrites,
    checked_at: proof?.at ?? null,
    ...(proof?.error === undefined ? {} : { error: proof.error }),
  };
  const model_server = {
    ...model,
    ...(seen === undefined ? {} : toldBy(seen)),
    ...(hold === undefined ? {} : { waiting_for: hold.for }),
  };
  const checks = {
    ...{ model_server, storage, database, queue },
    ...(database.ok ? { conditional_writes } : {}),
  };
  const readiness = { ok: Object.values(checks).every((each) => each.ok), checks };
  last = { at: Date.now(), readiness };
  return readiness;
}

function toldBy({ error, models, maxModelLen }: Probe) {
  return {
    ...(error === "model_missing" ? { models: models.slice(0, mostNames) } : {}),
    ...(maxModelLen === undefined ? {} : { context_tokens: maxModelLen }),
  };
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
