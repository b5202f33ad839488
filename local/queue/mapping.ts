/**
 * An event source mapping by AWS's rules: it polls a queue, calls the function with batches, at most
 * `maxConcurrency` at a time, and deletes what succeeded. A message that failed in any way (a thrown error, a reported
 * failure, a kill, a timeout) is not touched: it comes back when its visibility ends, never sooner. Of a FIFO queue's
 * group one batch is worked on at a time, however many of its messages a receive has brought.
 */
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  type Message,
  type MessageAttributeValue,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import type { SQSMessageAttribute, SQSRecord } from "aws-lambda";
import type { Lambda } from "#local/lambda/pool";
import { failedIds } from "#local/queue/report";
import type { Queue } from "#local/queue/server";
import type { Subscription } from "#spec/queues";

interface MappingOptions {
  readonly client: SQSClient;
  readonly queue: Queue;
  readonly subscription: Omit<Subscription, "maxConcurrencySetting">;
  readonly lambda: Pick<Lambda, "invoke">;
  readonly region: string;
  /** How long the queue keeps a received message invisible. */
  readonly visibilityMs?: number;
  /** An outage or a refusal of the emulator: reported once until it works again. */
  readonly onTrouble?: (error: Error) => void;
}

export interface Mapping {
  /** Calls that run. */
  inFlight(): number;
  /**
   * Begins no more calls until `resume`; those in flight end. Messages stay in the queue, or are given back to it: a
   * pause uses up none of their visibility.
   */
  pause(): void;
  resume(): void;
  /**
   * Starts no more polls; returns when the calls in flight have ended and their messages are handled. An open poll
   * ends with the emulator; messages that it still receives are worked on as long as the functions run.
   */
  stop(): Promise<void>;
}

/** SQS hands out at most this many at once. */
const receiveMax = 10;

/**
 * Polls are never aborted: a message that reaches an aborted poll is invisible until its visibility ends. The emulator
 * wakes a poll for a new message; the length only bounds what a missed one costs.
 */
const pollSeconds = 5;

/**
 * Time between the beginnings of two calls: what one needs of the machine, some 50 ms of a processor. Processes that begin
 * together also end together and begin together again, so that the model server is idle in between. On AWS each has a
 * processor of its own, and a mapping begins its calls a few at a time.
 */
const startMs = 50 / availableParallelism();

const backOffMs = { first: 100, most: 5_000 };

/** Starts to poll. */
export function start(options: MappingOptions): Mapping {
  const poller = new Poller(options);
  void poller.poll();
  return {
    inFlight: () => poller.calls.size,
    pause: () => poller.pause(),
    resume: () => poller.resume(),
    stop: () => poller.stop(),
  };
}

class Poller {
  readonly calls = new Set<Promise<void>>();
  readonly #options: MappingOptions;
  /**
   * Messages whose group has another one in work, in order for each group. They occupy no slot. Only for FIFO queues.
   */
  readonly #behind = new Map<string, Received[]>();
  #stopping = false;
  /** True while a poll waits for messages. */
  #polling = false;
  #wake: () => void = () => undefined;
  #nextStartAt = 0;
  #paused: PromiseWithResolvers<void> | undefined;

  constructor(options: MappingOptions) {
    this.#options = options;
  }

  async poll(): Promise<void> {
    const { batchSize, maxConcurrency } = this.#options.subscription;
    let pauseMs = 0;
    while (!this.#stopping) {
      if (this.#paused !== undefined) {
        await this.#paused.promise;
        continue;
      }
      const free = maxConcurrency - this.calls.size;
      if (free <= 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        this.#polling = true;
        const received = await this.#receive(free * batchSize, pollSeconds).finally(() => {
          this.#polling = false;
        });
        if (this.#paused !== undefined) {
          await giveBack(this.#options.client, this.#options.queue, received);
          continue;
        }
        const messages = this.#first(received);
        for (let at = 0; at < messages.length; at += batchSize)
          this.#begin(messages.slice(at, at + batchSize));
        pauseMs = 0;
      } catch (error) {
        if (this.#stopping) return;
        if (pauseMs === 0)
          this.#options.onTrouble?.(error instanceof Error ? error : new Error(String(error)));
        pauseMs = Math.min(backOffMs.most, Math.max(backOffMs.first, pauseMs * 2));
        await this.#pause(pauseMs);
      }
    }
  }

