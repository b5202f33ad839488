/*
 * Finds how many pictures the model server reads at once before more of them only wait: the knee of its throughput. One
 * controller serves all runs on auto together; they divide its number (division.ts). It is a pure function: from the
 * state and a new observation it computes the next state.
 *
 * grow    doubles the number as long as the throughput grows with it
 * shrink  halves it as long as the throughput does not fall with it
 * hold    keeps it, and tries at times a third more (up) or a quarter less (down)
 *
 * Two measurements give the knee if the lower one is below it: there each slot brings the same throughput, so the knee
 * is the lower number times the gain. Requests of others at the server are part of both measurements, so they count as
 * load: the run does not try to displace them.
 */

import type { Reason } from "#core/run/auto";
import { batches } from "#spec/limits";

/** A measured throughput. */
interface Level {
  slots: number;
  /** Requests of others at the server, on average. */
  others: number;
  /** Our calls a second. */
  rate: number;
}

/** The state between two checks; stored as JSON. */
export interface State {
  /** The current slots of all runs on auto together. */
  slots: number;
  reason: Reason;
  phase: "grow" | "shrink" | "hold" | "up" | "down";
  /**
   * In `grow`: the level before. In `shrink`: a level that is known to be above the knee. In `up` and `down`: the level
   * that is held.
   */
  base: Level | null;
  /** Grow: the level before `base`, which is below the knee because the throughput grew from there. */
  low: Level | null;
  /** The throughput of the held number, and whether the last measurement was far below it. */
  held: Level | null;
  hasFallen: boolean;
  /** The number of requests at the server, including others', at which it was full; null if not known yet. */
  knee: number | null;
  /** The runs that are measured; a measurement begins anew when they change. */
  runs: string;
  /** The counters at the beginning of the measurement; null until the last change has taken effect. */
  from: Counters | null;
  /** The counters at the last change, and how many calls must end before its effect is seen. */
  changed: Counters & { settle: number };
  /** Requests of others, summed over `looks` checks. */
  others: { sum: number; looks: number };
  /**
   * Consecutive checks at which too many requests waited at the server, the fewest waiting ones, and the calls at the
   * last check.
   */
  waiting: Waiting;
  /** When the next probes are due, and how long the pauses before them are. */
  up: Probe;
  down: Probe;
}

interface Waiting {
  looks: number;
  least: number;
  calls: number;
}

interface Probe {
  at: number;
  pauseMs: number;
}

/** Sums over the runs on auto. */
interface Counters {
  at: number;
  /** Calls to the model that ended, and their time. */
  calls: number;
  callMs: number;
}

/** What the planner sees. */
export interface Seen extends Counters {
  /** The names of the runs and their epochs. */
  runs: string;
  /** The most slots, by the setting and the platform. */
  most: number;
  /** Pictures of these runs that have not ended; too few cannot use all slots. */
  left: number;
  /** Pictures of these runs that workers have. */
  ours: number;
  /** The model server's own metrics; undefined if it has none. */
  server: { running: number; waiting: number; kvUsed: number } | undefined;
}

interface Pauses {
  /**
   * The pauses before a probe of more slots, and of fewer. Each pause doubles, up to its maximum, as long as probes
   * find nothing. A probe of fewer slots costs throughput, and a falling knee is noticed without it.
   */
  upMs: number;
  upMostMs: number;
  downMs: number;
  downMostMs: number;
  /** What was learned longer ago is forgotten. */
  forgetMs: number;
}

/** The least calls of a measurement, in all and for each slot. Its error is about the spread of the calls ÷ √calls. */
const leastCalls = 24;
const callsPerSlot = 3;
/** The calls of a measurement while the number grows: an error of a third would end the growth too early. */
const firstCalls = 32;
/**
 * Shares of the gain that each slot would bring if no request waited: from `linear` on there is room for more, below
 * `worthwhile` there is none.
 */
