import { createHash } from "node:crypto";
import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import { describe, expect, test, vi } from "vitest";
import { handler } from "#functions/api/docs";
import { html, markdown } from "#functions/docs-page/html";
import * as Routes from "#infra/routes";

vi.stubEnv("LOG_LEVEL", "SILENT");

/** The function as API Gateway calls it, without a key. */
async function get(path: string) {
  const event = {
    version: "2.0",
    routeKey: `GET ${path}`,
    rawPath: path,
    rawQueryString: "",
    headers: {},
    requestContext: { http: { method: "GET", path }, timeEpoch: Date.now() },
    isBase64Encoded: false,
  } as unknown as APIGatewayProxyEventV2;
  const context = { functionName: "docs", getRemainingTimeInMillis: () => 5_000 } as Context;
  const { statusCode, headers = {}, body = "" } = await handler(event, context);
  return { status: statusCode, headers: headers as Record<string, string>, body };
}

describe("GET /openapi.json", () => {
  test("answers the committed document to anybody", async () => {
    const { status, headers, body } = await get("/openapi.json");
    expect(status).toBe(200);
    expect(headers["Content-Type"]).toBe("application/json; charset=utf-8");
    expect(JSON.parse(body)).toMatchObject({
      openapi: "3.1.1",
      servers: [{ url: "/" }],
      info: { license: { identifier: "MIT" } },
    });
    expect(headers["X-Content-Type-Options"]).toBe("nosniff");
  });
});

describe("GET /docs", () => {
  test("runs no script and loads nothing: every address in it is its own", async () => {
    const { status, headers, body } = await get("/docs");
    expect(status).toBe(200);
    expect(headers["Content-Type"]).toBe("text/html; charset=utf-8");
    expect(body).not.toMatch(/<script|<iframe|<img|<object|<form|\son\w+=|\sstyle=|@import|url\(/i);
    const addresses = [...body.matchAll(/\s(?:href|src|srcset|action)="([^"]*)"/g)].map(
      (match) => match[1] ?? "",
    );
    expect(addresses.length).toBeGreaterThan(20);
    expect(addresses.filter((address) => !/^(#[\w-]+|data:,|\/openapi\.json)$/.test(address))).toEqual([]);
  });

  test("has a policy that forbids everything but its one style sheet", async () => {
    const { headers, body } = await get("/docs");
    const sheets = [...body.matchAll(/<style>([\s\S]*?)<\/style>/g)].map((match) => match[1] ?? "");
    expect(sheets).toHaveLength(1);
    const hash = createHash("sha256")
      .update(sheets[0] ?? "")
      .digest("base64");
    expect(headers["Content-Security-Policy"]).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    expect(headers["X-Content-Type-Options"]).toBe("nosniff");
  });

  test("shows every route, and every link in it has its place", async () => {
    const { body } = await get("/docs");
    for (const { method, path } of Routes.routes) {
      expect(body).toContain(
        `<span class="method ${method.toLowerCase()}">${method}</span> <code>${path}</code>`,
      );
    }
    const ids = [...body.matchAll(/\sid="([^"]*)"/g)].map((match) => match[1]);
    expect(new Set(ids).size).toBe(ids.length);
    const targets = [...body.matchAll(/href="#([^"]*)"/g)].map((match) => match[1]);
    expect(targets.filter((target) => !ids.includes(target))).toEqual([]);
  });
});

describe("the page's templates", () => {
  test("text can never become markup", () => {
    expect(html`<b title="${'"><script>'}">${["<i>", html`<u>${"&"}</u>`]}</b>`.text).toBe(
      '<b title="&quot;&gt;&lt;script&gt;">&lt;i&gt;<u>&amp;</u></b>',
    );
  });

  test("Markdown is paragraphs, lists, code and bold", () => {
    expect(markdown("a **b** `<c>`\nd\n\n- x\n- y").text).toBe(
      "<p>a <strong>b</strong> <code>&lt;c&gt;</code> d</p><ul><li>x</li><li>y</li></ul>",
    );
  });
});
