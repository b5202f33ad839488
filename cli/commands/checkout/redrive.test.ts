import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Message, ReceiveMessageCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { exit } from "#cli/terminal/context";
import { type QueueServer, start } from "#local/queue/server";
import { queues, urlVariable } from "#spec/queues";
import { type Cli, open } from "#test/support/batch-cli";

let cli: Cli;
const closing: (() => Promise<void>)[] = [];
beforeEach(() => {
  cli = open();
  // The variables that `sst shell` exports for the SDK.
  vi.stubEnv("AWS_REGION", "us-east-1");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "local");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "local");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closing.splice(0)) await close();
  cli.remove();
});

async function sqs(): Promise<QueueServer> {
  const server = await start({ dir: cli.dir, queues, timeScale: 1, region: "us-east-1" });
  closing.push(() => server.close());
  vi.stubEnv("AWS_ENDPOINT_URL_SQS", server.url);
  return server;
}

function redrive(server: QueueServer, ...args: string[]) {
  const urls = Object.entries(server.queues).map(([name, { url }]) => [urlVariable(name), url]);
  // The checkout's own loop is not used.
  return cli.run(["redrive", ...args], { env: { OCRLTY_HOME: cli.dir, ...Object.fromEntries(urls) } });
}

const send = (
  server: QueueServer,
  QueueUrl: string,
  MessageBody: string,
  fifo?: { group: string; id: string },
) =>
  server.client.send(
    new SendMessageCommand({
      QueueUrl,
      MessageBody,
      ...(fifo ? { MessageGroupId: fifo.group, MessageDeduplicationId: fifo.id } : {}),
    }),
  );

async function receive(server: QueueServer, QueueUrl: string): Promise<Message[]> {
  const { Messages = [] } = await server.client.send(
    new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ["All"] }),
  );
  return Messages;
}

const pair = (server: QueueServer, name: keyof typeof queues) => {
  const found = server.queues[name];
  if (found === undefined) throw new Error(`no queue ${name}`);
  return found;
};

