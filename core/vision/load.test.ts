import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import * as Load from "./load.ts";

/** As vLLM 0.32 writes it, with a metric whose name begins like one that is read. */
const metrics = (engine: string, running: number, waiting: number, kv: number) => `
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="${engine}",model_name="Qwen/Qwen3-VL-8B-Instruct"} ${running}.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="${engine}",model_name="Qwen/Qwen3-VL-8B-Instruct"} ${waiting}.0
vllm:num_requests_waiting_by_reason{engine="${engine}",reason="capacity"} 99.0
vllm:kv_cache_usage_perc{engine="${engine}",model_name="Qwen/Qwen3-VL-8B-Instruct"} ${kv}
`;

let server: http.Server;
let answer: (request: http.IncomingMessage, response: http.ServerResponse) => void;
let base: string;
beforeAll(async () => {
  server = http.createServer((request, response) => answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  answer = (_, response) => response.end();
});

const read = (more: { baseUrl?: string; timeoutMs?: number } = {}) => {
  const times = { connectTimeoutMs: 1_000, readTimeoutMs: 1_000 };
  const about = { baseUrl: `${base}/v1`, apiKey: "k", model: "m", maxModelLen: undefined, ...more };
  return Load.read({ ...about, ...times } as Parameters<typeof Load.read>[0], more.timeoutMs ?? 5_000);
};

test("vLLM's requests are read from `/metrics` beside /v1 with the key, and the engines of one server are added up", async () => {
  const seen: string[] = [];
  answer = (request, response) => {
    seen.push(`${request.url} ${request.headers.authorization}`);
    response.end(metrics("0", 3, 2, 0.25) + metrics("1", 4, 0, 0.5));
  };
  expect(await read()).toEqual({ running: 7, waiting: 2, kvUsed: 0.5 });
  expect(seen).toEqual(["/metrics Bearer k"]);
});

test.each([
  ["another status", 404, metrics("0", 1, 1, 0)],
  ["a page of a proxy", 200, "<html>vllm:num_requests_running</html>"],
  ["numbers that are none", 200, "vllm:num_requests_running NaN\nvllm:num_requests_waiting -1\n"],
])("%s says nothing", async (_, status, body) => {
  answer = (_request, response) => response.writeHead(status).end(body);
  expect(await read()).toBeUndefined();
});

test("a server that does not answer in time, or is away, gives undefined", async () => {
  answer = () => undefined;
  expect(await read({ timeoutMs: 50 })).toBeUndefined();
  expect(await read({ baseUrl: "http://127.0.0.1:1/v1" })).toBeUndefined();
});
