import * as Machine from "#core/pod/machine";
import type { Trouble } from "#core/pod/provider";
import type { Rules } from "#core/pod/rules";
import type { Seen, Sight, Step } from "#core/pod/step";

/*
 * A world around the pure machine: pods at a provider, a model server in them, and work that comes in bursts. Time is a
 * number. A step is stored as store.ts stores it: not if what it excludes came up since it looked.
 */

const second = 1_000;
const minute = 60 * second;

export const rules = (podIds: string[], more: Partial<Rules> = {}): Rules => ({
  ...{ idleStopMs: 15 * minute, maxHoursPerDay: undefined, maxDollarsPerDay: undefined, keepWarm: undefined },
  podIds,
  times: {
    ...{ orderMs: 2 * minute, queueMs: 30 * second, loadMs: 45 * minute, noGpuPauseMs: 5 * minute },
    ...{ pausesMs: [2 * minute, 5 * minute, 15 * minute], startMs: 5 * minute, lookMs: 10 * second },
  },
  ...more,
});

interface Span {
  from: number;
  to: number;
}

export interface Facts {
  random: () => number;
  pods: string[];
  startMs: () => number;
  loadMs: () => number;
  lagMs: () => number;
  /** Whether an order to start is refused for want of a GPU. */
  refuses: (pod: string) => boolean;
  /** Whether the answer to an order is lost although the order is taken. */
  loses: () => boolean;
  /** Whether the pod dies within the next seconds. */
  dies: () => boolean;
  provider: { away: Span[]; slow: Span[] };
  bursts: { at: number; items: number; itemMs: number }[];
  tickMs: () => number;
}

export interface Outcome {
  asked: number;
  done: number;
  starts: number;
  stops: number;
  refusals: number;
  deaths: number;
  /** Steps that were not stored, because work came in between. */
  races: number;
  faults: string[];
  upMs: number;
  allowedMs: number;
}

interface Pod {
  state: "down" | "starting" | "up";
  upAt: number;
  servesAt: number;
  /** The provider's status says so late that it was started. */
  shownAt: number;
}

/** Simulates until all work is done and every pod is down, for three days at most. */
export function simulate(facts: Facts): Outcome {
  return new World(facts).run();
}

