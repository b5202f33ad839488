/** Answers of `/docs`, from the bundle that the local loop runs and the files beside it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from "aws-lambda";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { codes } from "#core/error";
import * as Guides from "#functions/docs-page/guides";
import { product } from "#local/app";
import { type Bundle, bundle } from "#local/bundle/bundle";
import { packageRoot } from "#local/home/home";
import * as Markdown from "#local/pages/markdown";
import { configuration } from "#local/pages/reference";
import * as Limits from "#spec/limits";

vi.stubEnv("LOG_LEVEL", "SILENT");
afterAll(() => vi.unstubAllEnvs());
vi.setConfig({ hookTimeout: 120_000 });

type Handler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;
let built: Bundle;
let handler: Handler;
beforeAll(async () => {
  // The loop's own bundles, which exist if a loop has run.
  const handlers = Object.entries(product.functions).map(([name, spec]) => [name, spec.handler]);
  built = await bundle({ handlers: Object.fromEntries(handlers), pages: true });
  const { file, exportName } = built.functions.docs ?? {};
  handler = (await import(pathToFileURL(file ?? "").href))[exportName ?? ""];
});
afterAll(() => built?.release());

interface Answer {
  status: number;
  headers: Record<string, string>;
  /** The body as it is sent. */
  bytes: Buffer;
  /** Inflated. */
  text: string;
  /** The size of the whole answer, as Lambda counts it. */
  payloadBytes: number;
}

/** The function as API Gateway calls it, without a key. */
async function get(routeKey: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const [, template = ""] = routeKey.split(" ");
  const parameter = /\{(\w+)\}/.exec(template)?.[1];
  const event = {
    version: "2.0",
    routeKey,
    rawPath: path,
    rawQueryString: "",
    headers,
    ...(parameter === undefined ? {} : { pathParameters: { [parameter]: path.split("/").at(-1) ?? "" } }),
    requestContext: { http: { method: "GET", path }, timeEpoch: Date.now() },
    isBase64Encoded: false,
  } as unknown as APIGatewayProxyEventV2;
  const context = { functionName: "docs", getRemainingTimeInMillis: () => 5_000 } as Context;
  const result = await handler(event, context);
  const bytes = Buffer.from(result.body ?? "", result.isBase64Encoded ? "base64" : "utf8");
  const sent = (result.headers ?? {}) as Record<string, string>;
  return {
    status: result.statusCode ?? 0,
    headers: sent,
    bytes,
    text: (sent["Content-Encoding"] === "gzip" ? gunzipSync(bytes) : bytes).toString("utf8"),
    payloadBytes: Buffer.byteLength(JSON.stringify(result)),
  };
}
const gzip = { "accept-encoding": "gzip, deflate, br" };
const page = (name: string, headers?: Record<string, string>) =>
  get("GET /docs/{page}", `/docs/${name}`, headers);
const asset = (path: string, headers?: Record<string, string>) =>
  get("GET /docs/assets/{asset}", path, headers);
const guides = Object.keys(Guides.guides);

test("openapi.json is the committed document, for anybody", async () => {
  const { status, headers, text } = await get("GET /openapi.json", "/openapi.json");
  expect([status, headers["Content-Type"]]).toEqual([200, "application/json; charset=utf-8"]);
  const committed = readFileSync(join(packageRoot, "docs", "openapi.json"), "utf8");
  expect(JSON.parse(text)).toEqual(JSON.parse(committed));
  const packed = await get("GET /openapi.json", "/openapi.json", gzip);
  expect(packed.headers).toMatchObject({ "Content-Encoding": "gzip", Vary: "Accept-Encoding" });
  expect(packed.bytes.length).toBeLessThan(text.length / 5);
  expect(packed.text).toBe(text);
});

