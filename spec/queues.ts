import { functions, type WorkQueue } from "./functions.ts";
import { visibilityBeyondMs } from "./limits.ts";

/**
 * The queues and who works on them: plain data, read by the SST components and by the local loop. They are five
 * because none may wait for another: planning is one at a time for a run, items as many as the run asks for, single
 * extracts never behind a batch, what comes later needs a delay, which FIFO queues do not have, and what is urgent takes
 * moments where a step of planning or a webhook may take a minute or two.
 */

/** An event source mapping: a function that is called with a queue's messages. */
export interface Subscription {
  /** Name of the function in functions.ts. */
  readonly function: string;
  /** Messages of one call. More than one would hold finished work back until the slowest is done. */
  readonly batchSize: number;
  /** Most calls at a time, 2 to 1,000; what it is by default, and the setting that changes it. */
  readonly maxConcurrency: number;
  readonly maxConcurrencySetting?: string;
  /** `ReportBatchItemFailures`; off means that an answer with failures deletes them. */
  readonly partialResponses: boolean;
}

export interface QueueSpec {
  /** Messages of a group in order, one at a time. */
  readonly fifo: boolean;
  readonly visibilityTimeoutSeconds: number;
  readonly retentionSeconds: number;
  /** Receives after which a message goes to the dead-letter queue; the budget of an item is in its row, not here. */
  readonly maxReceiveCount: number;
  readonly subscription: Subscription;
  /** Of the dead-letter queue, which is of the same kind, with the same visibility and retention. */
  readonly deadLetter: Subscription;
}

const second = 1;
const day = 86_400 * second;

const common = {
  retentionSeconds: 14 * day,
  maxReceiveCount: 100,
} as const;

/**
 * Until the function's first step; after it, it is what that step said: the invocation's remaining time, or a lease that is
 * renewed (limits.ts, `leaseMs`).
 */
const visibilityOf = (name: WorkQueue): number => (functions[name].timeoutMs + visibilityBeyondMs) / 1000;

/** What belongs to a run must not be left lying: the run could never end. */
const buried = { function: "deadLetter", batchSize: 1, maxConcurrency: 2, partialResponses: true } as const;
/** There is no function of this name: these messages wait for an operator (docs/operate.md), with an alarm. */
const left = { ...buried, function: "operator" } as const;

export const queues = {
  // Group = the run: a run has one planner. Plan, finish, delete.
  plan: {
    ...common,
    visibilityTimeoutSeconds: visibilityOf("plan"),
    deadLetter: buried,
    fifo: true,
    subscription: { function: "plan", batchSize: 1, maxConcurrency: 4, partialResponses: true },
  },
  // Group = a slot of a run: as many groups as the run's concurrency. The mapping's maximum is the cap over all runs.
  item: {
    ...common,
    visibilityTimeoutSeconds: visibilityOf("item"),
    deadLetter: buried,
    fifo: true,
    subscription: {
      function: "item",
      batchSize: 1,
      maxConcurrency: 16,
      maxConcurrencySetting: "ITEM_MAX_CONCURRENCY",
      partialResponses: true,
    },
  },
  // Single extracts that were handed over; they never wait behind a batch.
  single: {
    ...common,
    visibilityTimeoutSeconds: visibilityOf("single"),
    deadLetter: left,
    fifo: false,
    subscription: {
      function: "single",
      batchSize: 1,
      maxConcurrency: 4,
      maxConcurrencySetting: "SINGLE_MAX_CONCURRENCY",
      partialResponses: true,
    },
  },
  // What has to happen after a while, or takes long: webhooks, backups. A receiver that does not answer holds a worker for ten
  // seconds, one for each key at a time: as many workers as there are likely to be such keys.
  later: {
    ...common,
    visibilityTimeoutSeconds: visibilityOf("later"),
    deadLetter: left,
    fifo: false,
    subscription: { function: "later", batchSize: 1, maxConcurrency: 16, partialResponses: true },
  },
  // What takes moments and must not wait behind any of these. Group = the run: refill, sweep; or all looks at the model
  // server together.
  urgent: {
    ...common,
    visibilityTimeoutSeconds: visibilityOf("urgent"),
    deadLetter: buried,
    fifo: true,
    subscription: { function: "urgent", batchSize: 1, maxConcurrency: 4, partialResponses: true },
  },
} as const satisfies Record<WorkQueue, QueueSpec>;

export type QueueName = keyof typeof queues;

/**
 * The queues whose function exists: these are deployed, and nobody can send to one where nothing is ever taken.
 * A dead-letter queue needs no function, it has an alarm.
 */
export const worked: Readonly<Record<string, QueueSpec>> = Object.fromEntries(
  Object.entries<QueueSpec>(queues).filter(([, spec]) =>
    Object.hasOwn(functions, spec.subscription.function),
  ),
);

/** The variable in which a function finds a queue's address on the local loop: `PLAN_QUEUE_URL`. */
export function urlVariable(queue: string): string {
  return `${queue.toUpperCase()}_QUEUE_URL`;
}

/**
 * A function that the clock calls; on the local loop never twice at a time, while EventBridge promises at least one call,
 * so that two may meet.
 */
export interface ScheduleSpec {
  readonly function: string;
  /** EventBridge's form: "rate(1 minute)". */
  readonly rate: string;
}

export const schedules = {
  reconcile: { function: "reconcile", rate: "rate(1 minute)" },
} as const satisfies Record<string, ScheduleSpec>;
