import type { Hold } from "#core/breaker/breaker.sql";
import type { PodRow } from "./pod.sql.ts";
import type { Look, Trouble } from "./provider.ts";

/* The input and output of a step of the manager (machine.ts). */

/** The memory between two steps. */
export type Memory = Omit<PodRow, "name" | "lookedAt" | "holder" | "stamp" | "leaseUntil">;

/** The work that needs the model server. */
export interface Work {
  /** A worker has it: it may be at the model server now. */
  inFlight: boolean;
  /** It waits for a worker, or for the model server. */
  waiting: boolean;
  /** All model calls that were counted so far; it may start again at 0. */
  calls: number;
}

/** What is known about the pod now; `skipped`: it was not checked, because of an earlier failure. */
export type Sight =
  | ({ kind: "seen" } & Look)
  | { kind: "trouble"; trouble: Trouble; retryAfterMs: number | undefined }
  | { kind: "skipped" };

export interface Seen {
  now: number;
  sight: Sight;
  /** Whether the model server answers at the pod's address. */
  serves: boolean;
  work: Work;
  /** Of the current UTC day, with the open session until now. */
  spent: { hours: number; dollars: number };
  /** How long a start takes, from past ones. */
  startMs: number;
}

/**
 * `failed`: a start came to nothing, or the pod cannot be used. `orphan`: it is up without work for twice the idle time, or
 * cannot be stopped. `provider`: the provider refuses the key, or has not answered for long.
 */
export type Alarm = "failed" | "no_capacity" | "orphan" | "budget" | "provider";

interface Order {
  verb: "start" | "stop";
  podId: string;
}

export interface Step {
  memory: Memory;
  order: Order | undefined;
  /** The session that begins, and why the present one ends. */
  begins: { startedAt: Date; ratePerHour: number | undefined } | undefined;
  ends: string | undefined;
  hold: Hold | undefined;
  alarms: Alarm[];
  /** A condition that must not hold when the step is stored; otherwise the step is dropped. */
  unless: "in_flight" | "any_work" | undefined;
}
