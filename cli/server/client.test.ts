import { afterEach, describe, expect, it } from "vitest";
import { type Scripted, serve } from "#test/support/scripted-server";
import { CallError } from "./call-error.ts";
import * as Client from "./client.ts";
import * as Extracts from "./extracts.ts";

let close = async () => {};
afterEach(() => close());

async function against(...script: Scripted[]) {
  const server = await serve(script);
  close = server.close;
  return { ...server, target: Client.target(server.url, "key-1") };
}

const picture = { image_base64: "aGk=" };
const done = {
  request_id: "r-1",
  status: "succeeded",
  result: { total: "1" },
  artifact_rel: "extracts/x.json",
};
const running = {
  status: 202,
  headers: { "retry-after": "0" },
  body: { request_id: "r-1", status: "running", poll_url: "/v1/extracts/r-1" },
};
const failure = async (call: Promise<unknown>): Promise<CallError> => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CallError)) throw error ?? new Error("it succeeded");
  expect(error.message).not.toContain("\n");
  return error;
};

describe("extract", () => {
  it("gives the answer as it came, its fields in their order", async () => {
    const { target, seen } = await against({ body: { z: 1, ...done } });
    expect(JSON.stringify(await Extracts.extract(target, picture))).toBe(JSON.stringify({ z: 1, ...done }));
    expect(seen[0]).toMatchObject({
      method: "POST",
      path: "/v1/extract",
      headers: { authorization: "Bearer key-1" },
    });
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual(picture);
  });

  it("polls an answer that comes later until it is there", async () => {
    const { target, seen } = await against(running, running, { body: done });
    expect(await Extracts.extract(target, picture)).toEqual(done);
    expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /v1/extract",
      "GET /v1/extracts/r-1",
      "GET /v1/extracts/r-1",
    ]);
  });

  it("an extract that failed in the end is an error that concerns only this picture", async () => {
    const error = { code: "inference_timeout", message: "no time left" };
    const { target } = await against(running, { body: { ...done, status: "failed", error } });
    expect(await failure(Extracts.extract(target, picture))).toMatchObject({
      scope: "item",
      code: "inference_timeout",
      message: "no time left (inference_timeout)",
    });
  });

  it("never polls another host, which would get the key", async () => {
    const { target, seen } = await against({
      ...running,
      body: { ...running.body, poll_url: "http://127.0.0.2:9/v1/extracts/r-1" },
    });
    expect((await failure(Extracts.extract(target, picture))).scope).toBe("server");
    expect(seen).toHaveLength(1);
  });

  it("waits out a rate limit, and gives up after the third time", async () => {
    const limited = {
      status: 429,
      headers: { "retry-after": "0" },
      body: { error: { code: "rate_limited", message: "slowly", request_id: "x", details: {} } },
    };
    const patient = await against(limited, limited, { body: done });
    expect(await Extracts.extract(patient.target, picture)).toEqual(done);
    await close();
    const strict = await against(limited);
    expect(await failure(Extracts.extract(strict.target, picture))).toMatchObject({
      code: "rate_limited",
      scope: "server",
    });
    expect(strict.seen).toHaveLength(3);
  });
});

