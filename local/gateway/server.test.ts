import { connect } from "node:net";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Gateway, PortError, start } from "#local/gateway/server";
import { startLambda } from "#local/lambda/fixtures/harness";
import { platform } from "#spec/limits";
import { answering, type CallOptions, callAt, raw } from "./wire-for-tests.ts";

type TestLambda = Awaited<ReturnType<typeof startLambda>>;

const table = {
  routes: [
    { method: "GET", path: "/v1/things/{id}", function: "http" },
    { method: "GET", path: "/v1/things/known", function: "http" },
    { method: "GET", path: "/v1/things", function: "http" },
    { method: "POST", path: "/v1/things", function: "http" },
    { method: "POST", path: "/v1/broken", function: "broken" },
    { method: "POST", path: "/v1/slow", function: "slow" },
  ],
  defaultFunction: "fallback",
};
const gatewayTimeoutMs = 1_500;

let lambda: TestLambda;
let gateway: Gateway;
beforeAll(async () => {
  const http = { handler: "local/lambda/fixtures/echo.http" };
  lambda = await startLambda({
    http,
    fallback: http,
    slow: { ...http, timeoutMs: 400 },
    broken: { handler: "local/lambda/fixtures/broken.handler" },
  });
  gateway = await start({ lambda, table, host: "127.0.0.1", port: 0, timeoutMs: gatewayTimeoutMs });
});
afterAll(async () => {
  await gateway.close();
  await lambda.close();
});

const call = (path: string, options?: CallOptions) => callAt(gateway.url, path, options);

async function eventOf(path: string, options: CallOptions = {}): Promise<APIGatewayProxyEventV2> {
  const { status, text } = await call(path, options);
  expect(status).toBe(200);
  return JSON.parse(text);
}

describe("the event", () => {
  test("has the form of payload format 2.0", async () => {
    const event = await eventOf("/v1/things/a1?b=1&a=x%20y+z&b=2&e", {
      headers: {
        "X-Custom": ["one", "two"],
        Cookie: "s=1; t=2",
        "User-Agent": "test/1",
        Connection: "close",
      },
    });
    expect(event).toEqual({
      version: "2.0",
      routeKey: "GET /v1/things/{id}",
      rawPath: "/v1/things/a1",
      rawQueryString: "b=1&a=x%20y+z&b=2&e",
      cookies: ["s=1", "t=2"],
      headers: {
        host: new URL(gateway.url).host,
        "x-custom": "one,two",
        "user-agent": "test/1",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-port": new URL(gateway.url).port,
        "x-forwarded-proto": "http",
      },
      queryStringParameters: { b: "1,2", a: "x y z", e: "" },
      pathParameters: { id: "a1" },
      requestContext: {
        accountId: expect.any(String),
        apiId: expect.any(String),
        domainName: "127.0.0.1",
        domainPrefix: "127",
        http: {
          method: "GET",
          path: "/v1/things/a1",
          protocol: "HTTP/1.1",
          sourceIp: "127.0.0.1",
          userAgent: "test/1",
        },
        requestId: expect.stringMatching(/^[\w-]{15}=$/),
        routeKey: "GET /v1/things/{id}",
        stage: "$default",
        time: expect.stringMatching(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/),
        timeEpoch: expect.closeTo(Date.now(), -4),
      },
      isBase64Encoded: false,
    });
  });

  test.each([
    ["application/json", '{"a":"é"}', false],
    ["Application/JSON; charset=utf-8", "{}", false],
    ["application/problem+json", "{}", true],
    ["text/csv", "a,b", false],
    ["application/octet-stream", "\u0000\u0001", true],
    ["multipart/form-data; boundary=x", "--x--", true],
    ["application/x-www-form-urlencoded", "a=b", true],
    ["image/jpeg", "x", true],
  ])("carries a body of %s as the gateway does", async (type, body, base64) => {
    const event = await eventOf("/v1/things", { method: "POST", headers: { "content-type": type }, body });
    expect(event.isBase64Encoded).toBe(base64);
    expect(Buffer.from(event.body ?? "", base64 ? "base64" : "utf8").toString()).toBe(body);
  });

  test("carries a compressed body as base64, and a chunked one as if it had come whole", async () => {
    const gzip = await eventOf("/v1/things", {
      method: "POST",
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
      body: "x",
    });
    expect(gzip.isBase64Encoded).toBe(true);
    const untyped = await eventOf("/v1/things", { method: "POST", body: "x" });
    expect(untyped).toMatchObject({ body: "eA==", isBase64Encoded: true });
    const chunked = await eventOf("/v1/things", {
      method: "POST",
      headers: { "content-type": "text/plain", "transfer-encoding": "chunked" },
      body: "in pieces",
    });
    expect(chunked).toMatchObject({ body: "in pieces" });
    expect(chunked.headers).not.toHaveProperty("transfer-encoding");
  });

  test.each([
    ["GET", "/v1/things/known", "GET /v1/things/known", undefined],
    ["GET", "/v1/things/a%2Fb%20%C3%A9", "GET /v1/things/{id}", { id: "a/b é" }],
    ["GET", "/v1/things/", "$default", undefined],
    ["GET", "//v1/things", "$default", undefined],
    ["GET", "/v1//things", "$default", undefined],
    ["GET", "/v1/things/../things", "$default", undefined],
    ["GET", "/V1/things", "$default", undefined],
    ["DELETE", "/v1/things", "$default", undefined],
    ["OPTIONS", "/v1/things", "$default", undefined],
    ["GET", "/", "$default", undefined],
  ])("%s %s goes to %s", async (method, path, routeKey, pathParameters) => {
    const event = await eventOf(path, { method });
    expect(event).toMatchObject({ routeKey, rawPath: decodeURIComponent(path) });
    expect(event.pathParameters).toEqual(pathParameters);
  });
});

