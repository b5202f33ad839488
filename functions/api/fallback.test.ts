import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import { afterAll, describe, expect, test, vi } from "vitest";
import { handler } from "#functions/api/fallback";
import * as Routes from "#spec/routes";

vi.stubEnv("LOG_LEVEL", "SILENT");
afterAll(() => vi.unstubAllEnvs());

/** The function as API Gateway calls it, without a key. */
async function call(
  path: string,
  { method = "GET", query = "", headers = {} as Record<string, string> } = {},
) {
  const routeKey = path === "/" && method !== "POST" ? `${method} /` : "$default";
  const event = {
    routeKey,
    rawPath: path,
    rawQueryString: query,
    headers: { "x-forwarded-proto": "https", host: "api.example.com", ...headers },
    requestContext: { http: { method, path }, domainName: "api.example.com", timeEpoch: Date.now() },
  } as unknown as APIGatewayProxyEventV2;
  const context = { functionName: "fallback", getRemainingTimeInMillis: () => 5_000 } as unknown as Context;
  const { statusCode, headers: given = {}, body } = await handler(event, context);
  const json = /json/.test(String(given["Content-Type"])) && body ? JSON.parse(String(body)) : {};
  return { status: statusCode, headers: given, body, json };
}

describe("GET /", () => {
  test("gives a program the addresses of all documents, on the host that was called", async () => {
    const { status, json, headers } = await call("/");
    expect(status).toBe(200);
    expect(headers.Vary).toBe("Accept");
    expect(json).toEqual({
      name: "OCRlty",
      version: expect.any(String),
      docs_url: "https://api.example.com/docs",
      openapi_url: "https://api.example.com/openapi.json",
      health_url: "https://api.example.com/health",
    });
  });

  test("is a page for a browser, without a script", async () => {
    const accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    const { headers, body } = await call("/", { headers: { accept } });
    expect(headers["Content-Type"]).toBe("text/html; charset=utf-8");
    expect(headers["Content-Security-Policy"]).toContain("default-src 'none'");
    expect(body).toContain('href="/docs"');
  });

  test("answers HEAD without a body, and nothing else", async () => {
    expect(await call("/", { method: "HEAD" })).toMatchObject({ status: 200, body: undefined });
    const wrong = await call("/", { method: "POST" });
    expect(wrong).toMatchObject({ status: 405, headers: { Allow: "GET,HEAD" } });
  });
});

describe("a trailing slash", () => {
  test.each([
    ["/docs/", "", "/docs"],
    ["/v1/extract/", "task_id=receipt_v1&x=%2F", "/v1/extract?task_id=receipt_v1&x=%2F"],
    ["/v1/runs/a b%/items//", "", "/v1/runs/a%20b%25/items"],
    ["/v1/extracts/x\r\nSet-Cookie: a=b/", "", "/v1/extracts/x%0D%0ASet-Cookie%3A%20a%3Db"],
    ["/v1/extracts/", "limit=2", "/v1/extracts?limit=2"],
  ])("%s is redirected to the path without it, whatever the method", async (path, query, location) => {
    for (const method of ["GET", "HEAD", "POST", "DELETE"]) {
      const answer = await call(path, { method, query });
      expect(answer).toMatchObject({ status: 308, headers: { Location: location } });
      expect(answer.body).toBeUndefined();
    }
  });

  test("never leads to another host or to a path that does not exist", async () => {
    for (const path of [
      "//evil.example/",
      "/\\evil.example/",
      "//",
      "/v1/nothing/",
      "/https://evil.example/",
    ])
      expect(await call(path), path).toMatchObject({ status: 404 });
  });
});

describe("an unknown path", () => {
  test.each([
    ["/v1/extracs", "did you mean `POST /v1/extract` or `GET /v1/extracts`?"],
    ["/extract", "did you mean `POST /v1/extract`?"],
    ["/api/v1/tasks", "did you mean `GET /v1/tasks`?"],
    ["//v1/extract", "did you mean `POST /v1/extract`?"],
    ["/v1/run/my-run", "did you mean `GET /v1/runs/{run_id}`"],
    ["/v1/extracts/my-own-id/raw2", "did you mean `POST /v1/extract` or `GET /v1/extracts`?"],
    ["/v1/batch-extract", "did you mean `POST /v1/batch_extract`?"],
    ["/healthz", "did you mean `GET /health`?"],
    ["/openapi.yaml", "the paths that there are are in /docs and /openapi.json"],
    ["/wp-login.php", "the paths that there are are in /docs and /openapi.json"],
  ])("%s gets a hint at the probable path, and is not repeated", async (path, told) => {
    const { status, json } = await call(path);
    expect(status).toBe(404);
    expect(json.error.message).toContain(told);
    expect(json.error.message).not.toMatch(/my-run|my-own-id|wp-login/);
    expect(json.error).toMatchObject({
      param: null,
      doc_url: "https://api.example.com/docs/errors#not_found",
    });
  });
});

test("for a wrong method the answer lists the right ones; for a debug route that is off it lists none", async () => {
  const answer = await call("/v1/extract", { method: "PUT" });
  expect(answer).toMatchObject({ status: 405, headers: { Allow: "POST" } });
  expect(answer.json.error.message).toBe("this path takes POST and nothing else");
  expect(Routes.methodsAt("/v1/debug/artifacts", true)).toEqual(["GET", "HEAD"]);
  expect(Routes.methodsAt("/v1/debug/artifacts", false)).toEqual([]);
});
