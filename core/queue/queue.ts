import type { SendMessageBatchRequestEntry } from "@aws-sdk/client-sqs";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as SdkError from "#core/sdk-error";
import * as Limits from "#spec/limits";
import * as Client from "./client.ts";

/** The standard queues. */
type Standard = "single" | "later";
/** The FIFO queues of batches. */
type Fifo = "plan" | "item" | "urgent";
export type Name = Standard | Fifo;

/**
 * A message of a FIFO queue. One message of a group is worked on at a time, and one of a `deduplicationId` is
 * accepted within five minutes.
 */
export interface FifoMessage {
  body: unknown;
  group: string;
  deduplicationId: string;
}

/** The addresses of the queues, and the client. On Lambda the function's own role signs. */
export interface Queues {
  client: Client.Client;
  urls: Config.Queues;
  timeoutMs: number;
}

let shared: Queues | undefined;

/** The client of this instance, made on first use from the configuration. */
export function connect(): Queues {
  shared ??= {
    client: Client.open({ maxAttempts: 3 }),
    urls: Config.queues(),
    timeoutMs: Limits.times(Config.app().timeScale).queueTimeoutMs,
  };
  return shared;
}

/**
 * Sends one message. SQS delays it by `delayMs`, in whole seconds, at most 15 minutes.
 * @throws AppError `storage_unavailable` if the queue does not accept it.
 */
export async function send(
  queues: Queues,
  name: Standard,
  body: unknown,
  options: { delayMs?: number } = {},
): Promise<void> {
  await guard(async (abortSignal) => {
    await queues.client.send(
      "SendMessage",
      {
        QueueUrl: queues.urls[name],
        MessageBody: JSON.stringify(body),
        ...(options.delayMs === undefined ? {} : { DelaySeconds: wholeSeconds(options.delayMs) }),
      },
      { abortSignal },
    );
  }, queues.timeoutMs);
}

/**
 * Sends many messages, ten at a time. SQS reports failed entries inside an HTTP 200, so each answer is read.
 * @returns the indexes of the accepted ones; the caller sends the others again.
 */
export async function sendAll(
  queues: Queues,
  name: Standard,
  bodies: readonly unknown[],
  log: Log,
): Promise<Set<number>> {
  return sendEntries(
    queues,
    name,
    bodies.map((body, i) => ({ Id: String(i), MessageBody: JSON.stringify(body) })),
    log,
  );
}

/**
 * The same for a FIFO queue. Within a group the order of `messages` is kept. @throws AppError `storage_unavailable`.
 */
export async function sendFifo(
  queues: Queues,
  name: Fifo,
  messages: readonly FifoMessage[],
  log: Log,
): Promise<Set<number>> {
  return sendEntries(
    queues,
    name,
    messages.map(({ body, group, deduplicationId }, i) => ({
      Id: String(i),
      MessageBody: JSON.stringify(body),
      MessageGroupId: group,
      MessageDeduplicationId: deduplicationId,
    })),
    log,
  );
}

const entriesMost = 10;

async function sendEntries(
  queues: Queues,
  name: Name,
  entries: (SendMessageBatchRequestEntry & { MessageBody: string })[],
  log: Log,
): Promise<Set<number>> {
  const taken = new Set<number>();
  for (let at = 0; at < entries.length; ) {
    const next: typeof entries = [];
    let bytes = 0;
    for (const entry of entries.slice(at, at + entriesMost)) {
      bytes += Buffer.byteLength(entry.MessageBody);
      if (next.length > 0 && bytes > Limits.platform.sqsMessageBytes) break;
      next.push(entry);
    }
    at += next.length;
    await guard(async (abortSignal) => {
      const answer = await queues.client.send(
        "SendMessageBatch",
        { QueueUrl: queues.urls[name], Entries: next },
        { abortSignal },
      );
      for (const entry of answer.Successful ?? []) taken.add(Number(entry.Id));
      if ((answer.Failed ?? []).length > 0)
        log.warn("sqs_send_failed", { queue: name, failed: answer.Failed?.length });
    }, queues.timeoutMs);
  }
  return taken;
}

/**
 * Sets how long a received message stays invisible from now on, so that a dead worker costs two minutes and not the
 * queue's five and a half. Never 0.
 * @throws AppError `storage_unavailable`.
 */
export async function holdFor(queues: Queues, name: Name, receiptHandle: string, ms: number): Promise<void> {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  await guard(async (abortSignal) => {
    await queues.client.send(
      "ChangeMessageVisibility",
      {
        QueueUrl: queues.urls[name],
        ReceiptHandle: receiptHandle,
        VisibilityTimeout: seconds,
      },
      { abortSignal },
    );
  }, queues.timeoutMs);
}

/** How many messages a queue holds. SQS's counts are approximate. */
export interface Counts {
  visible: number;
  /** Received by a worker, which may have died. */
  inFlight: number;
  delayed: number;
}

/** Reads the counts. @throws AppError `storage_unavailable`. */
export async function counts(queues: Queues, name: Name): Promise<Counts> {
  const { Attributes = {} } = await guard(
    (abortSignal) =>
      queues.client.send(
        "GetQueueAttributes",
        {
          QueueUrl: queues.urls[name],
          AttributeNames: [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
          ],
        },
        { abortSignal },
      ),
    queues.timeoutMs,
  );
  return {
    visible: Number(Attributes.ApproximateNumberOfMessages ?? 0),
    inFlight: Number(Attributes.ApproximateNumberOfMessagesNotVisible ?? 0),
    delayed: Number(Attributes.ApproximateNumberOfMessagesDelayed ?? 0),
  };
}

/** Reads the queue's attributes, to check that it answers. */
export async function ping(queues: Queues, signal: AbortSignal): Promise<void> {
  await queues.client.send(
    "GetQueueAttributes",
    { QueueUrl: queues.urls.single, AttributeNames: ["QueueArn"] },
    { abortSignal: signal },
  );
}

const maxDelayS = Limits.platform.sqsDelaySeconds;

function wholeSeconds(ms: number): number {
  return Math.min(maxDelayS, Math.max(0, Math.ceil(ms / 1000)));
}

async function guard<T>(call: (signal: AbortSignal) => Promise<T>, timeoutMs: number): Promise<T> {
  try {
    return await call(AbortSignal.timeout(timeoutMs));
  } catch (thrown) {
    const status = SdkError.statusOf(thrown) ?? 0;
    // A request that SQS refuses (400) is our own mistake and no outage.
    if (status >= 400 && status < 500 && status !== 403 && status !== 404 && status !== 429) throw thrown;
    throw new AppError("storage_unavailable", "the queue cannot be reached right now", {
      cause: thrown,
      retryAfterS: 2,
    });
  }
}
