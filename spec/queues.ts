import { type FunctionName, functions, type QueueName } from "./functions.ts";

/**
 * The queues and the functions that consume them: plain data, read by the SST components and by the local loop. There
 * are five, so that no work waits behind longer work: planning takes one message at a time per run, items run as many
 * at once as the run asks for, single extracts never wait behind a batch, later work needs a delay, which FIFO queues
 * do not have, and urgent work takes moments, while a step of planning or of a backup may take minutes.
 */

/** An event source mapping: the function that is called with a queue's messages. */
export interface Subscription {
  /** Name of the function in functions.ts. */
  readonly function: string;
  /** Messages per call. With more than one, finished messages would wait for the slowest. */
  readonly batchSize: number;
  /** The most concurrent calls, 2 to 1,000: the default, and the setting that changes it. */
  readonly maxConcurrency: number;
  readonly maxConcurrencySetting?: string;
  /** `ReportBatchItemFailures`; when off, an answer with failures deletes the failed messages. */
  readonly partialResponses: boolean;
}

export interface QueueSpec {
  /** Messages of a group are delivered in order, one at a time. */
  readonly fifo: boolean;
  readonly visibilityTimeoutSeconds: number;
  readonly retentionSeconds: number;
  /** Receives after which a message goes to the dead-letter queue; the attempts of an item are counted in its row. */
  readonly maxReceiveCount: number;
  readonly subscription: Subscription;
  /**
   * The subscription of the dead-letter queue, which has the same kind, visibility and retention. Without one, its
   * messages wait for an operator (docs/operate.md). An alarm is raised in either case.
   */
  readonly deadLetter?: Subscription;
}

/** A queue of this product: its functions are in functions.ts. */
interface ProductQueueSpec extends QueueSpec {
  readonly subscription: Subscription & { readonly function: FunctionName };
  readonly deadLetter?: Subscription & { readonly function: FunctionName };
}

/** The functions that are called with a queue's messages and with its dead letters. */
export function subscriptionsOf({ subscription, deadLetter }: QueueSpec): readonly Subscription[] {
  return deadLetter === undefined ? [subscription] : [subscription, deadLetter];
}

const second = 1;
const day = 86_400 * second;

const common = {
  retentionSeconds: 14 * day,
  maxReceiveCount: 100,
} as const;

/**
 * A received message is invisible for its function's timeout and this much longer, until the function's first step sets
 * its own time: a worker that dies before that step delays the message, and everything behind it in its group, by this
 * much. AWS refuses less than the timeout, and recommends six times the timeout so that a mapping can repeat throttled
 * calls. That is not needed here: a message that returns early is received again, and its row is still held
 * (docs/operate.md, "What a kill costs").
 */
const visibilityBeyondMs = 30_000;

/**
 * Applies until the function's first step, which sets the visibility to the invocation's remaining time or to a lease
 * that it renews (limits.ts, `leaseMs`).
 */
const visibilityOf = (name: QueueName): number => (functions[name].timeoutMs + visibilityBeyondMs) / 1000;

/** Dead letters of runs have a function, because a run whose message is lost could not end. */
const buried = { function: "deadLetter", batchSize: 1, maxConcurrency: 2, partialResponses: true } as const;

export const queues = {
  // Group = the run, so a run has one planner at a time. Orders: plan, finish, delete.
  plan: {
    ...common,
    visibilityTimeoutSeconds: visibilityOf("plan"),
    deadLetter: buried,
    fifo: true,
    subscription: { function: "plan", batchSize: 1, maxConcurrency: 4, partialResponses: true },
  },
  // Group = a slot of a run: as many groups as the run's concurrency. The mapping's maximum is the limit for all runs
  // together.
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
    fifo: false,
    subscription: {
      function: "single",
      batchSize: 1,
      maxConcurrency: 4,
      maxConcurrencySetting: "SINGLE_MAX_CONCURRENCY",
      partialResponses: true,
    },
  },
  // Work that is delayed or takes long: webhooks, backups, evaluations. A receiver that does not answer occupies a
  // worker for ten seconds, one worker per key at a time; the maximum leaves room for fifteen such keys.
  later: {
    ...common,
    visibilityTimeoutSeconds: visibilityOf("later"),
    fifo: false,
    subscription: { function: "later", batchSize: 1, maxConcurrency: 16, partialResponses: true },
  },
  // Work that takes moments and must not wait behind the other queues. Group = the run (refill, sweep), or one group for
  // all probes of the model server.
  urgent: {
    ...common,
    visibilityTimeoutSeconds: visibilityOf("urgent"),
    deadLetter: buried,
    fifo: true,
    subscription: { function: "urgent", batchSize: 1, maxConcurrency: 4, partialResponses: true },
  },
} as const satisfies Record<QueueName, ProductQueueSpec>;

/** The variable that holds a queue's address on the local loop: `PLAN_QUEUE_URL`. */
export function urlVariable(queue: string): string {
  return `${queue.toUpperCase()}_QUEUE_URL`;
}

/**
 * A function that is called on a schedule. The local loop never runs two calls at a time; EventBridge guarantees at
 * least one call, so two may overlap.
 */
export interface ScheduleSpec {
  readonly function: string;
  /** As EventBridge writes it: "rate(1 minute)". */
  readonly rate: string;
  /** It exists only where this setting is `on`. */
  readonly onlyWith?: "POD_MANAGER";
}

export const schedules = {
  reconcile: { function: "reconcile", rate: "rate(1 minute)" },
  pod: { function: "pod", rate: "rate(1 minute)", onlyWith: "POD_MANAGER" },
} as const satisfies Record<string, ScheduleSpec & { readonly function: FunctionName }>;
