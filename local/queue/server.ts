/**
 * The queues of the local loop: fauxqs's SQS, persistent in a folder. Two of its traps are dealt with here: it listens
 * on every interface unless prevented, and creating an existing queue empties it. Two remain for its users: never set a
 * visibility of 0 (it loses the message), and a restart forgets the deduplication of FIFO messages.
 */
import * as diagnostics from "node:diagnostics_channel";
import { once } from "node:events";
import * as http from "node:http";
import { DatabaseSync } from "node:sqlite";
import { type QueueAttributeName, SetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { type FauxqsServer, startFauxqs } from "fauxqs";
import * as Manners from "#local/queue/manners";
import type { QueueRight } from "#spec/access";
import type { QueueSpec } from "#spec/queues";

export interface QueueServerOptions {
  /** Holds the messages; made when missing. One process at a time. */
  readonly dir: string;
  readonly queues: Readonly<Record<string, Omit<QueueSpec, "subscription" | "deadLetter">>>;
  /** Visibilities are multiplied by it and rounded up to whole seconds, as SQS requires. */
  readonly timeScale: number;
  readonly region: string;
  readonly port?: number;
  readonly onRequest?: Hook | undefined;
  /** The function that has an access key, with its rights; undefined if everything is allowed. */
  readonly rightsOf?: (accessKeyId: string) => Role | undefined;
  readonly onDenied?: (denied: Denied) => void;
}

/** A function, and its rights as spec/access.ts derives them. */
export interface Role {
  readonly functionName: string;
  readonly rights: readonly QueueRight[];
}

interface Denied {
  readonly functionName: string;
  /** IAM's name: `sqs:SendMessage`. */
  readonly action: string;
  /** The local name: `ocrlty-item.fifo`. */
  readonly queue: string;
}

/** A request to the queues. */
interface RequestInfo {
  /** As AWS calls it: `SendMessageBatch`. */
  readonly action: string;
  /** Sent by a function, and not by a mapping or another caller. */
  readonly byFunction: boolean;
}

/**
 * Called before a request is carried out, so that a test or a benchmark can count, delay or fail requests: an error
 * thrown here is answered with 503 and nothing is done.
 */
export type Hook = (request: RequestInfo) => void | Promise<void>;

export interface Queue {
  readonly url: string;
  readonly arn: string;
}

interface QueueCounts {
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
  const { region } = options;
  const queues: Record<string, Queue & { deadLetter: Queue }> = {};
  await Manners.teach();
  const server = await onLoopback(
    () =>
      unsynced(() =>
        startFauxqs({
          port: options.port ?? 0,
          logger: false,
          dataDir: options.dir,
          defaultRegion: region,
        }),
      ),
    (server) => guard(server, options, queues),
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
  await putAll(server, client, { at, queues, options });
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

/** Creates each queue after its dead letter queue, and adds both to `queues`. */
async function putAll(
  server: FauxqsServer,
  client: SQSClient,
  to: {
    at: (name: string) => Queue;
    queues: Record<string, Queue & { deadLetter: Queue }>;
    options: QueueServerOptions;
  },
): Promise<void> {
  const { at, queues, options } = to;
  for (const [name, spec] of Object.entries(options.queues)) {
    const suffix = spec.fifo ? ".fifo" : "";
    const deadLetter = `ocrlty-${name}-dead${suffix}`;
    const attributes = {
      VisibilityTimeout: String(Math.max(1, Math.ceil(spec.visibilityTimeoutSeconds * options.timeScale))),
      MessageRetentionPeriod: String(spec.retentionSeconds),
    };
    await put(server, client, { ...at(deadLetter), fifo: spec.fifo }, attributes);
    const RedrivePolicy = JSON.stringify({
      deadLetterTargetArn: at(deadLetter).arn,
      maxReceiveCount: spec.maxReceiveCount,
    });
    await put(
      server,
      client,
      { ...at(`ocrlty-${name}${suffix}`), fifo: spec.fifo },
      { ...attributes, RedrivePolicy },
    );
    queues[name] = { ...at(`ocrlty-${name}${suffix}`), deadLetter: at(deadLetter) };
  }
}

async function put(
  server: FauxqsServer,
  client: SQSClient,
  { url, fifo }: Queue & { fifo: boolean },
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

/** Runs `listen` and replaces its 0.0.0.0 with 127.0.0.1: messages must not be readable from the network. */
async function onLoopback<T>(listen: () => Promise<T>, seen: (server: http.Server) => void): Promise<T> {
  const channel = diagnostics.channel("tracing:net.server.listen:asyncStart");
  const rewrite = (message: unknown) => {
    const { options, server } = message as { options: { host?: string }; server: unknown };
    if (options.host !== "0.0.0.0") return;
    options.host = "127.0.0.1";
    if (server instanceof http.Server) seen(server);
  };
  channel.subscribe(rewrite);
  try {
    return await listen();
  } finally {
    channel.unsubscribe(rewrite);
  }
}

type Queues = QueueServer["queues"];

/** Puts the hook, and what IAM would refuse, in front of what the server answers with. */
function guard(
  server: http.Server,
  { onRequest, rightsOf, onDenied }: QueueServerOptions,
  queues: Queues,
): void {
  const listeners = server.listeners("request") as http.RequestListener[];
  server.removeAllListeners("request");
  server.on("request", async (request, response) => {
    const { "x-amz-target": target = "", "user-agent": agent = "", authorization = "" } = request.headers;
    // Every call of the SDK under Lambda contains this mark.
    const info = {
      action: String(target).replace("AmazonSQS.", ""),
      byFunction: agent.includes("AWS_Lambda_"),
    };
    try {
      await onRequest?.(info);
      const role = rightsOf?.(/Credential=([^/]+)/.exec(authorization)?.[1] ?? "");
      const denied = role && refusal(role, info.action, await peek(request), queues);
      if (denied !== undefined) {
        onDenied?.(denied);
        deny(response, denied);
        return;
      }
    } catch {
      request.resume();
      response.writeHead(503).end();
      return;
    }
    for (const listener of listeners) listener.call(server, request, response);
  });
}

/** Why IAM would refuse a request, or undefined. Requests in batches are one action with those of one message. */
function refusal(role: Role, action: string, body: Buffer, queues: Queues): Denied | undefined {
  const { QueueUrl: url = "" } = JSON.parse(body.toString()) as { QueueUrl?: string };
  const wanted = `sqs:${action.replace(/Batch$/, "")}`;
  const allowed = role.rights.some(
    ({ actions, on }) =>
      actions.includes(wanted) &&
      on.some(({ queue, deadLetters }) => {
        const found = queues[queue];
        return nameOf((deadLetters ? found?.deadLetter.url : found?.url) ?? "-") === nameOf(url);
      }),
  );
  return allowed ? undefined : { functionName: role.functionName, action: wanted, queue: nameOf(url) };
}

/** A request's body, which stays there to be read by others. */
async function peek(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let missing = Number(request.headers["content-length"] ?? 0); missing > 0; ) {
    const chunk = request.read() as Buffer | null;
    if (chunk === null) {
      await once(request, "readable");
      continue;
    }
    chunks.push(chunk);
    missing -= chunk.length;
  }
  const body = Buffer.concat(chunks);
  // Before the `end` event, which is not emitted while data is left to read.
  if (body.length > 0) request.unshift(body);
  return body;
}

/** In the words of SQS. */
function deny(response: http.ServerResponse, { functionName, action, queue }: Denied): void {
  const body = JSON.stringify({
    __type: "com.amazon.coral.service#AccessDeniedException",
    Message: `User: ${functionName} is not authorized to perform: ${action.toLowerCase()} on resource: ${queue}`,
  });
  response.writeHead(403, { "content-type": "application/x-amz-json-1.0" }).end(body);
}

const wal = "PRAGMA journal_mode = WAL";

/**
 * Opens the emulator's database so that it does not wait for the disk at every message: each wait blocks the whole loop
 * for several milliseconds, five times per item. As with the loop's SQL server, answered requests survive a kill -9;
 * only a power cut can lose the last messages. The emulator has no setting for this. Its database is opened before
 * `open` first awaits, so no other database is affected.
 */
function unsynced<T>(open: () => T): T {
  const { exec } = DatabaseSync.prototype;
  DatabaseSync.prototype.exec = function (sql) {
    exec.call(this, sql === wal ? `${wal}; PRAGMA synchronous = NORMAL` : sql);
  };
  try {
    return open();
  } finally {
    DatabaseSync.prototype.exec = exec;
  }
}