describe("an answer of a function", () => {
  test("keeps status, headers, cookies and bytes", async () => {
    const { status, headers, text } = await call(
      "/v1/things",
      answering({
        statusCode: 201,
        headers: {
          "X-One": "1",
          "X-Number": 7,
          "Content-Type": "image/png",
          Connection: "close",
          "Content-Length": "999",
        },
        cookies: ["a=1", "b=2"],
        body: Buffer.from("bytes").toString("base64"),
        isBase64Encoded: true,
      }),
    );
    expect({ status, text }).toEqual({ status: 201, text: "bytes" });
    expect(headers).toMatchObject({
      "x-one": "1",
      "x-number": "7",
      "content-type": "image/png",
      "content-length": "5",
      "set-cookie": ["a=1", "b=2"],
      "apigw-requestid": expect.stringMatching(/=$/),
    });
  });

  test("without a statusCode is the body of a 200", async () => {
    expect(await call("/v1/things", answering({ hello: "you" }))).toMatchObject({
      status: 200,
      text: '{"hello":"you"}',
      headers: { "content-type": "application/json" },
    });
    expect(await call("/v1/things", answering("text"))).toMatchObject({ status: 200, text: "text" });
  });

  test.each([
    [{ statusCode: "many" }],
    [{ statusCode: 99 }],
    [{ statusCode: 200, body: { an: "object" } }],
    [{ statusCode: 200, headers: { "X-Split": "a\r\nSet-Cookie: b" } }],
    [{ statusCode: 200, headers: { "not a name": "a" } }],
    [{ statusCode: 200, cookies: "a=1" }],
  ])("that is malformed (%j) is a 500 of the gateway", async (answer) => {
    expect(await call("/v1/things", answering(answer))).toMatchObject({
      status: 500,
      text: '{"message":"Internal Server Error"}',
    });
  });

  test("to HEAD has no body, nor has a 204", async () => {
    expect(await call("/v1/things", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    const { status, text, headers } = await call(
      "/v1/things",
      answering({ statusCode: 204, body: "ignored" }),
    );
    expect({ status, text }).toEqual({ status: 204, text: "" });
    expect(headers).not.toHaveProperty("content-type");
  });
});

describe("answers of the gateway itself", () => {
  const own = (message: string) => ({
    text: JSON.stringify({ message }),
    headers: { "apigw-requestid": expect.any(String) },
  });
  const json = { "content-type": "application/json" };

  test.each([
    [
      "declared",
      (bytes: number) => ({
        headers: { ...json, "content-length": String(bytes) },
        body: Buffer.alloc(bytes, 32),
      }),
    ],
    [
      "chunked",
      (bytes: number) => ({
        headers: { ...json, "transfer-encoding": "chunked" },
        body: Buffer.alloc(bytes, 32),
      }),
    ],
  ])("413 for a body over 10 MB (%s)", async (_kind, make) => {
    expect(
      await call("/v1/things", { method: "POST", ...make(platform.gatewayBodyBytes + 1) }),
    ).toMatchObject({
      status: 413,
      ...own("Request Entity Too Large"),
    });
  });

  test("413 for an event over 6 MB: base64 and JSON escapes count", async () => {
    const binary = { "content-type": "image/png" };
    const post = (headers: Record<string, string>, body: Buffer) =>
      call("/v1/things", { method: "POST", headers, body });
    expect(await post(binary, Buffer.alloc(5 * 1024 * 1024))).toMatchObject({
      status: 413,
      ...own("Request Entity Too Large"),
    });
    expect(await post({ "content-type": "text/plain" }, Buffer.alloc(3 * 1024 * 1024, '"'))).toMatchObject({
      status: 413,
    });
    expect(await post({ "content-type": "text/plain" }, Buffer.alloc(5 * 1024 * 1024, "a"))).toMatchObject({
      status: 200,
    });
  });

  test("431 for headers over 10 KB, to the byte near it and far beyond", async () => {
    const small = await call("/v1/things", { headers: { "x-large": "a".repeat(10_000) } });
    expect(small.status).toBe(200);
    const large = await call("/v1/things", { headers: { "x-large": "a".repeat(10_240) } });
    expect(large).toMatchObject({ status: 431, ...own("Request Header Fields Too Large") });
    expect(
      await raw(gateway.url, `GET /v1/things?${"q".repeat(200_000)} HTTP/1.1\r\nhost: x\r\n\r\n`),
    ).toMatch(/^HTTP\/1.1 431 /);
  });

  test("503 when a function does not answer in time, also if it was never started", async () => {
    const begin = performance.now();
    const slow = Array.from({ length: 6 }, () =>
      call("/v1/things", { method: "POST", headers: json, body: JSON.stringify({ sleepMs: 3_000 }) }),
    );
    for (const answer of await Promise.all(slow))
      expect(answer).toMatchObject({ status: 503, ...own("Service Unavailable") });
    expect(performance.now() - begin).toBeLessThan(gatewayTimeoutMs + 1_000);
    await vi.waitFor(() => expect(lambda.instances().every(({ state }) => state !== "busy")).toBe(true), {
      timeout: 5_000,
    });
  });

  test.each([
    ["crashes", "/v1/things", { crash: true }],
    ["passes its own timeout", "/v1/slow", { sleepMs: 60_000 }],
    ["does not load", "/v1/broken", {}],
  ])("500 for a function that %s", async (_what, path, body) => {
    expect(await call(path, { method: "POST", headers: json, body: JSON.stringify(body) })).toMatchObject({
      status: 500,
      ...own("Internal Server Error"),
    });
    expect((await call("/v1/things")).status).toBe(200);
  });

  test.each([
    ["no HTTP", "hello\r\n\r\n"],
    ["a broken header", "GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n"],
    ["two lengths", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"],
    [
      "length and chunks",
      "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["a broken escape", "GET /%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
    ["no path", "GET * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
    ["a proxy request", "CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["no host", "GET / HTTP/1.1\r\n\r\n"],
  ])("400 for %s", async (_what, bytes) => {
    expect(await raw(gateway.url, bytes)).toMatch(/^HTTP\/1.1 400 /);
    expect((await call("/v1/things")).status).toBe(200);
  });
});

describe("a connection", () => {
  test("that asks for 100-continue gets it, and a 413 at once when the body would be too large", async () => {
    const head = (bytes: number) =>
      `POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: ${bytes}\r\n\r\n`;
    expect(await raw(gateway.url, head(2), "ab")).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
    expect(await raw(gateway.url, head(platform.gatewayBodyBytes + 1))).toMatch(/^HTTP\/1.1 413 /);
  });

  test("is kept and used again", async () => {
    const get = (more: string) => `GET /v1/things HTTP/1.1\r\nhost: x\r\n${more}\r\n`;
    const text = await raw(gateway.url, get(""), get(""), get("connection: close\r\n"));
    expect(text.match(/HTTP\/1.1 200 /g)).toHaveLength(3);
  });

  test("of HTTP/1.0 and an absolute target are answered", async () => {
    expect(await raw(gateway.url, "GET /v1/things HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1.1 200 /);
    expect(
      await raw(
        gateway.url,
        "GET http://elsewhere/v1/things/7 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
      ),
    ).toContain('"rawPath":"/v1/things/7"');
  });

  test("that the client ends early affects neither the function nor the next client", async () => {
    const { port } = new URL(gateway.url);
    const body = JSON.stringify({ sleepMs: 300 });
    const half = connect(Number(port), "127.0.0.1");
    half.write("POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf");
    const waiting = connect(Number(port), "127.0.0.1");
    waiting.write(
      `POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await vi.waitFor(() => expect(lambda.instances().some(({ state }) => state === "busy")).toBe(true));
    const [busy] = lambda.instances().filter(({ state }) => state === "busy");
    half.destroy();
    waiting.destroy();
    await vi.waitFor(() =>
      expect(lambda.instances()).toContainEqual(expect.objectContaining({ pid: busy?.pid, state: "idle" })),
    );
    expect((await call("/v1/things")).status).toBe(200);
  });
});

test("a port that is in use is refused in one line", async () => {
  const port = Number(new URL(gateway.url).port);
  const second = start({ lambda, table, host: "127.0.0.1", port, timeoutMs: 1_000 });
  await expect(second).rejects.toThrow(PortError);
  await expect(second).rejects.toThrow(`port ${port} is in use`);
});

test("closing lets a call in flight finish and accepts no new one", async () => {
  const own = await start({ lambda, table, host: "127.0.0.1", port: 0, timeoutMs: 1_000 });
  const inFlight = fetch(`${own.url}/v1/things`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sleepMs: 200 }),
  });
  await vi.waitFor(() => expect(lambda.instances().some(({ state }) => state === "busy")).toBe(true));
  const closed = own.close(2_000);
  await expect(fetch(`${own.url}/v1/things`)).rejects.toThrow("fetch failed");
  expect((await inFlight).status).toBe(200);
  await closed;
});