class World {
  readonly #facts: Facts;
  readonly #rules: Rules;
  readonly #pods: Map<string, Pod>;
  readonly #outcome: Outcome = {
    ...{ asked: 0, done: 0, starts: 0, stops: 0, refusals: 0, deaths: 0, races: 0 },
    ...{ faults: [], upMs: 0, allowedMs: 0 },
  };
  #now = Date.UTC(2026, 10, 20);
  readonly #began = this.#now;
  #memory = Machine.initial(this.#now);
  #isOpen = false;
  #waiting: number[] = [];
  #flying: { endsAt: number; itemMs: number; pod: string }[] = [];
  #calls = 0;
  #nextTick = 0;
  #awayMs = 0;
  #startsOfOutage = 0;

  constructor(facts: Facts) {
    this.#facts = facts;
    this.#rules = rules(facts.pods);
    this.#pods = new Map(facts.pods.map((id) => [id, { state: "down", upAt: 0, servesAt: 0, shownAt: 0 }]));
  }

  run(): Outcome {
    const bursts = this.#facts.bursts.toSorted((a, b) => a.at - b.at);
    const stepMs = 5 * second;
    for (; this.#now - this.#began < 3 * 24 * 60 * minute; this.#now += stepMs) {
      const at = this.#now - this.#began;
      for (let burst = bursts[0]; burst !== undefined && burst.at <= at; burst = bursts[0]) {
        bursts.shift();
        this.#arrive(burst.items, burst.itemMs);
      }
      this.#work();
      if (this.#isAway()) this.#awayMs += stepMs;
      if (at >= this.#nextTick) {
        this.#tick();
        this.#nextTick = at + this.#facts.tickMs();
      }
      for (const pod of this.#pods.values()) if (pod.state !== "down") this.#outcome.upMs += stepMs;
      const isOver = bursts.length === 0 && this.#waiting.length + this.#flying.length === 0;
      if (isOver && [...this.#pods.values()].every(({ state }) => state === "down")) break;
      if (this.#waiting.length + this.#flying.length > 0) this.#outcome.allowedMs += stepMs;
    }
    // A burst, and work that came in a race, is followed by at most one gap, whose end is seen up to two looks late. While the provider is away nothing can be
    // stopped.
    const gapMs = this.#rules.idleStopMs + 2 * minute;
    const gaps = this.#facts.bursts.length + this.#outcome.races;
    this.#outcome.allowedMs += gaps * gapMs + this.#awayMs;
    return this.#outcome;
  }

  #arrive(items: number, itemMs: number): void {
    this.#outcome.asked += items;
    for (let i = 0; i < items; i += 1) this.#waiting.push(itemMs);
  }

  #isWithin = (spans: Span[]) => {
    const at = this.#now - this.#began;
    return spans.some(({ from, to }) => at >= from && at < to);
  };
  #isAway = () => this.#isWithin(this.#facts.provider.away);

  #work(): void {
    for (const [id, pod] of this.#pods) {
      if (pod.state === "starting" && this.#now >= pod.upAt) pod.state = "up";
      if (pod.state !== "down" && this.#facts.dies()) {
        this.#outcome.deaths += 1;
        this.#down(id, pod);
      }
    }
    const ended = this.#flying.filter(({ endsAt }) => endsAt <= this.#now);
    this.#flying = this.#flying.filter(({ endsAt }) => endsAt > this.#now);
    this.#outcome.done += ended.length;
    this.#calls += ended.length;
    this.#claim();
  }

  /** Four items at a time, while the breaker lets them: a claim sees what was stored last. */
  #claim(): void {
    const pod = this.#pods.get(this.#memory.podId ?? "");
    if (!this.#isOpen || pod?.state !== "up" || this.#now < pod.servesAt) return;
    while (this.#flying.length < 4) {
      const itemMs = this.#waiting.shift();
      if (itemMs === undefined) return;
      this.#flying.push({ endsAt: this.#now + itemMs, itemMs, pod: this.#memory.podId ?? "" });
    }
  }

  /** What was in flight waits again, at no cost. */
  #down(id: string, pod: Pod): void {
    pod.state = "down";
    this.#waiting.push(...this.#flying.filter((one) => one.pod === id).map(({ itemMs }) => itemMs));
    this.#flying = this.#flying.filter((one) => one.pod !== id);
    this.#startsOfOutage = 0;
  }

  #tick(): void {
    const step = Machine.step(this.#memory, this.#see(), this.#rules);
    // Work that comes between the look and the write.
    if (step.order?.verb === "stop" && this.#facts.random() < 0.05) {
      this.#arrive(1, 10 * second);
      this.#claim();
    }
    const isBusy = this.#flying.length > 0 || (step.unless === "any_work" && this.#waiting.length > 0);
    if (step.unless !== undefined && isBusy) {
      this.#outcome.races += 1;
      return;
    }
    this.#store(step);
    if (step.order === undefined) return;
    const trouble = this.#order(step.order);
    if (trouble !== undefined) this.#store(Machine.refused(step, trouble, this.#see(), this.#rules));
  }

  #store({ memory, hold }: Step): void {
    this.#memory = memory;
    this.#isOpen = hold === undefined;
    if (memory.state === "ready") this.#startsOfOutage = 0;
  }

  #see(): Seen {
    const id = Machine.current(this.#memory, this.#rules) ?? "";
    const pod = this.#pods.get(id);
    return {
      now: this.#now,
      sight: this.#sight(id),
      serves: pod?.state === "up" && this.#now >= pod.servesAt,
      work: { inFlight: this.#flying.length > 0, waiting: this.#waiting.length > 0, calls: this.#calls },
      spent: { hours: 0, dollars: 0 },
      startMs: 5 * minute,
    };
  }

  #sight(id: string): Sight {
    if (Machine.skipsLook(this.#memory, this.#now)) return { kind: "skipped" };
    const trouble = this.#trouble();
    if (trouble !== undefined) return { kind: "trouble", trouble, retryAfterMs: undefined };
    const pod = this.#pods.get(id);
    const state = pod === undefined || this.#now < pod.shownAt ? "down" : pod.state;
    return { kind: "seen", state, address: `http://${id}`, ratePerHour: 0.4, since: undefined };
  }

  #trouble(): Trouble | undefined {
    if (this.#isAway()) return "provider_away";
    return this.#isWithin(this.#facts.provider.slow) ? "slow_down" : undefined;
  }

  #order({ verb, podId }: { verb: "start" | "stop"; podId: string }): Trouble | undefined {
    const trouble = this.#trouble();
    const pod = this.#pods.get(podId);
    if (trouble !== undefined || pod === undefined) return trouble;
    if (verb === "stop") {
      if (this.#flying.some((one) => one.pod === podId))
        this.#outcome.faults.push(`stopped ${podId} with work in flight`);
      this.#outcome.stops += pod.state === "down" ? 0 : 1;
      this.#down(podId, pod);
    } else {
      if (this.#facts.refuses(podId)) {
        this.#outcome.refusals += 1;
        return "no_gpu";
      }
      if (pod.state !== "down") this.#outcome.faults.push(`started ${podId}, which is ${pod.state}`);
      this.#startsOfOutage += 1;
      if (this.#startsOfOutage > 1)
        this.#outcome.faults.push(`started ${this.#startsOfOutage} times in one outage`);
      this.#outcome.starts += 1;
      const upAt = this.#now + this.#facts.startMs();
      Object.assign(pod, {
        state: "starting",
        upAt,
        servesAt: upAt + this.#facts.loadMs(),
        shownAt: this.#now + this.#facts.lagMs(),
      });
    }
    return this.#facts.loses() ? "provider_away" : undefined;
  }
}
