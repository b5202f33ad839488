import { setTimeout as sleep } from "node:timers/promises";
import * as Address from "#core/breaker/address";
import * as Probe from "#core/breaker/probe";
import type * as Config from "#core/config";
import type * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Id from "#core/id";
import type { Log } from "#core/log";
import * as Metrics from "#core/metrics/metrics";
import type { Queues } from "#core/queue/queue";
import { probe } from "#core/vision/probe";
import type { Times } from "#spec/limits";
import * as Machine from "./machine.ts";
import type { PodRow } from "./pod.sql.ts";
import { kindOf, type Provider } from "./provider.ts";
import type { Rules } from "./rules.ts";
import type * as Settings from "./settings.ts";
import { spentOf } from "./spent.ts";
import type { Seen, Sight, Step } from "./step.ts";
import * as Store from "./store.ts";
import { warmUp } from "./warm-up.ts";

/* The manager of the pod: it observes the pod and the work, lets machine.ts decide, stores the decision, and then orders it. */

export interface Manager {
  db: Database.Db;
  queues: Queues;
  /** The model server without its address, which follows the pod. */
  model: Config.Model;
  settings: Settings.PodManager;
  provider: Provider;
  times: Times;
  /** The price of an hour while the provider names none. */
  costPerHour: number | undefined;
  log: Log;
  /** Epoch milliseconds; for tests. */
  now?: () => number;
}

/**
 * Checks repeatedly until `until` while something is going on, and once if nothing is.
 * @throws AppError `storage_unavailable`.
 */
export async function run(manager: Manager, until: number): Promise<void> {
  const holder = Id.create();
  try {
    for (;;) {
      const outcome = await tick(manager, holder);
      if (outcome !== "busy" || Date.now() + manager.times.podTickMs >= until) return;
      await sleep(manager.times.podTickMs);
    }
  } finally {
    await Store.release(manager.db, holder);
  }
}

/**
 * One look, and what follows from it.
 * @returns `busy`: something is going on; `elsewhere`: another manager has the lease. @throws AppError
 *   `storage_unavailable`.
 */
export async function tick(manager: Manager, holder: string): Promise<"busy" | "steady" | "elsewhere"> {
  const now = manager.now?.() ?? Date.now();
  const survey = await Store.take(manager.db, holder, { now, leaseMs: manager.times.podLeaseMs });
  if (survey === undefined) return "elsewhere";
  const rules = rulesOf(manager);
  const before = survey.pod;
  const sight = await look(manager, before, rules, now);
  const serves = await isServing(manager, before, sight);
  const seen: Seen = {
    ...{ now, sight, serves, work: survey.work },
    spent: spentOf(survey.today, now, before.ratePerHour ?? manager.costPerHour),
    startMs: usual(survey.starts) ?? rules.times.startMs,
  };
  const step = Machine.step(before, seen, rules);
  const { stored, sessionId } = await commit(manager, holder, step, now);
  // Something changed in between (work, another manager, the operator); the next check sees it.
  if (!stored) return "busy";
  await tell(manager, before, step);
  if (step.order !== undefined)
    await order(manager, holder, { ...step, memory: { ...step.memory, sessionId } }, seen);
  return isSteady(step, survey.work.waiting, now + looksEachMs) ? "steady" : "busy";
}

/** The manager is called each minute. */
const looksEachMs = 60_000;

/** Whether nothing is to be seen before the next call. */
function isSteady({ memory, order }: Step, isWaited: boolean, next: number): boolean {
  const { state, retryAt } = memory;
  if (order !== undefined) return false;
  if (state === "stopped" && !isWaited) return true;
  const pauses = state === "failed" || state === "no_capacity";
  return state === "ready" || (pauses && (retryAt?.getTime() ?? 0) > next);
}

