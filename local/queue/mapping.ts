/**
 * An event source mapping by AWS's rules: it polls a queue, calls the function with batches, at most
 * `maxConcurrency` at a time, and deletes what succeeded. What failed, whichever way (a thrown error, a reported
 * failure, a kill, a timeout), is left alone: it comes back when its visibility ends, never sooner. Of a FIFO queue's group
 * one batch is worked on at a time, however many of its messages a receive has brought.
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
  /** The emulator is away or refuses: told once until it works again. */
  readonly onTrouble?: (error: Error) => void;
}

export interface Mapping {
  /** Calls that run. */
  inFlight(): number;
  /**
   * Begins no more polls; returns when the calls in flight have ended and their messages are dealt with. A poll
   * that is still out ends with the emulator; what it gets until then is worked on as long as the functions live.
   */
  stop(): Promise<void>;
}

/** SQS hands out at most this many at once. */
const receiveMax = 10;

/**
 * Polls are never aborted: a message that is handed to a poll which nobody reads any more is away until its
 * visibility ends. The emulator wakes a poll for a new message; the length only bounds what a missed one costs.
 */
const pollSeconds = 5;

/**
 * Between the beginnings of two calls: what one takes of the machine, some 50 ms of a processor. Processes that begin
 * together share the processors step by step, and so end together, and begin together again: all wait for all, and the
 * model server for everybody. On AWS each has a processor of its own, and a mapping begins its calls a few at a time.
 */
const startMs = 50 / availableParallelism();

const backOffMs = { first: 100, most: 5_000 };

/** Starts to poll. */
export function start(options: MappingOptions): Mapping {
  const { client, queue, lambda, region } = options;
  const { batchSize, maxConcurrency, partialResponses, function: functionName } = options.subscription;
  const calls = new Set<Promise<void>>();
  /** Of a FIFO queue: messages of groups that are being worked on, each group's in order. They hold no slot. */
  const behind = new Map<string, Received[]>();
  let stopping = false;
  /** A poll is out that waits for messages. */
  let polling = false;
  let wake: () => void = () => undefined;

  const receive = async (count: number, waitSeconds: number): Promise<Received[]> => {
    const { Messages } = await client.send(
      new ReceiveMessageCommand({
        QueueUrl: queue.url,
        MaxNumberOfMessages: Math.min(receiveMax, count),
        WaitTimeSeconds: waitSeconds,
        MessageSystemAttributeNames: ["All"],
        MessageAttributeNames: ["All"],
      }),
    );
    // Visible again from then on, and somebody else's: it is not begun with any more.
    const until = performance.now() + 0.9 * (options.visibilityMs ?? Number.POSITIVE_INFINITY);
    return (Messages ?? []).map((message) => ({ message, until }));
  };

  let nextStartAt = 0;
  /** Calls begin one after the other: see `startMs`. */
  const turn = async (): Promise<void> => {
    const now = performance.now();
    const at = Math.max(now, nextStartAt);
    nextStartAt = at + startMs;
    if (at > now) await sleep(at - now);
  };

  /** @returns whether all of it succeeded. */
  const call = async (messages: Message[]): Promise<boolean> => {
    await turn();
    const ids = messages.map(({ MessageId }) => MessageId ?? "");
    const Records = messages.map((message) => record(message, queue, region));
    const outcome = await lambda.invoke(functionName, { Records });
    if (outcome.type !== "result") return false;
    const failed = partialResponses ? failedIds(outcome.payload, ids) : [];
    await remove(
      client,
      queue,
      messages.filter(({ MessageId }) => !failed.includes(MessageId ?? "")),
    );
    return failed.length === 0;
  };

  /** What may begin of what was received: of each group the first, unless it is being worked on; the others wait. */
  const first = (received: Received[]): Received[] =>
    received.filter((each) => {
      const group = groupOf(each.message);
      if (group === undefined) return true;
      const waiting = behind.get(group);
      if (waiting === undefined) behind.set(group, []);
      else waiting.push(each);
      return waiting === undefined;
    });

  /**
   * What comes next of a group. After a failure nothing: its later messages must not overtake it. They are given back,
   * and the queue holds them until it has been dealt with.
   */
  const next = (batch: Received[], succeeded: boolean): Received[] => {
    const group = batch[0] === undefined ? undefined : groupOf(batch[0].message);
    if (group === undefined) return [];
    const waiting = behind.get(group) ?? [];
    const found = succeeded && !stopping ? waiting.shift() : undefined;
    if (found !== undefined && found.until > performance.now()) return [found];
    behind.delete(group);
    if (waiting.length > 0) void giveBack(client, queue, waiting).catch(() => undefined);
    return [];
  };

  /**
   * One of the concurrent slots. After a batch it takes what is next in the group, or asks for more itself, so that a
   * freed group goes on at once; not while a poll is out, which the deletion has woken: it would find nothing.
   */
  const work = async (batches: Received[]): Promise<void> => {
    let batch = batches;
    try {
      while (batch.length > 0) {
        const succeeded = await call(batch.map(({ message }) => message));
        const following = next(batch, succeeded);
        if (following.length > 0) batch = following;
        else batch = stopping || polling ? [] : first(await receive(batchSize, 0));
      }
    } catch {
      // The functions are being stopped, or the emulator is: what was not deleted comes back.
      next(batch, false);
    }
  };

  const begin = (batch: Received[]): void => {
    const running = work(batch).finally(() => {
      calls.delete(running);
      wake();
    });
    calls.add(running);
  };

  const poll = async (): Promise<void> => {
    let pauseMs = 0;
    while (!stopping) {
      const free = maxConcurrency - calls.size;
      if (free <= 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      try {
        polling = true;
        const received = await receive(free * batchSize, pollSeconds).finally(() => {
          polling = false;
        });
        const messages = first(received);
        for (let at = 0; at < messages.length; at += batchSize) begin(messages.slice(at, at + batchSize));
        pauseMs = 0;
      } catch (error) {
        if (stopping) return;
        if (pauseMs === 0) options.onTrouble?.(error instanceof Error ? error : new Error(String(error)));
        pauseMs = Math.min(backOffMs.most, Math.max(backOffMs.first, pauseMs * 2));
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, pauseMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
  };
  void poll();

  return {
    inFlight: () => calls.size,
    stop: async () => {
      stopping = true;
      wake();
      while (calls.size > 0) await Promise.all(calls);
    },
  };
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
