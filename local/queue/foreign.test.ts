import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetQueueAttributesCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfigError } from "#core/config";
import * as Foreign from "#local/queue/foreign";
import * as Server from "#local/queue/server";
import { queues } from "#spec/queues";

/** The loop's own emulator, without queues, in place of another server. */

let dir: string;
let server: Server.QueueServer;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ocrlty-foreign-"));
  server = await Server.start({ dir, queues: {}, timeScale: 1, region: "us-east-1" });
});
afterAll(async () => {
  await server.close();
  await rm(dir, { recursive: true, force: true });
});

const credentials = { accessKeyId: "theirs", secretAccessKey: "theirs" };
const connect = (timeScale: number, endpoint = server.url) =>
  Foreign.connect({ endpoint, credentials, queues, region: "us-east-1", timeScale });

test("queues are made with their attributes; the next start finds them, with what they hold", async () => {
  const first = await connect(1);
  const item = first.queues.item;
  await first.client.send(new SendMessageCommand({ QueueUrl: first.queues.single?.url, MessageBody: "{}" }));
  await first.close();
  const second = await connect(1 / 2);
  const attributes = async (url = "") =>
    (await second.client.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] })))
      .Attributes;
  expect(second.queues.item).toEqual(item);
  expect(await attributes(item?.url)).toMatchObject({
    FifoQueue: "true",
    VisibilityTimeout: String(Math.ceil(queues.item.visibilityTimeoutSeconds / 2)),
    RedrivePolicy: expect.stringContaining("ocrlty-item-dead.fifo"),
  });
  expect((await attributes(second.queues.single?.url))?.ApproximateNumberOfMessages).toBe("1");
  await second.close();
});

test("a server that is not there is named by its setting", async () => {
  await expect(connect(1, "http://127.0.0.1:9")).rejects.toThrow(ConfigError);
  await expect(connect(1, "http://127.0.0.1:9")).rejects.toThrow("AWS_ENDPOINT_URL_SQS");
});