describe("what went wrong is one line", () => {
  it.each([
    [
      "our own error: all of its issues",
      {
        status: 400,
        body: {
          error: {
            code: "invalid_request",
            message: "task_id: no such task (and 1 more)",
            request_id: "x",
            details: {
              issues: [
                { path: "task_id", message: "no such task" },
                { path: "image", message: "unknown field" },
              ],
            },
          },
        },
      },
      {
        scope: "item",
        code: "invalid_request",
        message: "task_id: no such task; image: unknown field (invalid_request)",
      },
    ],
    [
      "a key that is refused",
      {
        status: 401,
        body: {
          error: { code: "unauthorized", message: "no API key came: send the header `X`", request_id: "x" },
        },
      },
      { scope: "server", code: "unauthorized" },
    ],
    [
      "the gateway's 413",
      { status: 413, body: { message: "Request Too Long" } },
      { scope: "item", code: "gateway", message: "Request Too Long (the gateway answered 413)" },
    ],
    [
      "the gateway's throttling",
      { status: 429, body: { message: "Too Many Requests" }, headers: { "retry-after": "0" } },
      { scope: "server", code: "gateway" },
    ],
    [
      "a proxy's page",
      { status: 502, body: "<html><title>502\n Bad Gateway</title>" },
      {
        scope: "server",
        code: "odd_answer",
        message: expect.stringContaining('answered 502 with text/html ("502 Bad Gateway")'),
      },
    ],
    ["a page that says 200", { body: "<html>Welcome" }, { scope: "server", code: "odd_answer" }],
    ["JSON of another program", { body: { hello: "world" } }, { scope: "server", code: "odd_answer" }],
    [
      "a redirect",
      { status: 308, headers: { location: "https://other.example/v1/extract?x=secret" }, body: "" },
      { scope: "server", message: "the server sends us on to https://other.example (308): use that address" },
    ],
    [
      "a connection that breaks",
      { handle: (request) => request.socket.destroy() },
      { scope: "server", code: "network" },
    ],
  ] satisfies [string, Scripted, object][])("%s", async (_, answer, expected) => {
    const { target } = await against(answer);
    expect(await failure(Extracts.extract(target, picture))).toMatchObject(expected);
  });

  it("a server that is not there, and one that does not answer in time", async () => {
    const gone = await against({});
    await close();
    expect((await failure(Client.get(gone.target, "/health"))).message).toMatch(
      /nobody listens there \(ECONNREFUSED\)/,
    );
    const slow = await against({ handle: () => {} });
    expect((await failure(Client.get(slow.target, "/health", { timeoutMs: 100 }))).message).toMatch(
      /no answer in time/,
    );
  });

  it("an address or a key that cannot be sent is refused without showing it", () => {
    expect(() => Client.target("localhost:8080", undefined)).toThrow(/http:\/\/ or https:\/\//);
    expect(() => Client.target("file:///etc/passwd", undefined)).toThrow(CallError);
    expect(() => Client.target("http://x", "geheim\nX-Evil: 1")).toThrow(/^(?!.*geheim)/);
  });
});

it("a server below a path is called below it", async () => {
  const { url, seen } = await against({ body: { ok: true } });
  await Client.get(Client.target(`${url}/prod`, undefined), "/v1/me");
  expect(seen[0]).toMatchObject({ path: "/prod/v1/me" });
  expect(seen[0]?.headers.authorization).toBeUndefined();
});

it("an abort ends a call that hangs, with the caller's reason", async () => {
  const { target } = await against({ handle: () => {} });
  const abort = new AbortController();
  const call = Extracts.extract(target, picture, abort.signal);
  abort.abort(new Error("enough"));
  await expect(call).rejects.toThrow("enough");
});

it("only limits that pass with time are temporary: a limit on the run's size has no Retry-After", async () => {
  const refusal = (status: number, code: string, headers: Record<string, string> = {}): Scripted => ({
    status,
    headers,
    body: { error: { code, message: "no", request_id: "x", details: {} } },
  });
  const passes = async (answer: Scripted) =>
    (await failure(Client.get((await against(answer)).target, "/v1/me"))).passes;
  expect(await passes(refusal(429, "rate_limited", { "retry-after": "3" }))).toBe(true);
  expect(await passes(refusal(429, "rate_limited"))).toBe(false);
  expect(await passes({ status: 429, body: { message: "Too Many Requests" } })).toBe(true);
  expect(await passes(refusal(503, "storage_unavailable"))).toBe(true);
  expect(await passes({ handle: (request) => request.socket.destroy() })).toBe(true);
  expect(await passes(refusal(400, "invalid_request"))).toBe(false);
  expect(await passes(refusal(409, "conflict"))).toBe(false);
});

it("a manifest's mistakes are printed one per line, each with its line number", async () => {
  const issues = [1, 2, 3, 4].map((line) => ({ line, path: "custom_id", message: "is taken" }));
  const { target } = await against({
    status: 400,
    body: {
      error: {
        code: "invalid_request",
        message: "line 1: custom_id: is taken (and 3 more)",
        request_id: "x",
        details: { issues },
      },
    },
  });
  await expect(Client.get(target, "/v1/me")).rejects.toThrow(
    "4 mistakes:\n  line 1: custom_id: is taken\n  line 2: custom_id: is taken\n" +
      "  line 3: custom_id: is taken\n  line 4: custom_id: is taken (invalid_request)",
  );
});
