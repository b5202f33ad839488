import { isWithin } from "#core/daily-window";
import { draining, holdOf, isOverBudget, leavesBudget } from "./hold.ts";
import type { Look, Trouble } from "./provider.ts";
import type { Rules } from "./rules.ts";
import type { Alarm, Memory, Seen, Step } from "./step.ts";

/*
 * When the pod is started and stopped, as a pure function: from the stored memory and an observation it computes the
 * new memory, orders and reports. manager.ts observes, stores and orders. docs/gpu.md, "A pod that runs only while work
 * waits", has the states.
 */

/** After this long without an answer of the provider's API it is reported. */
const awayMs = 10 * 60_000;

/** Failures after which the provider is not asked again before the pause is over. */
const quiet: readonly (string | null)[] = ["key_refused", "slow_down", "pod_gone"];

/** The memory before the first step. */
export function initial(now: number): Memory {
  return {
    ...{ state: "stopped", since: new Date(now), podId: null, chosenId: null, wanted: "auto" },
    ...{ startAskedAt: null, address: null, ratePerHour: null, sessionId: null, orderedAt: null },
    ...{ idleSince: null, callsSeen: 0, failures: 0, refusals: 0 },
    ...{ retryAt: null, awaySince: null, reason: null },
  };
}

/** The pods in order: the operator's choice, then those of the settings. */
function candidates({ chosenId }: Pick<Memory, "chosenId">, { podIds }: Pick<Rules, "podIds">) {
  return [...new Set([...(chosenId === null ? [] : [chosenId]), ...podIds])];
}

/** The pod to look at; undefined if none is named. */
export function current(memory: Memory, rules: Rules): string | undefined {
  const ids = candidates(memory, rules);
  // The next start begins with the first, which the operator may have changed.
  if (memory.state === "stopped" && memory.refusals + memory.failures === 0) return ids[0];
  return memory.podId !== null && ids.includes(memory.podId) ? memory.podId : ids[0];
}

/** Whether the provider is left alone now, after it refused the key or asked for a pause. */
export function skipsLook({ reason, retryAt }: Pick<Memory, "reason" | "retryAt">, now: number): boolean {
  return quiet.includes(reason) && (retryAt?.getTime() ?? 0) > now;
}

/** Computes the next step from an observation. */
export function step(before: Memory, seen: Seen, rules: Rules): Step {
  const turn = new Turn(before, seen, rules);
  turn.take();
  return turn.result();
}

/** Computes the next step after the provider did not accept an order. */
export function refused(
  { order, memory }: Pick<Step, "order" | "memory">,
  trouble: Trouble,
  seen: Seen,
  rules: Rules,
): Step {
  const turn = new Turn(memory, seen, rules);
  if (order?.verb === "start") turn.startRefused(trouble);
  else turn.stopRefused(trouble);
  return turn.result();
}

