import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import * as Complete from "#core/vision/complete";
import * as EventStream from "#core/vision/event-stream";
import { question } from "#test/support/model-server/asking";

const servers: http.Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  }
});

/** A server whose every answer is these pieces of an event stream, one write each. */
async function serving(pieces: Iterable<Uint8Array | string>): Promise<string> {
  const server = http.createServer(async (request, response) => {
    request.resume();
    await once(request, "end");
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const piece of pieces) {
      response.write(piece);
      await nextTurn();
    }
    response.end();
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

const ask = (baseUrl: string) =>
  Complete.complete(
    { baseUrl, apiKey: "k", model: "m", connectTimeoutMs: 2_000, readTimeoutMs: 2_000 },
    question,
    { deadline: Date.now() + 10_000 },
  );

const chunk = (delta: object, finish_reason: string | null = null) =>
  JSON.stringify({
    id: "c",
    object: "chat.completion.chunk",
    created: 0,
    model: "m",
    choices: [{ index: 0, delta, finish_reason }],
  });
const text = '{"total":"12,00 € – 合計 🧾"}';
const half = 12;
const events = (between: string, end = "\n") =>
  [
    between,
    `data: ${chunk({ role: "assistant", content: "" })}${end}${end}`,
    between,
    `data: ${chunk({ content: text.slice(0, half) })}${end}${end}`,
    between,
    `data: ${chunk({ content: text.slice(half) })}${end}${end}`,
    `data: ${chunk({}, "stop")}${end}${end}`,
    between,
    `data: [DONE]${end}${end}`,
  ].join("");

describe("heartbeats are not part of the answer", () => {
  test.each<[string, string]>([
    ["a ping without data", "event: ping\n\n"],
    ["a ping with empty data", "event: ping\ndata:\n\n"],
    ["a ping with data", 'event: ping\ndata: {"type": "ping"}\n\n'],
    ["an empty data line", "data:\n\n"],
    ["an empty data line with a blank", "data: \n\n"],
    ["data without a colon", "data\n\n"],
    ["words as data", "data: keep-alive\n\n"],
    ["a comment", ": ping\n\n"],
    ["a bare comment", ":\n\n"],
    ["blank lines", "\n\n\n"],
    ["an id and a pause", "id: 7\nretry: 3000\n\n"],
    ["an unknown field", "heartbeat: 1\n\n"],
  ])("%s", async (_name, between) => {
    for (const end of ["\n", "\r\n"]) {
      const url = await serving([events(between.replaceAll("\n", end), end)]);
      expect(await ask(url)).toMatchObject({ text, finishReason: "stop" });
    }
  });

  test("pieces of one byte, within line ends and within characters", async () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const bytes = Buffer.from(events(`event: ping${end}${end}data:${end}${end}`, end));
      const url = await serving(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)));
      expect(await ask(url), JSON.stringify(end)).toMatchObject({ text, finishReason: "stop" });
    }
  });

  test("chunks with a name, with several data lines, behind a byte order mark, are read", async () => {
    const lines = JSON.stringify(JSON.parse(chunk({ content: text })), null, 1)
      .split("\n")
      .map((line) => `data: ${line}\n`)
      .join("");
    const url = await serving([
      `\ufeffevent: message\n${lines}\nevent: chat.completion.chunk\ndata:${chunk({}, "stop")}\n\ndata: [DONE]\n\n`,
    ]);
    expect(await ask(url)).toMatchObject({ text, finishReason: "stop" });
  });

  test("an error event is still an error, with its status", async () => {
    const error = { error: { message: "engine is dead", code: 500 } };
    for (const name of ["", "event: error\n"]) {
      const url = await serving([
        `data: ${chunk({ content: "{" })}\n\n${name}data: ${JSON.stringify(error)}\n\n`,
      ]);
      await expect(ask(url)).rejects.toMatchObject({ fault: { kind: "status", status: 500 } });
    }
  });

  test("an event that the end of the stream cuts off is ignored", async () => {
    const url = await serving([
      `data: ${chunk({ content: text })}\n\ndata: ${chunk({}, "stop").slice(0, 40)}`,
    ]);
    await expect(ask(url)).rejects.toMatchObject({ fault: { kind: "unfinished" } });
  });
});

test("the time for an endless line is proportional to its length", async () => {
  const piece = new TextEncoder().encode("x".repeat(1024));
  const pieces = 8 * 1024;
  let n = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (n++ < pieces) controller.enqueue(piece);
      else controller.close();
    },
  });
  const before = process.cpuUsage();
  expect((await EventStream.events(endless).next()).done).toBe(true);
  expect(process.cpuUsage(before).user / 1000).toBeLessThan(2_000);
});

test("the source ends when its reader stops", async () => {
  let canceled = false;
  const source = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode("data: {}\n\n")),
    cancel: () => {
      canceled = true;
    },
  });
  for await (const { data } of EventStream.events(source)) {
    expect(data).toBe("{}");
    break;
  }
  expect(canceled).toBe(true);
});