describe("the reference", () => {
  test("its policy allows only its own host, and styles within the page", async () => {
    const { headers } = await get("GET /docs", "/docs");
    const policy = Object.fromEntries(
      (headers["Content-Security-Policy"] ?? "")
        .split("; ")
        .map((part) => [part.split(" ")[0], part.split(" ").slice(1).join(" ")]),
    );
    expect(policy).toEqual({
      "default-src": "'none'",
      "script-src": "'self'",
      "style-src": "'self' 'unsafe-inline'",
      "connect-src": "'self'",
      "img-src": "'self' data: blob:",
      "base-uri": "'none'",
      "form-action": "'none'",
      "frame-ancestors": "'none'",
    });
    expect(headers).toMatchObject({
      "X-Content-Type-Options": "nosniff",
      "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
      "Cross-Origin-Opener-Policy": "same-origin",
    });
  });

  test("features that call another host are off, and a key is not stored", async () => {
    expect(configuration).toMatchObject({
      url: "/openapi.json",
      withDefaultFonts: false,
      proxyUrl: "",
      telemetry: false,
      agent: { disabled: true },
      mcp: { disabled: true },
      showDeveloperTools: "never",
      hideClientButton: true,
      persistAuth: false,
    });
    const { text } = await get("GET /docs", "/docs");
    const given = /data-configuration="([^"]+)"/.exec(text)?.[1]?.replaceAll("&quot;", '"') ?? "";
    expect(JSON.parse(given)).toEqual(configuration);
    // No script inside the page is executed: the only one is data.
    const inline = [...text.matchAll(/<script(?![^>]*\ssrc=)[^>]*>/g)].map(([tag]) => tag);
    expect(inline.filter((tag) => !tag.includes('type="application/json"'))).toEqual([]);
  });

  test("its script may be cached forever, and fits into an answer of Lambda, compressed or not", async () => {
    const { text } = await get("GET /docs", "/docs");
    const path = /"(\/docs\/assets\/scalar-[0-9a-f]{16}\.js)"/.exec(text)?.[1] ?? "";
    const packed = await asset(path, gzip);
    expect(packed.headers).toMatchObject({
      "Content-Type": "text/javascript; charset=utf-8",
      "Content-Encoding": "gzip",
      "Cache-Control": "public, max-age=31536000, immutable",
      Vary: "Accept-Encoding",
    });
    const plain = await asset(path);
    expect(plain.headers["Content-Encoding"]).toBeUndefined();
    expect(plain.text === packed.text).toBe(true);
    // 1.42 MB are 1.89 MB of base64; 4.91 MB of text are 4.95 MB as JSON, and would be 6.55 MB of base64.
    for (const { payloadBytes } of [packed, plain])
      expect(payloadBytes).toBeLessThan(Limits.platform.lambdaPayloadBytes);
    // It asks for no source map, and is a script.
    expect(plain.text).not.toContain("sourceMappingURL");
    expect(plain.text.startsWith("(function(){")).toBe(true);
  });

  test("as Markdown it names every route of the document", async () => {
    const { text, headers } = await page("reference.md");
    expect(headers["Content-Type"]).toBe("text/markdown; charset=utf-8");
    const document = JSON.parse((await get("GET /openapi.json", "/openapi.json")).text);
    for (const [path, methods] of Object.entries<object>(document.paths))
      for (const method of Object.keys(methods))
        expect(text).toContain(`### ${method.toUpperCase()} ${path}\n`);
    for (const name of Object.keys(document.components.schemas)) expect(text).toContain(`### ${name}\n`);
  });
});

describe("the guides", () => {
  test("each is a page without scripts of other hosts, with its Markdown beside it", async () => {
    for (const name of guides) {
      const { status, headers, text } = await page(name);
      expect([status, headers["Content-Type"]], name).toEqual([200, "text/html; charset=utf-8"]);
      expect(headers["Content-Security-Policy"], name).toContain("style-src 'self'");
      expect(headers["Content-Security-Policy"], name).not.toMatch(/unsafe|connect-src|https?:/);
      expect(text, name).not.toMatch(/\son\w+=|\sstyle=|<iframe|<object|<form|javascript:/i);
      const source = readFileSync(join(packageRoot, "docs", `${name}.md`), "utf8").replaceAll("\r\n", "\n");
      expect((await page(`${name}.md`)).text, name).toBe(source);
      const asked = await page(name, { accept: "text/markdown, */*;q=0.1", ...gzip });
      expect([asked.text, asked.headers.Vary], name).toEqual([source, "Accept-Encoding, Accept"]);
    }
  });

  test("every link leads to an existing page, an existing heading, or an https address", async () => {
    const ids = new Map<string, string[]>();
    const links: [string, string][] = [];
    for (const name of Guides.names) {
      const { text } = await page(name);
      const own = [...text.matchAll(/\sid="([^"]*)"/g)].map(([, id = ""]) => id);
      expect(new Set(own).size, name).toBe(own.length);
      ids.set(name === Guides.reference ? "/docs" : `/docs/${name}`, own);
      for (const [, href = ""] of text.matchAll(/\s(?:href|src)="([^"]*)"/g)) links.push([name, href]);
    }
    const dead: string[] = [];
    for (const [from, href] of links) {
      if (/^(https:\/\/|data:,$)/.test(href)) continue;
      const [path = "", hash] = href.split("#");
      const at = path === "" ? `/docs/${from}` : path;
      if (path.startsWith("/docs/assets/")) {
        if ((await asset(path, gzip)).status !== 200) dead.push(`${from}: ${href}`);
      } else if (hash !== undefined) {
        if (!ids.get(at)?.includes(hash)) dead.push(`${from}: ${href}`);
      } else if (!ids.has(path) && !["/llms.txt", "/openapi.json"].includes(path)) {
        if (!/^\/docs\/\w[\w-]*\.md$/.test(path) || (await page(path.slice(6))).status !== 200)
          dead.push(`${from}: ${href}`);
      }
    }
    expect(links.length).toBeGreaterThan(50);
    expect(dead).toEqual([]);
  });

  test("every error's `doc_url` leads to its heading", async () => {
    const { text } = await page("errors");
    for (const code of Object.keys(codes)) expect(text).toContain(`id="${code}"`);
  });

  test("an unknown page is 404 with the list of pages; a file's name cannot be a path", async () => {
    for (const name of ["none", "quickstart.html", "..", "%2e%2e", "constructor", "quickstart.md.md"]) {
      const { status, text } = await page(name);
      expect(status, name).toBe(404);
      const { error } = JSON.parse(text);
      expect(error.code).toBe("not_found");
      for (const guide of guides) expect(error.message).toContain(guide);
      expect([error.param, error.details.allowed]).toEqual(["page", Guides.names]);
    }
    for (const name of [
      "none",
      "../openapi.json",
      "page.css",
      `page-${"0".repeat(16)}.css`,
      "..%2f..%2fdocs.mjs",
    ])
      expect((await asset(`/docs/assets/${encodeURIComponent(name)}`)).status, name).toBe(404);
    const climbing = { ...gzip };
    expect((await get("GET /docs/assets/{asset}", "/docs/assets/..\\..\\x", climbing)).status).toBe(404);
  });
});