/** One step. Its methods change the memory, and note what else is to be done. */
class Turn {
  #memory: Memory;
  readonly #seen: Seen;
  readonly #rules: Rules;
  readonly #ids: string[];
  #noted: Pick<Step, "order" | "begins" | "ends" | "unless"> = {
    ...{ order: undefined, begins: undefined, ends: undefined, unless: undefined },
  };
  readonly #alarms = new Set<Alarm>();

  constructor(before: Memory, seen: Seen, rules: Rules) {
    this.#memory = { ...before, podId: current(before, rules) ?? null };
    this.#seen = seen;
    this.#rules = rules;
    this.#ids = candidates(before, rules);
  }

  take(): void {
    const { sight, now, serves } = this.#seen;
    this.#watchWork();
    if (sight.kind === "seen") this.#look(sight);
    else {
      if (sight.kind === "trouble") this.#trouble(sight.trouble, sight.retryAfterMs);
      // The model server can be seen without the provider.
      if (this.#memory.state === "loading" && serves) this.#ready();
      if (now - (this.#memory.awaySince?.getTime() ?? now) > awayMs) this.#alarms.add("provider");
    }
    this.#watchBudget();
    this.#watchIdle();
  }

  result(): Step {
    const memory = this.#memory;
    if (memory.state === "failed") this.#alarms.add("failed");
    if (memory.state === "no_capacity") this.#alarms.add("no_capacity");
    const hold = holdOf(memory, this.#seen, this.#rules);
    return { ...this.#noted, memory, hold, alarms: [...this.#alarms] };
  }

  startRefused(trouble: Trouble): void {
    // Whether the order was taken is not known: the next looks show it.
    if (trouble === "provider_away") return;
    this.#noted.ends = trouble;
    if (trouble === "no_gpu") this.#noGpu(trouble);
    else if (trouble === "slow_down")
      this.#patch({ state: "stopped", reason: trouble, retryAt: this.#in(60_000) });
    else this.#fail(trouble);
  }

  stopRefused(trouble: Trouble): void {
    if (trouble === "pod_gone") {
      this.#noted.ends = trouble;
      this.#fail(trouble);
    } else if (trouble === "order_refused" || trouble === "key_refused") {
      // It is still up. `#whileStopping` orders it again, or gives it back to work.
      this.#alarms.add("orphan");
    }
  }

  #patch(change: Partial<Memory>): void {
    const moves = change.state !== undefined && change.state !== this.#memory.state;
    const since = moves ? { since: new Date(this.#seen.now) } : {};
    this.#memory = { ...this.#memory, ...since, ...change };
  }

  #in(ms: number): Date {
    return new Date(this.#seen.now + ms);
  }

  #isDown(): boolean {
    return ["stopped", "failed", "no_capacity"].includes(this.#memory.state);
  }

  #trouble(trouble: Trouble, retryAfterMs: number | undefined): void {
    if (trouble === "slow_down") this.#patch({ reason: trouble, retryAt: this.#in(retryAfterMs ?? 60_000) });
    else if (trouble === "key_refused") {
      this.#alarms.add("provider");
      // A pod that serves goes on serving.
      if (this.#isDown()) this.#fail(trouble);
      else this.#patch({ reason: trouble, retryAt: this.#in(this.#pause(1)) });
    } else if (trouble === "pod_gone") {
      if (!this.#isDown()) this.#noted.ends = trouble;
      this.#fail(trouble);
    } else this.#patch({ awaySince: this.#memory.awaySince ?? this.#in(0) });
  }

  #look(look: Look): void {
    const { reason, state } = this.#memory;
    const { ratePerHour, address = null } = look;
    this.#patch({ awaySince: null, ratePerHour: ratePerHour ?? this.#memory.ratePerHour, address });
    if (quiet.includes(reason)) {
      this.#patch({ reason: null, retryAt: null });
      if (state === "failed") this.#patch({ state: "stopped", failures: 0 });
    }
    if (this.#isDown()) this.#whileDown(look);
    else if (state === "starting") this.#whileStarting(look);
    else if (state === "stopping") this.#whileStopping(look);
    else this.#whileUp(look);
  }

  #whileDown(look: Look): void {
    const { now } = this.#seen;
    if (this.#memory.reason === "budget") this.#patch({ reason: null });
    if (look.state === "broken" && this.#memory.state !== "failed") this.#fail("pod_broken");
    else if (look.state === "up" || look.state === "starting" || look.state === "queued") {
      // Another program started it, or an order that seemed lost was carried out.
      this.#noted.begins = { startedAt: look.since ?? new Date(now), ratePerHour: look.ratePerHour };
      const state = look.state === "up" ? "loading" : "starting";
      this.#patch({ state, orderedAt: null, reason: "adopted" });
    } else if (look.state === "down" || look.state === "broken") {
      const mayTry = now >= (this.#memory.retryAt?.getTime() ?? 0);
      if (this.#wants() && mayTry && leavesBudget(this.#memory, this.#seen, this.#rules)) this.#start();
    }
  }

  #start(): void {
    const { podId, refusals, failures } = this.#memory;
    // Each outage begins with the first pod. After a refusal `podId` is the next one.
    const next = refusals === 0 && failures === 0 ? this.#ids[0] : (podId ?? this.#ids[0]);
    if (next === undefined) return;
    const now = this.#in(0);
    this.#noted.order = { verb: "start", podId: next };
    this.#noted.begins = { startedAt: now, ratePerHour: undefined };
    // Price and address of another pod.
    const other = next === podId ? {} : { ratePerHour: null, address: null };
    this.#patch({ state: "starting", podId: next, orderedAt: now, reason: null, retryAt: null, ...other });
  }

  #whileStarting(look: Look): void {
    const { orderedAt, since, reason, refusals } = this.#memory;
    const waited = this.#seen.now - (orderedAt ?? since).getTime();
    const { orderMs, queueMs, loadMs } = this.#rules.times;
    if (look.state === "up") {
      this.#patch({ state: "loading" });
      this.#whileUp(look);
    } else if (look.state === "queued") {
      // The order is withdrawn; otherwise the pod could start at any later time.
      if (waited > queueMs) this.#stop("no_gpu");
    } else if (look.state === "broken") this.#stop("pod_broken");
    else if (look.state === "down" && waited > orderMs) {
      this.#noted.ends = "not_started";
      if (reason === "adopted") this.#patch({ state: "stopped", reason: null });
      // The order was accepted twice without effect. This happens if RunPod has no GPU and does not report it.
      else if (refusals % 2 === 1) this.#noGpu("start_without_effect");
      else this.#patch({ state: "stopped", reason: "start_without_effect", refusals: refusals + 1 });
    } else if (waited > loadMs) this.#stop("load_timeout");
  }

  #whileUp(look: Look): void {
    const { now, serves } = this.#seen;
    const { state, since } = this.#memory;
    if (draining.includes(this.#memory.reason)) this.#patch({ reason: null });
    if (look.state === "down" || look.state === "stopping") {
      this.#noted.ends = "went_down";
      if (state === "ready") this.#patch({ state: "stopped", reason: "went_down" });
      else this.#fail("went_down");
    } else if (look.state === "broken") this.#drain("pod_broken");
    else if (this.#memory.wanted === "off") this.#drain("operator");
    else if (state === "ready") {
      if (!serves) this.#patch({ state: "loading", idleSince: null });
    } else if (serves) this.#ready();
    else if (now - since.getTime() > this.#rules.times.loadMs) this.#drain("load_timeout");
  }

  #ready(): void {
    const isNew = this.#memory.startAskedAt !== null || this.#memory.idleSince === null;
    this.#patch({
      ...{ state: "ready", reason: null, failures: 0, refusals: 0, startAskedAt: null },
      ...(isNew && !this.#hasWork() ? { idleSince: this.#in(0) } : {}),
    });
  }

  #whileStopping(look: Look): void {
    const { reason, orderedAt } = this.#memory;
    const isBad = reason === "load_timeout" || reason === "pod_broken";
    if (look.state === "down") {
      this.#noted.ends = reason ?? "idle";
      if (reason === "no_gpu") this.#noGpu(reason);
      else if (isBad) this.#fail(reason);
      else this.#patch({ state: "stopped", podId: this.#ids[0] ?? null });
      return;
    }
    if (this.#seen.now - (orderedAt?.getTime() ?? 0) <= this.#rules.times.orderMs) return;
    // The order was refused or lost. Work that came meanwhile may use the pod.
    const isUseful = look.state === "up" && !isBad && this.#wants();
    if (isUseful && !isOverBudget(this.#seen, this.#rules)) this.#patch({ state: "loading", reason: null });
    else this.#stop(reason ?? "idle");
  }

  #stop(reason: string): void {
    const { podId } = this.#memory;
    if (podId === null) return;
    this.#noted.order = { verb: "stop", podId };
    this.#patch({ state: "stopping", reason, orderedAt: this.#in(0), idleSince: null });
  }

  /** No new work is begun, and the pod is stopped when what is in flight has ended. */
  #drain(reason: (typeof draining)[number] & string): void {
    if (this.#seen.work.inFlight) this.#patch({ reason });
    else {
      this.#noted.unless = "in_flight";
      this.#stop(reason);
    }
  }

  #fail(reason: string): void {
    const failures = this.#memory.failures + 1;
    const rounds = failures / this.#ids.length;
    // The next pod is tried at once; when all have failed, after a pause.
    const pauseMs = Number.isInteger(rounds) ? this.#pause(rounds) : 0;
    const retryAt = this.#in(pauseMs);
    this.#patch({ state: "failed", reason, failures, retryAt, address: null, podId: this.#nextPod() });
  }

  #noGpu(reason: string): void {
    const refusals = this.#memory.refusals + 1;
    const each = reason === "start_without_effect" ? 2 : 1;
    const isLast = refusals % (this.#ids.length * each) === 0;
    const retryAt = this.#in(isLast ? this.#rules.times.noGpuPauseMs : 0);
    this.#patch({ state: "no_capacity", reason, refusals, retryAt, address: null, podId: this.#nextPod() });
  }

  #nextPod(): string | null {
    const at = this.#ids.indexOf(this.#memory.podId ?? "");
    return this.#ids[(at + 1) % this.#ids.length] ?? null;
  }

  #pause(failures: number): number {
    const { pausesMs } = this.#rules.times;
    return pausesMs[Math.min(failures, pausesMs.length) - 1] ?? 0;
  }

  #hasWork(): boolean {
    return this.#seen.work.inFlight || this.#seen.work.waiting;
  }

  #isWarm(): boolean {
    const { keepWarm } = this.#rules;
    return keepWarm !== undefined && isWithin(keepWarm, this.#in(0));
  }

  #wants(): boolean {
    if (this.#memory.wanted === "off") return false;
    return this.#hasWork() || this.#isWarm() || this.#memory.startAskedAt !== null;
  }

  #watchWork(): void {
    const { work } = this.#seen;
    const { callsSeen, idleSince } = this.#memory;
    if (this.#hasWork()) this.#patch({ idleSince: null });
    // The second condition notices work that came and ended between two steps.
    else if (idleSince === null || work.calls !== callsSeen) this.#patch({ idleSince: this.#in(0) });
    this.#patch({ callsSeen: work.calls });
  }

  #watchBudget(): void {
    const { state } = this.#memory;
    if (state === "loading" || state === "ready") {
      if (!isOverBudget(this.#seen, this.#rules)) return;
      this.#alarms.add("budget");
      this.#drain("budget");
    } else if (this.#isDown() && !leavesBudget(this.#memory, this.#seen, this.#rules)) {
      if (this.#wants()) this.#alarms.add("budget");
      if (state === "stopped") this.#patch({ reason: "budget" });
    }
  }

  #watchIdle(): void {
    const { now, sight } = this.#seen;
    const { state, idleSince } = this.#memory;
    if (state !== "ready" || idleSince === null || this.#isWarm()) return;
    const idleMs = now - idleSince.getTime();
    if (idleMs >= 2 * this.#rules.idleStopMs) this.#alarms.add("orphan");
    // A stop is ordered only of a pod that was just seen.
    if (idleMs < this.#rules.idleStopMs || sight.kind !== "seen") return;
    this.#noted.unless = "any_work";
    this.#stop("idle");
  }
}