const linear = 0.6;
const worthwhile = 0.3;
/** A throughput that changed by a smaller factor counts as unchanged. */
const same = 1.08;
/** One slot too many costs nothing, one too few costs its throughput, so the number is increased by this factor. */
const margin = 1.08;
const kvFull = 0.95;

/** The state before anything was measured. */
function first(seen: Seen, pauses: Pauses): State {
  const slots = Math.min(batches.firstSlots, seen.most);
  return {
    ...{
      slots,
      reason: "start",
      phase: "grow",
      base: null,
      low: null,
      held: null,
      hasFallen: false,
      knee: null,
    },
    ...{ runs: seen.runs, from: null, changed: changedAt(seen, slots), others: { sum: 0, looks: 0 } },
    ...{ waiting: noneWaits, ...soon(seen, pauses) },
  };
}

const soon = ({ at }: Seen, { upMs, downMs }: Pauses) => ({
  up: { at: at + upMs, pauseMs: upMs },
  down: { at: at + downMs, pauseMs: downMs },
});

const changedAt = ({ at, calls, callMs }: Counters, settle: number) => ({ at, calls, callMs, settle });

/**
 * One check of the runs and the server. The number changes only when a measurement is complete, when requests wait at
 * the server at two consecutive checks, when the load of others changes, and when `most` falls.
 */
export function next(before: State | undefined, seen: Seen, pauses: Pauses): State {
  if (before === undefined || seen.at - lastAt(before) > pauses.forgetMs) return first(seen, pauses);
  if (before.slots > seen.most) return to(before, seen, { slots: seen.most, phase: "hold", reason: "limit" });
  const state = looked(before, seen);
  if (before.runs !== seen.runs || seen.left < 2 * state.slots)
    return { ...state, runs: seen.runs, from: null, changed: changedAt(seen, state.slots), ...noOthers };
  const told = atOnce(state, seen, pauses);
  if (told !== undefined) return told;
  if (state.from === null) {
    const isSettled = seen.calls - state.changed.calls >= state.changed.settle;
    const { at, calls, callMs } = seen;
    return isSettled ? { ...state, from: { at, calls, callMs }, ...noOthers } : state;
  }
  const calls = seen.calls - state.from.calls;
  const ms = seen.at - state.from.at;
  if (ms <= 0 || calls < callsOf(state)) return state;
  const { sum, looks } = state.others;
  const level = { slots: state.slots, others: looks === 0 ? 0 : sum / looks, rate: (calls * 1000) / ms };
  return measured(state, seen, level, pauses);
}

/** A probe of more slots may take long: it costs nothing, and the gain of one slot is small. */
function callsOf({ phase, slots }: State): number {
  const calls = Math.max(leastCalls, callsPerSlot * slots);
  return phase === "up" ? 1.5 * calls : phase === "grow" ? Math.max(firstCalls, calls) : calls;
}

const noneWaits: Waiting = { looks: 0, least: 0, calls: 0 };
const noOthers = { others: { sum: 0, looks: 0 } };
const lastAt = ({ from, changed }: State) => Math.max(from?.at ?? 0, changed.at);

/** Adds the server's own metrics. */
function looked(state: State, { server, ours, calls }: Seen): State {
  if (server === undefined) return { ...state, waiting: noneWaits };
  const { running, waiting, kvUsed } = server;
  const others = Math.max(0, running + waiting - ours);
  // A few that wait keep the server busy while the others are between two calls.
  const tooMany = Math.max(0, waiting - Math.max(1, Math.floor(state.slots * (margin - 1))));
  const stuck = kvUsed >= kvFull ? Math.max(tooMany, Math.ceil(state.slots / 10)) : tooMany;
  return {
    ...state,
    others: { sum: state.others.sum + others, looks: state.others.looks + 1 },
    waiting: waitingOf(state, stuck, calls),
  };
}

