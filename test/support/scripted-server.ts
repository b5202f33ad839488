/** A scripted HTTP server: each call takes the next answer of its list, the last one again and again. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface Scripted {
  status?: number;
  headers?: Record<string, string>;
  /** An object is sent as JSON. */
  body?: unknown;
  /** A function that handles the request itself: it may hang or reset the connection. */
  handle?(request: IncomingMessage, response: ServerResponse): void;
}

export interface Seen {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  body: string;
}

export async function serve(
  script: Scripted[],
): Promise<{ url: string; seen: Seen[]; close(): Promise<void> }> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    seen.push({
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      body: await text(request),
    });
    const next = script[Math.min(seen.length, script.length) - 1] ?? {};
    if (next.handle) return next.handle(request, response);
    const isText = typeof next.body === "string";
    response.writeHead(next.status ?? 200, {
      "content-type": isText ? "text/html" : "application/json",
      ...next.headers,
    });
    response.end(isText ? next.body : JSON.stringify(next.body ?? {}));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
