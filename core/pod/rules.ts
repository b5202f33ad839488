import type { Window } from "#core/daily-window";
import { dayMs, dayOf } from "./spent.ts";

/* The operator's limits for the manager (settings `POD_…`), and its times. */

export interface Rules {
  idleStopMs: number;
  /** Undefined: no ceiling. Both ceilings are for a UTC day. */
  maxHoursPerDay: number | undefined;
  maxDollarsPerDay: number | undefined;
  keepWarm: Window | undefined;
  /** The pods in the order in which they are tried. */
  podIds: readonly string[];
  times: Times;
}

interface Times {
  /** An order that has no effect for this long was lost. */
  orderMs: number;
  /** A pod that was ordered to start and has no GPU for this long counts as refused. */
  queueMs: number;
  /** A pod whose model server does not serve after this long is broken. */
  loadMs: number;
  /** Pauses after failed starts. */
  pausesMs: readonly number[];
  /** Pause after the provider refused every pod for want of a GPU. */
  noGpuPauseMs: number;
  /** The expected duration of a start before any was measured. */
  startMs: number;
  /** How often the manager looks when nothing is going on. */
  lookMs: number;
}

/** The beginning of the UTC day after this one, in epoch milliseconds. */
export function nextDay(now: number): number {
  return dayOf(now) + dayMs;
}
