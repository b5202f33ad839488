import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
} from "@aws-sdk/client-sqs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { queues } from "#infra/queues";
import { type QueueServer, start } from "#local/queue/server";

let dir: string;
const running: QueueServer[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocrlty queues "));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

async function run(timeScale = 1): Promise<QueueServer> {
  const server = await start({ dir, queues, timeScale, region: "us-east-1" });
  running.push(server);
  return server;
}

const url = (server: QueueServer, name: keyof typeof queues) => server.queues[name]?.url ?? "";

async function receive(server: QueueServer, QueueUrl: string): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl,
    MaxNumberOfMessages: 10,
    MessageSystemAttributeNames: ["All"],
  });
  return (await server.client.send(command)).Messages ?? [];
}

test("queues have the attributes of infra/queues.ts, whole seconds rounded up", async () => {
  const server = await run(1 / 50);
  const { Attributes } = await server.client.send(
    new GetQueueAttributesCommand({ QueueUrl: url(server, "item"), AttributeNames: ["All"] }),
  );
  expect(Attributes).toMatchObject({
    VisibilityTimeout: "15",
    MessageRetentionPeriod: "1209600",
    FifoQueue: "true",
    ContentBasedDeduplication: "false",
    RedrivePolicy: JSON.stringify({
      deadLetterTargetArn: "arn:aws:sqs:us-east-1:000000000000:ocrlty-item-dead.fifo",
      maxReceiveCount: 100,
    }),
  });
});

test("a restart keeps messages, their delay and what is in flight, with its group held", async () => {
  const first = await run();
  const item = url(first, "item");
  for (const body of ["1", "2", "3"]) {
    await first.client.send(
      new SendMessageCommand({
        QueueUrl: item,
        MessageBody: body,
        MessageGroupId: body === "3" ? "b" : "a",
        MessageDeduplicationId: body,
      }),
    );
  }
  await first.client.send(
    new SendMessageCommand({ QueueUrl: url(first, "later"), MessageBody: "delayed", DelaySeconds: 600 }),
  );
  expect((await receive(first, item)).map(({ Body }) => Body)).toEqual(["1", "3"]);
  await first.close();
  const second = await run();
  expect(second.counts(url(second, "item"))).toEqual({ ready: 1, delayed: 0, inFlight: 2 });
  expect(second.counts(url(second, "later"))).toEqual({ ready: 0, delayed: 1, inFlight: 0 });
  // Group "a" is still held by its first message.
  expect(await receive(second, url(second, "item"))).toEqual([]);
});

test("a changed setting reaches a queue that holds messages, and empties nothing", async () => {
  const first = await run();
  await first.client.send(new SendMessageCommand({ QueueUrl: url(first, "single"), MessageBody: "kept" }));
  await first.close();
  const second = await run(1 / 720);
  expect((await receive(second, url(second, "single"))).map(({ Body }) => Body)).toEqual(["kept"]);
  const { Attributes } = await second.client.send(
    new GetQueueAttributesCommand({ QueueUrl: url(second, "single"), AttributeNames: ["VisibilityTimeout"] }),
  );
  expect(Attributes).toEqual({ VisibilityTimeout: "1" });
});