/** The planners of two runs may check at almost the same time; that counts as one check. */
function waitingOf({ waiting, slots }: State, stuck: number, calls: number): Waiting {
  if (stuck === 0) return noneWaits;
  if (waiting.looks === 0) return { looks: 1, least: stuck, calls };
  if (calls - waiting.calls < slots / 2) return waiting;
  return { looks: waiting.looks + 1, least: Math.min(waiting.least, stuck), calls };
}

/** Changes that need no measurement, because the server's metrics show the reason. */
function atOnce(state: State, seen: Seen, pauses: Pauses): State | undefined {
  if (state.from === null || seen.server === undefined) return undefined;
  const others = state.others.sum / state.others.looks;
  if (state.waiting.looks >= 2 && state.slots > 1) {
    const ours = Math.ceil((state.waiting.least * state.slots) / (state.slots + others));
    const slots = Math.max(1, state.slots - Math.min(ours, Math.ceil(state.slots / 2)));
    // The number was a probe of more slots; without a pause it would soon be repeated.
    if (state.phase === "up" && state.base !== null) {
      const found = back(state, seen, state.base, pauses);
      return slots <= found.slots ? found : { ...found, slots, knee: slots + others, held: null };
    }
    return to(state, seen, { slots, phase: "hold", reason: "server_full", knee: slots + others, held: null });
  }
  if (state.phase !== "hold" || state.knee === null || state.others.looks < 2) return undefined;
  const room = within(state.knee - others, seen);
  if (Math.abs(room - state.slots) < Math.max(1, 0.15 * state.slots)) return undefined;
  return to(state, seen, {
    slots: room,
    phase: "hold",
    reason: others >= 0.5 ? "others" : "knee",
    held: null,
  });
}

const within = (slots: number, { most }: Seen) => Math.max(1, Math.min(most, Math.round(slots)));

/** All requests at the server, and its total throughput, assuming that a request of others gets as much as ours. */
const demand = ({ slots, others }: Level) => slots + others;
const served = (level: Level) => (level.rate * demand(level)) / level.slots;
/** The gain from one level to a higher one, as a part of the gain if nothing waited. */
const gainOf = (low: Level, high: Level) => served(high) / served(low);
const part = (low: Level, high: Level) => (gainOf(low, high) - 1) / (demand(high) / demand(low) - 1);
const kneeOf = (low: Level, high: Level) => demand(low) * gainOf(low, high);

type Change = Partial<State> & { slots: number };

/** The state with another number, or the same for another measurement. */
function to(state: State, seen: Seen, change: Change): State {
  const isSame = change.slots === state.slots;
  return {
    ...state,
    ...change,
    ...{ runs: seen.runs, from: null, ...noOthers, hasFallen: change.hasFallen ?? false, waiting: noneWaits },
    // The calls under way at the change say nothing about what follows.
    changed: changedAt(seen, isSame ? 0 : Math.max(change.slots, state.slots)),
  };
}

/** Decides what follows from a complete measurement. */
function measured(state: State, seen: Seen, level: Level, pauses: Pauses): State {
  const { phase, base } = state;
  if (phase === "hold") return hold(state, seen, level);
  if (phase === "grow") return grown(state, seen, level, pauses);
  // Cannot happen: these phases have a base.
  if (base === null) return hold(state, seen, level);
  if (phase === "up") return up(state, seen, { base, level }, pauses);
  if (phase === "down") return down(state, seen, { base, level }, pauses);
  if (gainOf(level, base) < same && level.slots > 1) return shrink(state, seen, level.slots, level);
  return settle(state, seen, { knee: Math.max(kneeOf(level, base), demand(level)), level }, pauses);
}

function grown(state: State, seen: Seen, level: Level, pauses: Pauses): State {
  const { base, low } = state;
  if (base === null || demand(level) <= demand(base) || part(base, level) >= linear)
    return grow(state, seen, level);
  if (gainOf(base, level) >= same) return settle(state, seen, { knee: kneeOf(base, level), level }, pauses);
  // `base` was above the knee already.
  if (low === null) return shrink(state, seen, base.slots, level);
  return settle(state, seen, { knee: Math.min(kneeOf(low, base), demand(base)), level }, pauses);
}

