/** The queues of spec/queues.ts, each with its dead-letter queue. */
import type { QueueName } from "../spec/functions.ts";
import { type QueueSpec, queues } from "../spec/queues.ts";
import { pascal } from "../spec/settings.ts";

interface QueuePair {
  readonly queue: sst.aws.Queue;
  readonly deadLetters: sst.aws.Queue;
}

function make(name: string, spec: QueueSpec): QueuePair {
  const common = {
    fifo: spec.fifo,
    visibilityTimeout: `${spec.visibilityTimeoutSeconds} seconds` as const,
    transform: {
      queue: {
        messageRetentionSeconds: spec.retentionSeconds,
        sqsManagedSseEnabled: true,
        // High-throughput mode: the limit applies to each group, and a group is a slot of a run, or a run.
        ...(spec.fifo
          ? { deduplicationScope: "messageGroup", fifoThroughputLimit: "perMessageGroupId" }
          : {}),
      },
    },
  };
  const deadLetters = new sst.aws.Queue(`${pascal(name)}DeadLetters`, common);
  const queue = new sst.aws.Queue(`${pascal(name)}Queue`, {
    ...common,
    dlq: { queue: deadLetters.arn, retry: spec.maxReceiveCount },
  });
  return { queue, deadLetters };
}

/** Every queue by its name in spec/queues.ts. */
export const pairs = Object.fromEntries(
  Object.entries(queues).map(([name, spec]) => [name, make(name, spec)]),
) as Readonly<Record<QueueName, QueuePair>>;
