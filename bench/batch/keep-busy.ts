/**
 * Measures how much of the time a run keeps the model server busy, compared with a bare loop on the same queues,
 * whose workers receive a message, wait as long as the model server takes, delete it and receive the next. The two
 * run in turns.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import * as Figures from "../support/figures.ts";
import { type Latency, noLatency, type Rig } from "./rig.ts";

/** Shares of the ideal time: items ÷ concurrency, rounded up, times the time a model call takes. */
export interface Busy {
  concurrency: number;
  items: number;
  /** From the model's first request to its last answer. */
  ours: number;
  bare: number;
  ours_to_bare: number;
  goal: number;
  /** From the call that made the run to its end, including the results. */
  whole: number;
  rounds: { ours: number; bare: number; whole: number }[];
}

const goals: Readonly<Record<number, number>> = { 8: 0.95, 32: 0.9 };

export const serviceMs = 1_000;

/** Medians over the rounds, after a first run of the same concurrency that warms up every process. */
export async function measure(
  rig: Rig,
  options: { items: number; concurrency: number; rounds: number; progress: (line: string) => void },
): Promise<Busy> {
  const { items, concurrency, rounds, progress } = options;
  const ideal = Math.ceil(items / concurrency) * serviceMs;
  await warmUp(rig, concurrency);
  rig.service.ms = serviceMs;
  const bare = await bareLoop(rig, concurrency);
  const seen: Busy["rounds"] = [];
  for (let i = 0; i < rounds; i += 1) {
    const first = await ours(rig, items, concurrency);
    const second = await bare.run(items);
    const round = {
      ours: Figures.round(ideal / first.wallMs, 3),
      bare: Figures.round(ideal / second, 3),
      whole: Figures.round(ideal / first.wholeMs, 3),
    };
    progress(`concurrency ${concurrency}, round ${i + 1}: ${JSON.stringify(round)}`);
    seen.push(round);
  }
  bare.close();
  const median = (what: keyof (typeof seen)[number]) => Figures.median(seen.map((round) => round[what]));
  return {
    ...{ concurrency, items, ours: median("ours"), bare: median("bare") },
    ours_to_bare: Figures.round(Figures.median(seen.map((round) => round.ours / round.bare)), 3),
    goal: goals[concurrency] ?? 0,
    ...{ whole: median("whole"), rounds: seen },
  };
}

/** So many items that every process has handled a dozen, and V8 has compiled the hot code. */
async function warmUp(rig: Rig, concurrency: number): Promise<void> {
  rig.service.ms = 200;
  await rig.ended(await rig.post({ items: 12 * concurrency, concurrency }));
}

/** One run. @returns milliseconds. */
async function ours(
  rig: Rig,
  items: number,
  concurrency: number,
): Promise<{ wallMs: number; wholeMs: number }> {
  const from = rig.model.requests.length;
  const postedAt = Date.now();
  const run = await rig.ended(await rig.post({ items, concurrency }));
  const requests = rig.model.requests.slice(from);
  if (requests.length !== items) throw new Error(`${requests.length} model calls for ${items} items`);
  const firstAt = Math.min(...requests.map(({ at }) => at));
  const lastAt = Math.max(...requests.map(({ at, endedAt }) => endedAt ?? at));
  return { wallMs: lastAt - firstAt, wholeMs: Date.parse(run.finished_at ?? "") - postedAt };
}

/** A queue of its own on the loop's emulator, with as many groups. */
async function bareLoop(
  rig: Rig,
  concurrency: number,
): Promise<{ run(items: number): Promise<number>; close(): void }> {
  const client = new SQSClient({
    endpoint: rig.loop.env.AWS_ENDPOINT_URL_SQS ?? "",
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  });
  const { QueueUrl } = await client.send(
    new CreateQueueCommand({
      QueueName: `bare-${concurrency}.fifo`,
      Attributes: { FifoQueue: "true", ContentBasedDeduplication: "false" },
    }),
  );
  let sent = 0;
  return {
    run: async (items) => {
      const entries = Array.from({ length: items }, (_, i) => ({
        Id: String(i),
        MessageBody: `${i}`,
        MessageGroupId: String(i % concurrency),
        MessageDeduplicationId: String(sent + i),
      }));
      sent += items;
      for (let at = 0; at < items; at += 10)
        await client.send(new SendMessageBatchCommand({ QueueUrl, Entries: entries.slice(at, at + 10) }));
      let firstAt = Number.POSITIVE_INFINITY;
      let lastAt = 0;
      let left = items;
      const slot = async () => {
        while (left > 0) {
          // A long poll does not notice a freed group, so the queue is asked again right after a delete.
          const { Messages = [] } = await client.send(
            new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 1, WaitTimeSeconds: 0 }),
          );
          const [message] = Messages;
          if (message === undefined) {
            await sleep(5);
            continue;
          }
          firstAt = Math.min(firstAt, Date.now());
          await sleep(serviceMs);
          lastAt = Math.max(lastAt, Date.now());
          left -= 1;
          await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
        }
      };
      await Promise.all(Array.from({ length: concurrency }, slot));
      return lastAt - firstAt;
    },
    close: () => client.destroy(),
  };
}

/** Share of the time with work at the model server, with latencies as between services of one region. */
export interface Delayed {
  latency: Latency;
  concurrency: number;
  items: number;
  /** Against items ÷ concurrency times the model's time. */
  busy: number;
  /** Requests that the model server was working on, on average. */
  in_flight: number;
}

export async function delayed(
  rig: Rig,
  options: { latency: Latency; items: number; concurrency: number },
): Promise<Delayed> {
  const { latency, items, concurrency } = options;
  await warmUp(rig, concurrency);
  rig.service.ms = serviceMs;
  Object.assign(rig.latency, latency);
  try {
    const { wallMs } = await ours(rig, items, concurrency);
    return {
      ...{ latency, concurrency, items },
      busy: Figures.round((Math.ceil(items / concurrency) * serviceMs) / wallMs, 3),
      in_flight: Figures.round((items * serviceMs) / wallMs, 1),
    };
  } finally {
    Object.assign(rig.latency, noLatency);
  }
}
