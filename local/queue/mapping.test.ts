import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SendMessageBatchCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startLambda } from "#local/lambda/fixtures/harness";
import type { Task, Trace } from "#local/lambda/fixtures/queue";
import { type Mapping, start as startMapping } from "#local/queue/mapping";
import { type QueueServer, start as startServer } from "#local/queue/server";

const fixture = { handler: "local/lambda/fixtures/queue.handler" };
const visibilitySeconds = 2;
const common = { visibilityTimeoutSeconds: visibilitySeconds, retentionSeconds: 3_600, maxReceiveCount: 100 };
const specs = {
  standard: { ...common, fifo: false },
  fifo: { ...common, fifo: true },
  groups: { ...common, fifo: true },
  batches: { ...common, fifo: false },
  poison: { ...common, fifo: false, visibilityTimeoutSeconds: 1, maxReceiveCount: 2 },
  shape: { ...common, fifo: true },
};
type Name = keyof typeof specs;
const concurrency = 4;

let dir: string;
let server: QueueServer;
let lambda: Awaited<ReturnType<typeof startLambda>>;
const mappings: Mapping[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocrlty queues "));
  server = await startServer({ dir, queues: specs, timeScale: 1, region: "us-east-1" });
  const names = Object.keys(specs) as Name[];
  const functions = Object.fromEntries(
    names.map((name) => [name, { ...fixture, pool: name, timeoutMs: 1_000 }]),
  );
  lambda = await startLambda(
    { ...functions, shape: { handler: "local/lambda/fixtures/queue.form", pool: "shape" } },
    { pools: Object.fromEntries(names.map((name) => [name, concurrency])) },
  );
  for (const name of names) {
    const queue = server.queues[name];
    if (queue === undefined) throw new Error(`no queue ${name}`);
    const subscription = {
      function: name,
      batchSize: name === "batches" ? 3 : 1,
      maxConcurrency: concurrency,
      partialResponses: true,
    };
    mappings.push(startMapping({ client: server.client, queue, subscription, lambda, region: "us-east-1" }));
  }
});
afterAll(async () => {
  await Promise.all(mappings.map((mapping) => mapping.stop()));
  await lambda.close();
  await server.close();
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

const urlOf = (name: Name) => server.queues[name]?.url ?? "";

async function send(name: Name, tasks: (Task & { group?: string })[]): Promise<void> {
  for (let at = 0; at < tasks.length; at += 10) {
    const { Failed } = await server.client.send(
      new SendMessageBatchCommand({
        QueueUrl: urlOf(name),
        Entries: tasks.slice(at, at + 10).map(({ group, ...task }, index) => ({
          Id: String(index),
          MessageBody: JSON.stringify(task),
          ...(group === undefined ? {} : { MessageGroupId: group, MessageDeduplicationId: task.name }),
        })),
      }),
    );
    expect(Failed ?? []).toEqual([]);
  }
}

/** The functions' output about messages whose name begins like this, in order. */
function traces(prefix: string): Trace[] {
  return lambda.log
    .map(({ line }) => (line.startsWith("{") ? JSON.parse(line) : {}))
    .filter(({ event, name }) => (event === "begin" || event === "end") && String(name).startsWith(prefix));
}
const begins = (prefix: string) => traces(prefix).filter(({ event }) => event === "begin");
const ends = (prefix: string) => traces(prefix).filter(({ event }) => event === "end");

async function until(check: () => void, timeout = 15_000): Promise<void> {
  await vi.waitFor(check, { timeout, interval: 20 });
}
const isEmpty = (name: Name) =>
  expect(server.counts(urlOf(name))).toEqual({ ready: 0, delayed: 0, inFlight: 0 });

describe.concurrent("a message", () => {
  test.each(["report once", "throw once", "kill once", "hang once"] as const)(
    "that fails (%s) comes back when its visibility ends, not before, and then is done",
    async (fail) => {
      const name = `standard-${fail}`;
      await send("standard", [{ name, fail }]);
      await until(() => expect(ends(name).at(-1)).toMatchObject({ receives: 2 }));
      const [, second] = begins(name);
      const gapMs = (second?.at ?? 0) - (second?.receivedAt ?? 0);
      expect(gapMs).toBeGreaterThanOrEqual(visibilitySeconds * 1_000);
      expect(gapMs).toBeLessThan(visibilitySeconds * 1_000 + 5_000);
    },
  );

  test("that always fails goes to the dead-letter queue after its receives, and nowhere else", async () => {
    await send("poison", [{ name: "poison", fail: "report" }]);
    const dead = server.queues.poison?.deadLetter.url ?? "";
    await until(() => expect(server.counts(dead)).toEqual({ ready: 1, delayed: 0, inFlight: 0 }));
    expect(begins("poison").map(({ receives }) => receives)).toEqual([1, 2]);
    isEmpty("poison");
  });

  test("has the form that Lambda gives it", async () => {
    await server.client.send(
      new SendMessageCommand({
        QueueUrl: urlOf("shape"),
        MessageBody: "the body",
        MessageGroupId: "g",
        MessageDeduplicationId: "d",
        MessageAttributes: {
          text: { DataType: "String", StringValue: "t" },
          bytes: { DataType: "Binary", BinaryValue: Buffer.from("b") },
        },
      }),
    );
    const found = () => lambda.log.find(({ functionName }) => functionName === "shape")?.line ?? "{}";
    await until(() => expect(found()).toContain("form"));
    expect(JSON.parse(found()).record).toEqual({
      messageId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      receiptHandle: expect.any(String),
      body: "the body",
      attributes: {
        ApproximateReceiveCount: "1",
        ApproximateFirstReceiveTimestamp: expect.stringMatching(/^\d{13}$/),
        SentTimestamp: expect.stringMatching(/^\d{13}$/),
        SenderId: expect.any(String),
        MessageGroupId: "g",
        MessageDeduplicationId: "d",
        SequenceNumber: expect.any(String),
      },
      messageAttributes: {
        text: { dataType: "String", stringValue: "t", stringListValues: [], binaryListValues: [] },
        bytes: { dataType: "Binary", binaryValue: "Yg==", stringListValues: [], binaryListValues: [] },
      },
      md5OfMessageAttributes: expect.stringMatching(/^[0-9a-f]{32}$/),
      md5OfBody: createHash("md5").update("the body").digest("hex"),
      eventSource: "aws:sqs",
      eventSourceARN: "arn:aws:sqs:us-east-1:000000000000:ocrlty-shape.fifo",
      awsRegion: "us-east-1",
    });
  });
});

describe.concurrent("a group", () => {
  test("runs in order and one at a time, while groups run side by side up to the mapping's maximum", async () => {
    const groups = ["a", "b", "c", "d", "e", "f"];
    const tasks = Array.from({ length: 4 }, (_, number) =>
      groups.map((group) => ({ name: `groups-${group}-${number}`, group, sleepMs: 100 })),
    );
    await send("groups", tasks.flat());
    await until(() => expect(ends("groups-")).toHaveLength(24));
    for (const group of groups) {
      const order = traces(`groups-${group}-`).map(({ event, name }) => `${event} ${name.at(-1)}`);
      expect(order).toEqual([0, 1, 2, 3].flatMap((number) => [`begin ${number}`, `end ${number}`]));
    }
    let running = 0;
    let most = 0;
    for (const { event } of [...traces("groups-")].sort(
      (a, b) => a.at - b.at || (a.event === "end" ? -1 : 1),
    )) {
      running += event === "begin" ? 1 : -1;
      most = Math.max(most, running);
    }
    expect(most).toBe(concurrency);
    await until(() => isEmpty("groups"));
  });

  test("waits until its failed message is done; other groups do not wait", async () => {
    await send("fifo", [
      { name: "held-1", group: "held", fail: "kill once" },
      { name: "held-2", group: "held" },
      { name: "free-1", group: "free" },
    ]);
    await until(() => expect(ends("held-2")).toHaveLength(1));
    const at = (name: string) => ends(name)[0]?.at ?? 0;
    expect(at("free-1")).toBeLessThan(at("held-1"));
    expect(at("held-1")).toBeLessThanOrEqual(begins("held-2")[0]?.at ?? 0);
    expect(begins("held-1").map(({ receives }) => receives)).toEqual([1, 2]);
  });
});

test("a group of which one receive brings many messages is worked on in order, one at a time, and no message overtakes a failed one", async () => {
  const names = Array.from({ length: 9 }, (_, number) => `many-${number}`);
  await send(
    "fifo",
    names.map((name, number) => ({
      name,
      group: "many",
      ...(number === 4 ? { fail: "report once" as const } : {}),
    })),
  );
  await until(() => expect(ends("many-8")).toHaveLength(1), 30_000);
  const order = traces("many-").map(({ event, name }) => `${event} ${name}`);
  expect(order).toEqual(
    [...names.slice(0, 5), ...names.slice(4)].flatMap((name) => [`begin ${name}`, `end ${name}`]),
  );
  // The messages after the failed one were returned, so they need not wait until their visibility ends.
  expect(begins("many-5")[0]?.receives).toBeLessThanOrEqual(3);
});

test.concurrent("only the reported messages of a batch come back", async () => {
  await send("batches", [{ name: "batch-1" }, { name: "batch-2", fail: "report once" }, { name: "batch-3" }]);
  await until(() => expect(ends("batch-2")).toHaveLength(2));
  expect(begins("batch-1")).toEqual([expect.objectContaining({ records: 3 })]);
  expect(begins("batch-3")).toHaveLength(1);
  await until(() => isEmpty("batches"));
});

test("while paused it starts and loses nothing, and uses up no visibility; after a resume it continues in order", async () => {
  const mapping = mappings[Object.keys(specs).indexOf("fifo")];
  if (mapping === undefined) throw new Error("no mapping");
  await send("fifo", [
    { name: "pause-0", group: "pause", sleepMs: 300 },
    ...[1, 2, 3].map((number) => ({ name: `pause-${number}`, group: "pause" })),
  ]);
  await until(() => expect(begins("pause-")).toHaveLength(1));
  mapping.pause();
  // A poll that is open when the pause begins may still receive some: they are given back.
  await send("fifo", [{ name: "pause-other", group: "pause-other" }]);
  await until(() => expect(mapping.inFlight()).toBe(0));
  await sleep(visibilitySeconds * 1_000);
  expect(traces("pause-").map(({ event, name }) => `${event} ${name}`)).toEqual([
    "begin pause-0",
    "end pause-0",
  ]);
  mapping.resume();
  await until(() => expect(ends("pause-")).toHaveLength(5));
  expect(
    ends("pause-")
      .filter(({ group }) => group === "pause")
      .map(({ name }) => name),
  ).toEqual([0, 1, 2, 3].map((number) => `pause-${number}`));
  await until(() => isEmpty("fifo"));
});

const address = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === "IPv4" && !one.internal)?.address;
test.skipIf(address === undefined)("the emulator is not reachable from the network", async () => {
  const { port } = new URL(server.url);
  expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
  await expect(fetch(`http://${address}:${port}/health`)).rejects.toThrow("fetch failed");
});
