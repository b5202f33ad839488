/** The functions that are called by a queue or on a schedule. */
import * as Concurrency from "../spec/concurrency.ts";
import type { FunctionName, QueueName } from "../spec/functions.ts";
import { type QueueSpec, queues, type ScheduleSpec, type Subscription, schedules } from "../spec/queues.ts";
import { pascal } from "../spec/settings.ts";
import { functions } from "./functions.ts";
import { pairs } from "./queue-resources.ts";

const named = (name: string) => functions[name as FunctionName].arn;

/** The event source mapping of a queue. */
function subscribe(queue: sst.aws.Queue, subscription: Subscription): void {
  queue.subscribe(named(subscription.function), {
    batch: { size: subscription.batchSize, partialResponses: subscription.partialResponses },
    transform: {
      // The most concurrent invocations, and so the most calls that reach the GPU at once. AWS accepts 2 to 1,000.
      eventSourceMapping: {
        scalingConfig: { maximumConcurrency: Concurrency.mapping(subscription, process.env) },
      },
    },
  });
}

for (const [name, spec] of Object.entries<QueueSpec>(queues)) {
  const { queue, deadLetters } = pairs[name as QueueName];
  subscribe(queue, spec.subscription);
  if (spec.deadLetter !== undefined) subscribe(deadLetters, spec.deadLetter);
}

for (const [name, { function: subscriber, rate, onlyWith }] of Object.entries<ScheduleSpec>(schedules)) {
  if (onlyWith !== undefined && process.env[onlyWith] !== "on") continue;
  new sst.aws.CronV2(`${pascal(name)}Schedule`, {
    function: named(subscriber),
    schedule: rate as `rate(${string})`,
    // The next minute's call does the same work.
    retries: 0,
  });
}