describe("redrive", () => {
  test("a dry run counts the dead letters and moves none", async () => {
    const server = await sqs();
    const { url, deadLetter } = pair(server, "single");
    for (const body of ["1", "2", "3"]) await send(server, deadLetter.url, body);
    const { status, stdout } = await redrive(server, "single", "--dry-run", "--json");
    expect({ status, facts: JSON.parse(stdout) }).toEqual({
      status: exit.ok,
      facts: { queue: "single", waiting: 3, moved: 0, left: 3 },
    });
    expect(server.counts(url).ready).toBe(0);
    expect(server.counts(deadLetter.url).ready).toBe(3);
  });

  test("all of them go back, and nothing stays behind", async () => {
    const server = await sqs();
    const { url, deadLetter } = pair(server, "later");
    const bodies = Array.from({ length: 12 }, (_, i) => `message ${i}`);
    for (const body of bodies) await send(server, deadLetter.url, body);
    const { status, stdout } = await redrive(server, "later");
    expect({ status, stdout }).toEqual({
      status: exit.ok,
      stdout: "later: 12 dead letters moved back, 0 left\n",
    });
    expect(server.counts(deadLetter.url)).toEqual({ ready: 0, delayed: 0, inFlight: 0 });
    const back = [...(await receive(server, url)), ...(await receive(server, url))].map(({ Body }) => Body);
    expect(back.toSorted()).toEqual(bodies.toSorted());
  });

  test("--max moves the oldest so many", async () => {
    const server = await sqs();
    const { url, deadLetter } = pair(server, "single");
    for (const body of ["1", "2", "3"]) await send(server, deadLetter.url, body);
    const { status, stdout } = await redrive(server, "single", "--max", "2", "--json");
    expect({ status, facts: JSON.parse(stdout) }).toEqual({
      status: exit.ok,
      facts: { queue: "single", waiting: 3, moved: 2, left: 1 },
    });
    expect((await receive(server, url)).map(({ Body }) => Body)).toEqual(["1", "2"]);
  });

  test("a FIFO message keeps its group, and is not dropped as a duplicate of itself", async () => {
    const server = await sqs();
    const { url, deadLetter } = pair(server, "plan");
    // The original was sent within SQS's five minutes of deduplication.
    await send(server, url, "plan", { group: "run", id: "run.1" });
    await receive(server, url);
    await send(server, deadLetter.url, "other", { group: "run-2", id: "run-2.1" });
    await send(server, deadLetter.url, "plan", { group: "run-3", id: "run.1" });
    const { status } = await redrive(server, "plan", "--max", "5");
    expect(status).toBe(exit.ok);
    const back = (await receive(server, url)).map(({ Body, Attributes }) => [
      Body,
      Attributes?.MessageGroupId,
    ]);
    expect(back.toSorted()).toEqual([
      ["other", "run-2"],
      ["plan", "run-3"],
    ]);
  });

  test("where SQS has a task of its own for it, the task is started and its end awaited", async () => {
    const seen: string[] = [];
    let polls = 0;
    const answers: Record<string, () => object> = {
      GetQueueAttributes: () => ({
        Attributes: {
          RedrivePolicy: JSON.stringify({ deadLetterTargetArn: "arn:aws:sqs:us-east-1:1:dead" }),
          ApproximateNumberOfMessages: polls === 0 ? "7" : "0",
        },
      }),
      StartMessageMoveTask: () => ({ TaskHandle: "task" }),
      ListMessageMoveTasks: () => {
        polls += 1;
        return {
          Results: [
            {
              Status: polls < 2 ? "RUNNING" : "COMPLETED",
              ApproximateNumberOfMessagesMoved: polls < 2 ? 3 : 7,
            },
          ],
        };
      },
    };
    const aws = createServer((request, response) => {
      const name = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
      seen.push(name);
      request.resume();
      response.setHeader("content-type", "application/x-amz-json-1.0");
      response.end(JSON.stringify(answers[name]?.() ?? {}));
    });
    await new Promise<void>((resolve) => aws.listen(0, "127.0.0.1", resolve));
    closing.push(
      () =>
        new Promise((resolve) => {
          aws.close(() => resolve());
          aws.closeAllConnections();
        }),
    );
    const { port } = aws.address() as AddressInfo;
    vi.stubEnv("AWS_ENDPOINT_URL_SQS", `http://127.0.0.1:${port}`);
    const url = `http://127.0.0.1:${port}/1/queue`;
    const fake = { queues: { single: { url } } } as unknown as QueueServer;
    const { status, stdout, stderr } = await redrive(fake, "single");
    expect({ status, stdout, stderr }).toEqual({
      status: exit.ok,
      stdout: "single: 7 dead letters moved back, 0 left\n",
      stderr: "",
    });
    expect(seen.filter((name) => name === "StartMessageMoveTask")).toHaveLength(1);
    expect(seen).not.toContain("ReceiveMessage");
  });

  test.each([
    [["no-such-queue"], /Allowed choices are/],
    [["single", "--max", "0"], /--max must be a whole number/],
    [["single"], /SINGLE_QUEUE_URL is not set, .*sst shell/],
  ])("%j is refused in one line", async (args, message) => {
    const { status, stderr } = await redrive({ queues: {} } as unknown as QueueServer, ...args);
    expect(status).toBe(exit.failed);
    expect(stderr).toMatch(message);
  });

  test("a refusal by the queue is one line", async () => {
    const server = await sqs();
    const gone = { queues: { single: { url: `${server.url}/000000000000/gone` } } } as unknown as QueueServer;
    const { status, stderr } = await redrive(gone, "single");
    expect(status).toBe(exit.failed);
    expect(stderr).toMatch(/^error: the queue cannot be used \(.+\).*\n$/);
  });
});
