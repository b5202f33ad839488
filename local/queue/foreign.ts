import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type QueueAttributeName,
  SetQueueAttributesCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { ConfigError } from "#core/config";
import type { Env } from "#local/home/home";
import type { Queue, QueueServer, QueueServerOptions } from "#local/queue/server";

interface ForeignOptions extends Pick<QueueServerOptions, "queues" | "timeScale" | "region"> {
  /** `AWS_ENDPOINT_URL_SQS`. */
  readonly endpoint: string;
  readonly credentials: Credentials;
}

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * The credentials that sign requests to the server, for functions and mappings alike; most such servers do not check
 * them.
 */
export const credentialsOf = (env: Env, otherwise: string): Credentials => ({
  accessKeyId: env.AWS_ACCESS_KEY_ID || otherwise,
  secretAccessKey: env.AWS_SECRET_ACCESS_KEY || otherwise,
});

/** The same as the SDK asks for them. */
export const environmentOf = ({ accessKeyId, secretAccessKey }: Credentials) => ({
  AWS_ACCESS_KEY_ID: accessKeyId,
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
});

type Attributes = Partial<Record<QueueAttributeName, string>>;

const timeoutMs = 10_000;

/**
 * Queues on another server (ElasticMQ, moto, LocalStack): missing ones are made; existing ones get the given attributes
 * and keep their messages. Throws ConfigError if the server does not answer.
 */
export async function connect(options: ForeignOptions): Promise<Omit<QueueServer, "counts">> {
  const { endpoint, credentials, region, timeScale } = options;
  const client = new SQSClient({
    endpoint,
    region,
    credentials,
    maxAttempts: 3,
    // Long polls hold connections, and must not keep a delete waiting.
    requestHandler: { httpAgent: { maxSockets: 1_000, keepAlive: true } },
  });
  const queues: Record<string, Queue & { deadLetter: Queue }> = {};
  try {
    for (const [name, spec] of Object.entries(options.queues)) {
      const suffix = spec.fifo ? ".fifo" : "";
      const attributes: Attributes = {
        VisibilityTimeout: String(Math.max(1, Math.ceil(spec.visibilityTimeoutSeconds * timeScale))),
        MessageRetentionPeriod: String(spec.retentionSeconds),
      };
      const deadLetter = await put(client, `ocrlty-${name}-dead${suffix}`, spec.fifo, attributes);
      const RedrivePolicy = JSON.stringify({
        deadLetterTargetArn: deadLetter.arn,
        maxReceiveCount: spec.maxReceiveCount,
      });
      const queue = await put(client, `ocrlty-${name}${suffix}`, spec.fifo, { ...attributes, RedrivePolicy });
      queues[name] = { ...queue, deadLetter };
    }
  } catch (cause) {
    client.destroy();
    const error = cause instanceof Error ? cause.name : "unknown";
    throw new ConfigError(
      ["AWS_ENDPOINT_URL_SQS"],
      `the queues at AWS_ENDPOINT_URL_SQS cannot be made (${error})`,
    );
  }
  return { url: endpoint, queues, client, close: async () => client.destroy() };
}

async function put(client: SQSClient, name: string, fifo: boolean, attributes: Attributes): Promise<Queue> {
  const limit = { abortSignal: AbortSignal.timeout(timeoutMs) };
  const known = await client.send(new GetQueueUrlCommand({ QueueName: name }), limit).catch(() => undefined);
  let url = known?.QueueUrl;
  if (url === undefined) {
    const kind: Attributes = fifo
      ? {
          FifoQueue: "true",
          ContentBasedDeduplication: "false",
          DeduplicationScope: "messageGroup",
          FifoThroughputLimit: "perMessageGroupId",
        }
      : {};
    const Attributes = { ...kind, ...attributes };
    url = (await client.send(new CreateQueueCommand({ QueueName: name, Attributes }), limit)).QueueUrl;
  } else {
    await client.send(new SetQueueAttributesCommand({ QueueUrl: url, Attributes: attributes }), limit);
  }
  const { Attributes: found } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["QueueArn"] }),
    limit,
  );
  return { url: url ?? "", arn: found?.QueueArn ?? "" };
}