function rulesOf({ settings, times }: Manager): Rules {
  return {
    ...settings,
    times: {
      orderMs: times.podOrderLostMs,
      queueMs: times.podQueueMs,
      loadMs: times.podLoadMs,
      pausesMs: times.podPausesMs,
      noGpuPauseMs: times.podNoGpuMs,
      startMs: times.podStartMs,
      lookMs: times.podTickMs,
    },
  };
}

async function look({ provider, log }: Manager, row: PodRow, rules: Rules, now: number): Promise<Sight> {
  const podId = Machine.current(row, rules);
  if (podId === undefined || Machine.skipsLook(row, now)) return { kind: "skipped" };
  try {
    return { kind: "seen", ...(await provider.look(podId)) };
  } catch (thrown) {
    return troubleOf(thrown, "look", log);
  }
}

function troubleOf(thrown: unknown, verb: string, log: Log): Sight & { kind: "trouble" } {
  if (!(thrown instanceof AppError)) throw thrown;
  const trouble = kindOf(thrown);
  log.warn("pod_trouble", { verb, trouble, message: thrown.message });
  const { retryAfterS } = thrown;
  return {
    kind: "trouble",
    trouble,
    retryAfterMs: retryAfterS === undefined ? undefined : retryAfterS * 1000,
  };
}

/** Whether the model server answers. One that was just loaded gets its first call here. */
async function isServing(manager: Manager, row: PodRow, sight: Sight): Promise<boolean> {
  const { model, times } = manager;
  const address = sight.kind === "seen" ? sight.address : (row.address ?? undefined);
  const mayServe = sight.kind === "seen" ? sight.state === "up" : ["loading", "ready"].includes(row.state);
  if (address === undefined || !mayServe) return false;
  const server = { ...model, baseUrl: address };
  const found = await probe(server, undefined, times.probeTimeoutMs);
  if (!found.ok) return false;
  return row.state === "ready" || (await warmUp(server, times.podWarmUpMs));
}

/** The median: one start that downloads the weights says nothing about the next. */
function usual(starts: readonly number[]): number | undefined {
  return starts.toSorted((a, b) => a - b)[Math.floor((starts.length - 1) / 2)];
}

function commit({ db, provider }: Manager, holder: string, step: Step, now: number) {
  return Store.commit(db, holder, step, { now, provider: provider.name });
}

/** Orders what was stored, and stores what the provider refused. */
async function order(manager: Manager, holder: string, step: Step, seen: Seen): Promise<void> {
  if (step.order === undefined) return;
  const { verb, podId } = step.order;
  manager.log.info("pod_order", { verb, pod_id: podId, reason: step.memory.reason });
  try {
    await manager.provider[verb](podId);
  } catch (thrown) {
    const { trouble } = troubleOf(thrown, verb, manager.log);
    const after = Machine.refused(step, trouble, seen, rulesOf(manager));
    const { stored } = await commit(
      manager,
      holder,
      { ...after, order: undefined, begins: undefined },
      seen.now,
    );
    if (stored) await tell(manager, { ...step.memory }, after);
  }
}

/** Logs what has changed, reports what needs the operator, and lets waiting work go on once the pod is ready. */
async function tell(
  { db, queues, provider, times, log }: Manager,
  before: Pick<PodRow, "state">,
  { memory, alarms, hold }: Step,
): Promise<void> {
  const { state, reason, podId } = memory;
  if (state !== before.state) log.info("pod_state", { from: before.state, to: state, reason, pod_id: podId });
  // Whether a new pod would find a GPU is the operator's next question.
  const new_pod_finds_gpu =
    alarms.includes("no_capacity") && podId !== null ? await provider.capacity?.(podId) : undefined;
  for (const alarm of alarms) {
    log.warn("pod_alarm", { alarm, state, reason, pod_id: podId, new_pod_finds_gpu });
    Metrics.pod(alarm);
  }
  if (hold !== undefined) return;
  Address.note(memory.address);
  if (before.state !== "ready") await Probe.ensure({ db, queues, times }, log);
}
