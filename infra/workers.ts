/** Who is called by a queue and who by the clock. */
import { functions } from "./functions.ts";
import { pairs } from "./queue-resources.ts";
import { type QueueSpec, queues, type ScheduleSpec, type Subscription, schedules } from "./queues.ts";
import { pascal } from "./settings.ts";

const named = functions as Record<string, sst.aws.Function>;

/** The event source mapping of a queue. A table may name a function that is not there yet; then nobody works on the queue. */
function subscribe(queue: sst.aws.Queue, subscription: Subscription): void {
  const subscriber = named[subscription.function];
  if (subscriber === undefined) return;
  const setting = subscription.maxConcurrencySetting;
  const wanted = Number((setting && process.env[setting]) || subscription.maxConcurrency);
  queue.subscribe(subscriber.arn, {
    batch: { size: subscription.batchSize, partialResponses: subscription.partialResponses },
    transform: {
      // AWS takes 2 to 1,000. It is the number of invocations, and so what reaches the GPU at once.
      eventSourceMapping: { scalingConfig: { maximumConcurrency: wanted } },
    },
  });
}

for (const [name, spec] of Object.entries<QueueSpec>(queues)) {
  const { queue, deadLetters } = pairs[name as keyof typeof pairs];
  subscribe(queue, spec.subscription);
  subscribe(deadLetters, spec.deadLetter);
}

for (const [name, { function: subscriber, rate }] of Object.entries<ScheduleSpec>(schedules)) {
  const called = named[subscriber];
  if (called === undefined) continue;
  new sst.aws.CronV2(`${pascal(name)}Schedule`, {
    function: called.arn,
    schedule: rate as `rate(${string})`,
    // The next minute repeats it anyway.
    retries: 0,
  });
}