  pause(): void {
    this.#paused ??= Promise.withResolvers();
  }

  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.resume();
    this.#wake();
    while (this.calls.size > 0) await Promise.all(this.calls);
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #receive(count: number, waitSeconds: number): Promise<Received[]> {
    const { client, queue, visibilityMs = Number.POSITIVE_INFINITY } = this.#options;
    const { Messages } = await client.send(
      new ReceiveMessageCommand({
        QueueUrl: queue.url,
        MaxNumberOfMessages: Math.min(receiveMax, count),
        WaitTimeSeconds: waitSeconds,
        MessageSystemAttributeNames: ["All"],
        MessageAttributeNames: ["All"],
      }),
    );
    // After this the message is visible again, and another receive may get it: it is not begun.
    const until = performance.now() + 0.9 * visibilityMs;
    return (Messages ?? []).map((message) => ({ message, until }));
  }

  /** The messages that may begin: of each group the first, unless one is in work; the others wait. */
  #first(received: Received[]): Received[] {
    return received.filter((each) => {
      const group = groupOf(each.message);
      if (group === undefined) return true;
      const waiting = this.#behind.get(group);
      if (waiting === undefined) this.#behind.set(group, []);
      else waiting.push(each);
      return waiting === undefined;
    });
  }

  #begin(batch: Received[]): void {
    const running = this.#work(batch).finally(() => {
      this.calls.delete(running);
      this.#wake();
    });
    this.calls.add(running);
  }

  /**
   * One of the concurrent slots. After a batch it takes the next one of the group, or receives more itself, so that a
   * freed group continues at once. It does not while a poll is open, because the deletion made that poll return.
   */
  async #work(batches: Received[]): Promise<void> {
    let batch = batches;
    try {
      while (batch.length > 0) {
        const succeeded = await this.#call(batch.map(({ message }) => message));
        const following = this.#next(batch, succeeded);
        if (following.length > 0) batch = following;
        else if (this.#stopping || this.#polling || this.#paused !== undefined) batch = [];
        else batch = this.#first(await this.#receive(this.#options.subscription.batchSize, 0));
      }
    } catch {
      // The functions or the emulator are being stopped: messages that were not deleted come back.
      this.#next(batch, false);
    }
  }

  /** @returns whether all of it succeeded. */
  async #call(messages: Message[]): Promise<boolean> {
    const { client, queue, lambda, region, subscription } = this.#options;
    await this.#turn();
    const ids = messages.map(({ MessageId }) => MessageId ?? "");
    const Records = messages.map((message) => record(message, queue, region));
    const outcome = await lambda.invoke(subscription.function, { Records });
    if (outcome.type !== "result") return false;
    const failed = subscription.partialResponses ? failedIds(outcome.payload, ids) : [];
    await remove(
      client,
      queue,
      messages.filter(({ MessageId }) => !failed.includes(MessageId ?? "")),
    );
    return failed.length === 0;
  }

  /** Calls begin one after the other: see `startMs`. */
  async #turn(): Promise<void> {
    const now = performance.now();
    const at = Math.max(now, this.#nextStartAt);
    this.#nextStartAt = at + startMs;
    if (at > now) await sleep(at - now);
  }

  /**
   * The next of a group; after a failure nothing, because its later messages must not overtake it. They are given back, and
   * the queue holds them until the failed one has been dealt with.
   */
  #next(batch: Received[], succeeded: boolean): Received[] {
    const { client, queue } = this.#options;
    const group = batch[0] === undefined ? undefined : groupOf(batch[0].message);
    if (group === undefined) return [];
    const waiting = this.#behind.get(group) ?? [];
    const mayGoOn = succeeded && !this.#stopping && this.#paused === undefined;
    const found = mayGoOn ? waiting.shift() : undefined;
    if (found !== undefined && found.until > performance.now()) return [found];
    this.#behind.delete(group);
    if (waiting.length > 0) void giveBack(client, queue, waiting).catch(() => undefined);
    return [];
  }
}

interface Received {
  message: Message;
  /** By `performance.now()`. */
  until: number;
}

/** They are visible again as soon as a queue can make them so without losing them (server.ts). */
async function giveBack(client: SQSClient, { url }: Queue, received: Received[]): Promise<void> {
  for (let at = 0; at < received.length; at += receiveMax) {
    const Entries = received.slice(at, at + receiveMax).map(({ message: { ReceiptHandle } }, index) => ({
      ...{ Id: String(index), ReceiptHandle, VisibilityTimeout: 1 },
    }));
    await client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries }));
  }
}

const groupOf = ({ Attributes }: Message): string | undefined => Attributes?.MessageGroupId;

/** Deletes messages; what the batch refuses is tried again, because a message that is left would run twice. */
async function remove(client: SQSClient, { url }: Queue, messages: Message[]): Promise<void> {
  let left = messages;
  for (let attempt = 0; attempt < 3 && left.length > 0; attempt += 1) {
    const { Failed = [] } = await client.send(
      new DeleteMessageBatchCommand({
        QueueUrl: url,
        Entries: left.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle })),
      }),
    );
    const refused = new Set(Failed.map(({ Id }) => Number(Id)));
    left = left.filter((_message, index) => refused.has(index));
  }
}

/** A message as a function sees it. */
function record(message: Message, { arn }: Queue, region: string): SQSRecord {
  return {
    messageId: message.MessageId ?? "",
    receiptHandle: message.ReceiptHandle ?? "",
    body: message.Body ?? "",
    attributes: { ...message.Attributes } as unknown as SQSRecord["attributes"],
    messageAttributes: Object.fromEntries(
      Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [name, attribute(value)]),
    ),
    ...(message.MD5OfMessageAttributes === undefined
      ? {}
      : { md5OfMessageAttributes: message.MD5OfMessageAttributes }),
    md5OfBody: message.MD5OfBody ?? "",
    eventSource: "aws:sqs",
    eventSourceARN: arn,
    awsRegion: region,
  };
}

function attribute({ DataType, StringValue, BinaryValue }: MessageAttributeValue): SQSMessageAttribute {
  return {
    ...(StringValue === undefined ? {} : { stringValue: StringValue }),
    ...(BinaryValue === undefined ? {} : { binaryValue: Buffer.from(BinaryValue).toString("base64") }),
    stringListValues: [],
    binaryListValues: [],
    dataType: DataType ?? "String",
  };
}
