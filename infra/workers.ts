/** Who is called by a queue and who by the clock. */
import * as Concurrency from "../spec/concurrency.ts";
import { type ScheduleSpec, type Subscription, schedules, worked } from "../spec/queues.ts";
import { pascal } from "../spec/settings.ts";
import { functions } from "./functions.ts";
import { pairs } from "./queue-resources.ts";

const named = functions as Record<string, sst.aws.Function>;

/** The event source mapping of a queue. Dead letters may have no function; they wait for an operator, with an alarm. */
function subscribe(queue: sst.aws.Queue, subscription: Subscription): void {
  const subscriber = named[subscription.function];
  if (subscriber === undefined) return;
  queue.subscribe(subscriber.arn, {
    batch: { size: subscription.batchSize, partialResponses: subscription.partialResponses },
    transform: {
      // AWS takes 2 to 1,000. It is the number of invocations, and so what reaches the GPU at once.
      eventSourceMapping: {
        scalingConfig: { maximumConcurrency: Concurrency.mapping(subscription, process.env) },
      },
    },
  });
}

for (const [name, spec] of Object.entries(worked)) {
  const { queue, deadLetters } = pairs[name];
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
