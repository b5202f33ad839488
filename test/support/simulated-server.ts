/**
 * A model server and runs on auto, simulated event by event: for the controller's tests and its bench. Each slot of a run
 * asks, waits for its answer, and asks again; a planner looks at the runs as often as the real one does.
 */

import type { Reason } from "#core/run/auto";
import * as Controller from "#core/run/slots/controller";
import { partOf } from "#core/run/slots/division";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Scene {
  seed: number;
  /** How many requests the server works on at a time, by the time in ms; more of them wait in line. */
  knee: (at: number) => number;
  /** Mean time of a call without waiting, and the spread of the times as a part of it. */
  callMs: number;
  spread: number;
  /** True if the server tells how many requests it has. */
  metrics: boolean;
  /** Other clients of the server, each with one request at a time. */
  others?: (at: number) => number;
  runs: readonly { from: number; items: number }[];
  /** The most slots. */
  most: number;
  /** All runs together have this number of slots, instead of the controller's. */
  fixed?: number;
  untilMs: number;
}

/** A picture of a run that was at the server. */
interface Call {
  run: number;
  slot: number;
  from: number;
  to: number;
}

export interface Played {
  calls: Call[];
  /** The slots of each run, each time they were set. */
  set: { at: number; run: number; slots: number; reason: Reason | undefined }[];
  /** How many requests of the runs were at the server at each beginning of one. */
  state: Controller.State | undefined;
}

interface Run {
  left: number;
  slots: number;
  busy: Set<number>;
  calls: number;
  callMs: number;
  sinceLook: number;
  isThere: boolean;
}

export const pauses: Parameters<typeof Controller.next>[2] = {
  ...{ upMs: 30_000, upMostMs: 120_000, downMs: 45_000, downMostMs: 600_000, forgetMs: 1_800_000 },
};
const cronMs = 60_000;
/** Between two calls of a slot: claim, commit, the queue. */
const gapMs = 150;

/** Simulates a scene to its end. */
export function play(scene: Scene): Played {
  return new Play(scene).all();
}

class Play {
  readonly #scene: Scene;
  readonly #random: () => number;
  readonly #events: { at: number; run: () => void }[] = [];
  readonly #line: (() => void)[] = [];
  readonly #runs: Run[];
  readonly #played: Played = { calls: [], set: [], state: undefined };
  #now = 0;
  #active = 0;
  #others = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#random = random(scene.seed);
    const empty = { slots: 0, calls: 0, callMs: 0, sinceLook: 0, isThere: false };
    this.#runs = scene.runs.map(({ items }) => ({ ...empty, left: items, busy: new Set() }));
  }

  all(): Played {
    for (const [i, { from }] of this.#scene.runs.entries())
      this.#at(from, () => {
        (this.#runs[i] as Run).isThere = true;
        this.#look(i);
      });
    const minute = () => {
      for (const i of this.#runs.keys()) this.#look(i);
      this.#ask();
      this.#at(this.#now + cronMs, minute);
    };
    this.#at(cronMs, minute);
    const second = () => {
      this.#ask();
      this.#at(this.#now + 1_000, second);
    };
    this.#at(0, second);
    for (;;) {
      const event = this.#events.shift();
      if (event === undefined || event.at > this.#scene.untilMs) return this.#played;
      this.#now = event.at;
      event.run();
    }
  }

  #at(at: number, run: () => void): void {
    let low = 0;
    for (let high = this.#events.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.at ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, { at, run });
  }

  /** Log-normal, with the scene's mean and spread. */
  #callMs(): number {
    const { callMs, spread } = this.#scene;
    const variance = Math.log(1 + spread * spread);
    const normal = Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
    return callMs * Math.exp(normal * Math.sqrt(variance) - variance / 2);
  }

  /** One request: waits in line, is worked on, and ends. */
  #request(ended: () => void): void {
    const begin = () => {
      this.#active += 1;
      this.#at(this.#now + this.#callMs(), () => {
        this.#active -= 1;
        ended();
        this.#serve();
      });
    };
    this.#line.push(begin);
    this.#serve();
  }

  #serve(): void {
    while (this.#active < this.#scene.knee(this.#now)) {
      const begin = this.#line.shift();
      if (begin === undefined) return;
      begin();
    }
  }

  /** The other clients. */
  #ask(): void {
    while (this.#others < (this.#scene.others?.(this.#now) ?? 0)) {
      this.#others += 1;
      this.#request(() => {
        this.#others -= 1;
        this.#ask();
      });
    }
  }

  #start(i: number): void {
    const run = this.#runs[i] as Run;
    for (let slot = 0; slot < run.slots; slot += 1) {
      if (run.left === 0) return;
      if (run.busy.has(slot)) continue;
      run.busy.add(slot);
      run.left -= 1;
      const from = this.#now;
      this.#request(() => {
        this.#played.calls.push({ run: i, slot, from, to: this.#now });
        run.calls += 1;
        run.callMs += this.#now - from;
        run.sinceLook += 1;
        if (run.sinceLook >= Math.max(8, run.slots)) this.#look(i);
        this.#at(this.#now + gapMs, () => {
          run.busy.delete(slot);
          this.#start(i);
        });
      });
    }
  }

  /** The planner's step of a run. */
  #look(i: number): void {
    const { scene, runs } = { scene: this.#scene, runs: this.#runs };
    const run = runs[i] as Run;
    const going = runs.flatMap((each, n) =>
      each.isThere && each.left > 0 ? [{ runUid: String(n), most: scene.most, left: each.left }] : [],
    );
    if (!run.isThere || run.left === 0) return;
    run.sinceLook = 0;
    const there = runs.filter((each) => each.isThere && each.left > 0);
    const sum = (of: (run: Run) => number) => there.reduce((total, each) => total + of(each), 0);
    const ours = sum(({ busy }) => busy.size);
    const seen: Controller.Seen = {
      ...{ at: this.#now, calls: sum(({ calls }) => calls), callMs: sum(({ callMs }) => callMs) },
      runs: going.map(({ runUid }) => runUid).join(),
      ...{ most: scene.most, left: sum(({ left }) => left) + ours, ours },
      server: scene.metrics ? { running: this.#active, waiting: this.#line.length, kvUsed: 0.2 } : undefined,
    };
    this.#played.state = Controller.next(this.#played.state, seen, pauses);
    const total = scene.fixed ?? this.#played.state.slots;
    const slots = Math.min(scene.most, partOf(String(i), going, total));
    if (slots !== run.slots)
      this.#played.set.push({ at: this.#now, run: i, slots, reason: this.#played.state.reason });
    run.slots = slots;
    this.#start(i);
  }
}

/** Calls a second between two times. */
export function rate({ calls }: Played, from: number, to: number, run?: number): number {
  const ended = calls.filter(
    (call) => call.to > from && call.to <= to && (run === undefined || call.run === run),
  );
  return (ended.length * 1000) / (to - from);
}
