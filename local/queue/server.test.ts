import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type QueueServer, start } from "#local/queue/server";
import * as Access from "#spec/access";
import { functions } from "#spec/functions";
import { queues } from "#spec/queues";

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

async function receive(server: QueueServer, QueueUrl: string, MaxNumberOfMessages = 10): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl,
    MaxNumberOfMessages,
    MessageSystemAttributeNames: ["All"],
  });
  return (await server.client.send(command)).Messages ?? [];
}

test("queues have the attributes of spec/queues.ts, whole seconds rounded up", async () => {
  const server = await run(1 / 50);
  const { Attributes } = await server.client.send(
    new GetQueueAttributesCommand({ QueueUrl: url(server, "item"), AttributeNames: ["All"] }),
  );
  expect(Attributes).toMatchObject({
    VisibilityTimeout: "7",
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
  // A group gives as many messages as it has, in order, as on SQS.
  expect((await receive(first, item, 2)).map(({ Body }) => Body)).toEqual(["1", "2"]);
  await first.close();
  const second = await run();
  expect(second.counts(url(second, "item"))).toEqual({ ready: 1, delayed: 0, inFlight: 2 });
  expect(second.counts(url(second, "later"))).toEqual({ ready: 0, delayed: 1, inFlight: 0 });
  // The messages in flight block group "a".
  expect((await receive(second, url(second, "item"))).map(({ Body }) => Body)).toEqual(["3"]);
});

test("a delay of more than 15 minutes and an unknown handle are refused, one by one in a batch", async () => {
  const server = await run();
  const QueueUrl = url(server, "later");
  const late = { QueueUrl, MessageBody: "late", DelaySeconds: 901 };
  await expect(server.client.send(new SendMessageCommand(late))).rejects.toThrow("DelaySeconds");
  const Entries = [900, 901].map((DelaySeconds) => ({
    Id: String(DelaySeconds),
    MessageBody: "x",
    DelaySeconds,
  }));
  const sent = await server.client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  expect(sent.Successful?.map(({ Id }) => Id)).toEqual(["900"]);
  expect(sent.Failed).toEqual([expect.objectContaining({ Id: "901", Code: "InvalidParameterValue" })]);
  const deleted = await server.client.send(
    new DeleteMessageBatchCommand({ QueueUrl, Entries: [{ Id: "a", ReceiptHandle: "nonsense" }] }),
  );
  expect(deleted.Failed).toEqual([expect.objectContaining({ Id: "a", Code: "ReceiptHandleIsInvalid" })]);
  await expect(
    server.client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: "nonsense" })),
  ).rejects.toThrow("receipt handle");
});

test("a changed setting reaches a queue that holds messages, and removes none", async () => {
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

describe("a function's rights", () => {
  const denied: Parameters<NonNullable<Parameters<typeof start>[0]["onDenied"]>>[0][] = [];
  /** The rights of the function `item`, as the loop configures them. */
  async function asItem(): Promise<{ server: QueueServer; client: SQSClient }> {
    denied.length = 0;
    const server = await start({
      ...{ dir, queues, timeScale: 1, region: "us-east-1" },
      rightsOf: (accessKeyId) =>
        accessKeyId === "role-item"
          ? { functionName: "item", rights: Access.queueRights("item", functions.item, queues) }
          : undefined,
      onDenied: (one) => denied.push(one),
    });
    running.push(server);
    const credentials = { accessKeyId: "role-item", secretAccessKey: "local" };
    return { server, client: new SQSClient({ endpoint: server.url, region: "us-east-1", credentials }) };
  }
  const entries = Array.from({ length: 10 }, (_, i) => ({
    ...{ Id: String(i), MessageBody: "x".repeat(60_000) },
    ...{ MessageGroupId: "a", MessageDeduplicationId: String(i) },
  }));

  test("allow what infra grants: ten messages of 60 KB arrive unchanged", async () => {
    const { server, client } = await asItem();
    const { Successful } = await client.send(
      new SendMessageBatchCommand({ QueueUrl: url(server, "item"), Entries: entries }),
    );
    expect(Successful).toHaveLength(10);
    const [message] = await receive(server, url(server, "item"));
    expect(message?.Body).toHaveLength(60_000);
    await client.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl: url(server, "item"),
        ReceiptHandle: message?.ReceiptHandle,
        VisibilityTimeout: 30,
      }),
    );
    expect(denied).toEqual([]);
    client.destroy();
  });

  test.each([
    [
      "send to a queue that functions.ts does not name",
      (QueueUrl: string) => new SendMessageBatchCommand({ QueueUrl, Entries: entries }),
      "sqs:SendMessage",
    ],
    [
      "take another's messages",
      (QueueUrl: string) => new ReceiveMessageCommand({ QueueUrl }),
      "sqs:ReceiveMessage",
    ],
    [
      "ask for another queue's state",
      (QueueUrl: string) => new GetQueueAttributesCommand({ QueueUrl }),
      "sqs:GetQueueAttributes",
    ],
  ])(
    "do not let it %s: this is refused as by IAM, and reported to the loop",
    async (_what, command, action) => {
      const { server, client } = await asItem();
      await expect(client.send(command(url(server, "single")) as never)).rejects.toMatchObject({
        name: "AccessDeniedException",
        $metadata: { httpStatusCode: 403 },
      });
      expect(denied).toEqual([{ functionName: "item", action, queue: "ocrlty-single" }]);
      expect(server.counts(url(server, "single"))).toEqual({ ready: 0, delayed: 0, inFlight: 0 });
      client.destroy();
    },
  );
});