function grow(state: State, seen: Seen, level: Level): State {
  const slots = Math.min(seen.most, 2 * level.slots);
  if (slots > level.slots)
    return to(state, seen, { slots, phase: "grow", reason: "growing", base: level, low: state.base });
  return to(state, seen, { slots, phase: "hold", reason: "limit", ...nothing, held: level, knee: null });
}

const nothing = { base: null, low: null, held: null };

function shrink(state: State, seen: Seen, from: number, top: Level): State {
  const slots = Math.max(1, Math.floor(from / 2));
  return to(state, seen, { slots, phase: "shrink", reason: "probing", base: top, low: null });
}

interface Found {
  /** Requests at the server. */
  knee: number;
  /** The last measurement. */
  level: Level;
}

/** Holds the knee that was found. */
function settle(state: State, seen: Seen, { knee, level }: Found, pauses: Pauses): State {
  const slots = within(knee * margin - level.others, seen);
  const reason = heldBy({ slots, others: level.others }, seen);
  return to(state, seen, {
    ...{ slots, phase: "hold", reason, ...nothing, knee: knee * margin },
    ...soon(seen, pauses),
  });
}

const heldBy = ({ slots, others }: Omit<Level, "rate">, { most }: Seen): Reason =>
  slots >= most ? "limit" : others >= 0.5 ? "others" : "knee";

function hold(state: State, seen: Seen, level: Level): State {
  const { held } = state;
  const change = held === null ? 1 : served(level) / served(held);
  const { slots } = level;
  if (change < 0.75) {
    // By chance, about one measurement in a hundred is this far off.
    if (!state.hasFallen && change > 0.5) return to(state, seen, { slots, hasFallen: true });
    return { ...shrink(state, seen, slots, level), reason: "rate_fell" };
  }
  const now = { ...level, rate: held === null ? level.rate : (held.rate + level.rate) / 2 };
  if (slots < seen.most && (seen.at >= state.up.at || change > 1.33)) {
    const more = Math.min(seen.most, slots + Math.ceil(slots / 3));
    return to(state, seen, { slots: more, phase: "up", reason: "probing", base: now });
  }
  if (slots > 1 && seen.at >= state.down.at) {
    const fewer = slots - Math.max(1, Math.floor(slots / 4));
    return to(state, seen, { slots: fewer, phase: "down", reason: "probing", base: now });
  }
  return to(state, seen, { slots, held: now });
}

interface Tried {
  base: Level;
  level: Level;
}

function up(state: State, seen: Seen, { base, level }: Tried, pauses: Pauses): State {
  const gained = part(base, level);
  if (gained >= linear) return grow({ ...state, base }, seen, level);
  if (gained >= worthwhile) return settle(state, seen, { knee: kneeOf(base, level), level }, pauses);
  return back(state, seen, base, pauses);
}

function down(state: State, seen: Seen, { base, level }: Tried, pauses: Pauses): State {
  const gain = gainOf(level, base);
  const knee = gain < same ? demand(level) / margin : kneeOf(level, base);
  const slots = within(knee * margin - level.others, seen);
  if (slots >= base.slots) return back(state, seen, base, pauses);
  return settle(state, seen, { knee, level }, pauses);
}

/** Back to the held number after a probe that found nothing; the next one of its kind comes later. */
function back(state: State, seen: Seen, base: Level, pauses: Pauses): State {
  const slots = Math.min(base.slots, seen.most);
  const isUp = state.phase === "up";
  const { pauseMs } = isUp ? state.up : state.down;
  const later = Math.min(isUp ? pauses.upMostMs : pauses.downMostMs, 2 * pauseMs);
  const probe = { at: seen.at + later, pauseMs: later };
  return to(state, seen, {
    ...{ slots, phase: "hold", reason: heldBy(base, seen), ...nothing, held: base },
    ...(isUp ? { up: probe } : { down: probe }),
  });
}