test("llms.txt has the form of llmstxt.org, and every page and the document are in it", async () => {
  const { text, headers } = await get("GET /llms.txt", "/llms.txt");
  expect(headers["Content-Type"]).toBe("text/plain; charset=utf-8");
  expect(text).toMatch(/^# OCRlty\n\n> \S.*\n\n/);
  const links = [...text.matchAll(/^- \[([^\]]+)\]\(([^)]+)\): (.+)$/gm)];
  expect(links.map(([, , address]) => address)).toEqual([
    ...Guides.names.map((name) => `/docs/${name}.md`),
    "/openapi.json",
  ]);
  for (const [line, , , note = ""] of links) expect(note, line).toMatch(/^.{20,300}\.$/);
});

describe("Markdown becomes HTML without active content", () => {
  const render = (text: string) => Markdown.render(text, (href) => (href === "a.md" ? "/docs/a" : undefined));

  test("markup in it is shown as text, and an address of another host becomes no link", () => {
    const { body } = render(
      "# T\n\n<script>alert(1)</script>\n\n<b onclick=x>y</b> ![p](javascript:x) [z](javascript:alert(1)) [a](a.md)\n\n`<i>`",
    );
    expect(body.text).not.toMatch(/<(script|b|i|img)\b/);
    expect(body.text).not.toContain("javascript:");
    expect(body.text).toContain('<a href="/docs/a">a</a>');
    expect(body.text).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
  });

  test("each cell of a table also has its column's name, and a paragraph that begins with a status is no numbered list", () => {
    const { body } = render("| a `b` | |\n|---|---|\n| 1 | 2 |\n");
    expect(body.text).toContain('<td data-label="a b">1</td><td>2</td>');
    for (const name of Guides.names.filter((each) => each !== Guides.reference))
      expect(
        render(readFileSync(join(packageRoot, "docs", `${name}.md`), "utf8")).body.text,
        name,
      ).not.toMatch(/<ol start="\d{3}"/);
  });

  test("title, summary and anchors are those of GitHub", () => {
    const { title, summary, headings } = render(
      '# A `b` & c\n\nFirst, of `x`. Second.\n\n## `invalid_image`\n\n## Once\n\n## Once\n\n### <kbd> & "q"\n',
    );
    expect([title, summary]).toEqual(["A b & c", "First, of x."]);
    expect(headings.map(({ anchor }) => anchor)).toEqual([
      "a-b--c",
      "invalid_image",
      "once",
      "once-1",
      "kbd--q",
    ]);
  });

  test("samples of one thing in several languages are tabs; two of one language are two blocks", () => {
    const code = (lang: string) => `\`\`\`${lang}\nx <y>  # z\n\`\`\`\n\n`;
    const { body } = render(code("bash") + code("powershell") + code("bash") + code(""));
    expect(body.text.match(/<input type="radio"/g)).toHaveLength(2);
    expect(body.text.match(/<pre>/g)).toHaveLength(4);
    expect(body.text).toContain('x &lt;y&gt;<span class="comment">  # z</span>');
  });
});
