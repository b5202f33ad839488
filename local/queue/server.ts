/**
 * The queues of the local loop: fauxqs's SQS, persistent in a folder. Two of its traps are dealt with here: it
 * listens on every interface unless it is stopped from that, and creating a queue that exists empties it.
 * Two remain for whoever uses it: never set a visibility of 0 (it loses the message), and the deduplication of
 * FIFO messages is forgotten at a restart.
 */
import * as diagnostics from "node:diagnostics_channel";
import { type QueueAttributeName, SetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { type FauxqsServer, startFauxqs } from "fauxqs";
import type { QueueSpec } from "#infra/queues";

export interface QueueServerOptions {
  /** Holds the messages; made when missing. One process at a time. */
  readonly dir: string;
  readonly queues: Readonly<Record<string, Omit<QueueSpec, "subscription" | "deadLetter">>>;
  /** Visibility is multiplied by it and rounded up to whole seconds, which is what SQS knows. */
  readonly timeScale: number;
  readonly region: string;
  readonly port?: number;
}

export interface Queue {
  readonly url: string;
  readonly arn: string;
}

export interface QueueCounts {
  readonly ready: number;
  readonly delayed: number;
  readonly inFlight: number;
}

export interface QueueServer {
  /** For `AWS_ENDPOINT_URL_SQS`. */
  readonly url: string;
  readonly queues: Readonly<Record<string, Queue & { readonly deadLetter: Queue }>>;
  readonly client: SQSClient;
  /** How many messages a queue holds, by its address. */
  counts(url: string): QueueCounts;
  close(): Promise<void>;
}

const account = "000000000000";

/** Starts the emulator and brings its queues to the given attributes; messages of an earlier run are kept. */
export async function start(options: QueueServerOptions): Promise<QueueServer> {
  const { region, timeScale } = options;
  const server = await onLoopback(() =>
    startFauxqs({ port: options.port ?? 0, logger: false, dataDir: options.dir, defaultRegion: region }),
  );
  const url = `http://127.0.0.1:${server.port}`;
  const client = new SQSClient({
    endpoint: url,
    region,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    // Long polls hold connections, and must not keep a delete waiting.
    requestHandler: { httpAgent: { maxSockets: 1_000, keepAlive: true } },
  });
  const at = (name: string): Queue => ({
    url: `${url}/${account}/${name}`,
    arn: `arn:aws:sqs:${region}:${account}:${name}`,
  });
  const queues: Record<string, Queue & { deadLetter: Queue }> = {};
  for (const [name, spec] of Object.entries(options.queues)) {
    const suffix = spec.fifo ? ".fifo" : "";
    const deadLetter = `ocrlty-${name}-dead${suffix}`;
    const attributes = {
      VisibilityTimeout: String(Math.max(1, Math.ceil(spec.visibilityTimeoutSeconds * timeScale))),
      MessageRetentionPeriod: String(spec.retentionSeconds),
    };
    await put(server, client, at(deadLetter), spec.fifo, attributes);
    const RedrivePolicy = JSON.stringify({
      deadLetterTargetArn: at(deadLetter).arn,
      maxReceiveCount: spec.maxReceiveCount,
    });
    await put(server, client, at(`ocrlty-${name}${suffix}`), spec.fifo, { ...attributes, RedrivePolicy });
    queues[name] = { ...at(`ocrlty-${name}${suffix}`), deadLetter: at(deadLetter) };
  }
  return {
    url,
    queues,
    client,
    counts: (queueUrl) => {
      const found = server.inspectQueue(nameOf(queueUrl));
      const { ready = [], delayed = [], inflight = [] } = found?.messages ?? {};
      return { ready: ready.length, delayed: delayed.length, inFlight: inflight.length };
    },
    close: async () => {
      client.destroy();
      await server.stop();
    },
  };
}

async function put(
  server: FauxqsServer,
  client: SQSClient,
  { url }: Queue,
  fifo: boolean,
  attributes: Partial<Record<QueueAttributeName, string>>,
): Promise<void> {
  const name = nameOf(url);
  if (server.inspectQueue(name) === undefined) {
    // With the product's own deduplication ids; throughput per group, as a run's slots need it.
    const kind = fifo
      ? {
          FifoQueue: "true",
          ContentBasedDeduplication: "false",
          DeduplicationScope: "messageGroup",
          FifoThroughputLimit: "perMessageGroupId",
        }
      : {};
    server.createQueue(name, { attributes: { ...kind, ...attributes } });
    return;
  }
  await client.send(new SetQueueAttributesCommand({ QueueUrl: url, Attributes: attributes }));
}

function nameOf(url: string): string {
  return url.slice(url.lastIndexOf("/") + 1);
}

/** Runs `listen` and turns its 0.0.0.0 into 127.0.0.1: messages are nobody's business on the network. */
async function onLoopback<T>(listen: () => Promise<T>): Promise<T> {
  const channel = diagnostics.channel("tracing:net.server.listen:asyncStart");
  const rewrite = (message: unknown) => {
    const { options } = message as { options: { host?: string } };
    if (options.host === "0.0.0.0") options.host = "127.0.0.1";
  };
  channel.subscribe(rewrite);
  try {
    return await listen();
  } finally {
    channel.unsubscribe(rewrite);
  }
}
