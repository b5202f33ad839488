import * as z from "zod";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import { publicApi } from "#functions/http";
import type { Event } from "#functions/request/call";
import { operation, type Reply } from "#functions/request/operation";
import { notFound } from "#functions/request/unknown-path";
import * as Routes from "#spec/routes";

const Root = z
  .object({
    name: z.literal("OCRlty"),
    version: z.string(),
    docs_url: z.url().meta({ description: "The pages for people." }),
    openapi_url: z.url().meta({ description: "The OpenAPI document." }),
    health_url: z.url(),
  })
  .meta({ id: "Root" });

const html = "text/html; charset=utf-8";

export const operations = {
  "GET /": operation({
    summary: "Addresses of the API and its documents",
    description:
      "JSON, or HTML if `Accept` asks for it. A path with a trailing slash is redirected (308) to the one without.",
    responses: {
      200: {
        description: "Addresses on the host that was called",
        schema: Root,
        others: { "text/html": z.string() },
      },
    },
    run: ({ call }) => {
      const at = (path: string) => `${call.origin}${path}`;
      const urls = { docs_url: at("/docs"), openapi_url: at("/openapi.json"), health_url: at("/health") };
      const body = { name: "OCRlty", version: Config.app().version, ...urls };
      const headers = { Vary: "Accept" };
      if (!/\btext\/html\b/i.test(call.headers.accept ?? "")) return { status: 200, body, headers };
      const policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
      return {
        status: 200,
        body: page,
        contentType: html,
        headers: { ...headers, "Content-Security-Policy": policy },
      };
    },
  }),
};

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>OCRlty</title>
<h1>OCRlty</h1>
<p>Photos of receipts and invoices in, JSON checked against a schema out.
<ul>
<li><a href="/docs">Documentation</a>
<li><a href="/openapi.json">OpenAPI document</a>
<li><a href="/health">Health</a>
</ul>
</html>
`;

/** Answers `$default`: CORS preflights, trailing slashes, wrong methods, unknown paths. */
function fallback({ rawPath, rawQueryString, requestContext }: Event): Reply {
  const { debugMode } = Config.app();
  const methods = Routes.methodsAt(rawPath, debugMode);
  if (requestContext.http.method === "OPTIONS")
    return { status: 204, headers: { Allow: [...methods, "OPTIONS"].join(", ") } };
  if (methods.length > 0)
    throw new AppError("method_not_allowed", `this path takes ${methods.join(", ")} and nothing else`, {
      details: { allowed: methods },
    });
  const bare = rawPath.replace(/\/+$/, "");
  // Redirects only to paths that exist, so never to another host, as a path that begins with two slashes would.
  if (bare === rawPath || Routes.methodsAt(bare, debugMode).length === 0) throw notFound(rawPath, debugMode);
  // The event's path is decoded, in spite of its name; its query is as it came.
  const path = bare.split("/").map(encodeURIComponent).join("/");
  const query = rawQueryString ? `?${rawQueryString}` : "";
  return { status: 308, headers: { Location: `${path}${query}` } };
}

export const handler = publicApi(operations, { fallback });
