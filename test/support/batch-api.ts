/**
 * A small server for the batch routes over real sockets, for tests of the command line: it keeps uploads, has the
 * runs that the test sets, and can fail any call first.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

export interface Seen {
  method: string;
  path: string;
  key: string | undefined;
  body: Buffer;
}

interface StoredRun {
  body: Record<string, unknown>;
  status: string;
  items: { status: string; [name: string]: unknown }[];
}

export interface Api {
  url: string;
  seen: Seen[];
  /** ref → bytes, as they were put. */
  uploads: Map<string, Buffer>;
  runs: Map<string, StoredRun>;
  /** Called before each call; returns a status or a handler instead of the answer. */
  intercept: (seen: Seen, response: ServerResponse) => number | "handled" | undefined;
  /** The run that a new one becomes; by default every item has succeeded. */
  onRun: (run: StoredRun) => void;
  /** A run as it is answered. */
  told: (id: string) => object;
  /** Most puts that were in flight at once. */
  mostAtOnce: number;
  close(): Promise<void>;
}

const error = (code: string) => ({ error: { code, message: "no", request_id: "r", details: {} } });

export async function serve(): Promise<Api> {
  let refs = 0;
  let puts = 0;
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const call: Seen = {
      method: request.method ?? "",
      path: request.url ?? "",
      key: keyOf(request),
      body,
    };
    api.seen.push(call);
    const instead = api.intercept(call, response);
    if (instead === "handled") return;
    if (instead !== undefined) return send(response, instead, error("inference_unavailable"));
    const url = new URL(call.path, api.url);
    if (call.method === "PUT") return put(url, call, response);
    if (call.key === undefined) return send(response, 401, error("unauthorized"));
    answer(url, call, response);
  });

  async function put(url: URL, call: Seen, response: ServerResponse) {
    const ref = url.pathname.split("/").at(-1) ?? "";
    puts += 1;
    api.mostAtOnce = Math.max(api.mostAtOnce, puts);
    // Long enough for the others to arrive, because their number is counted.
    await new Promise((done) => setTimeout(done, 5));
    puts -= 1;
    if (api.uploads.has(ref)) return send(response, 412, {});
    api.uploads.set(ref, call.body);
    send(response, 200, {});
  }

  function answer(url: URL, call: Seen, response: ServerResponse) {
    const [, , noun, id, verb] = url.pathname.split("/").map(decodeURIComponent);
    if (noun === "me") return send(response, 200, { key_id: "key-1", role: "client", scopes: [] });
    if (noun === "tasks") {
      if (id === "unknown_v1") return send(response, 404, error("not_found"));
      return send(response, 200, detail);
    }
    if (noun === "uploads") return announce(JSON.parse(String(call.body)), response);
    if (noun === "batch_extract") return batch(JSON.parse(String(call.body)), response);
    const run = api.runs.get(id ?? "");
    if (noun !== "runs" || run === undefined) return send(response, 404, error("not_found"));
    if (verb === "items") return items(url, run, response);
    if (verb === "results") return results(url, id ?? "", run, response);
    send(response, 200, told(id ?? "", run));
  }

  function announce(wish: { kind?: string; path?: string }, response: ServerResponse) {
    refs += 1;
    const ref = wish.kind === "data" ? encodeURIComponent(wish.path ?? "") : `ref-${refs}`;
    send(response, 201, {
      ...(wish.kind === "data"
        ? { image_key: `key-1/${wish.path}` }
        : wish.kind === "manifest"
          ? { manifest_ref: ref }
          : { image_ref: ref }),
      upload_url: `${api.url}/bucket/${ref}`,
      method: "PUT",
      headers: { "Content-Type": "image/jpeg", "Content-Length": "1", "If-None-Match": "*" },
      curl: "curl",
      expires_at: new Date().toISOString(),
      max_bytes: 1,
    });
  }

  function batch(body: Record<string, unknown>, response: ServerResponse) {
    if (body.dry_run === true) return send(response, 200, { dry_run: true });
    const id = String(body.run_id);
    if (!api.runs.has(id)) {
      const lines = Array.isArray(body.manifest)
        ? body.manifest
        : String(api.uploads.get(String(body.manifest_ref)))
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line));
      const run: StoredRun = {
        body,
        status: "succeeded",
        items: lines.map((line, index) => item(id, index, line)),
      };
      api.onRun(run);
      api.runs.set(id, run);
    }
    const run = api.runs.get(id);
    send(response, 202, run && told(id, run));
  }

  function items(url: URL, run: StoredRun, response: ServerResponse) {
    const [limit, from] = [
      Number(url.searchParams.get("limit")),
      Number(url.searchParams.get("cursor") ?? 0),
    ];
    const next = from + limit;
    send(response, 200, {
      items: run.items.slice(from, next),
      next_cursor: next < run.items.length ? String(next) : null,
    });
  }

  function results(url: URL, id: string, run: StoredRun, response: ServerResponse) {
    if (!["succeeded", "canceled"].includes(run.status)) return send(response, 409, error("conflict"));
    const format = url.searchParams.get("format");
    if (format === "json") return send(response, 200, { run_id: id, items: run.items });
    response.writeHead(200, { "content-type": format === "jsonl" ? "application/x-ndjson" : "text/csv" });
    if (format === "jsonl") return response.end(run.items.map((it) => `${JSON.stringify(it)}\n`).join(""));
    response.end(`${format}\n${run.items.map(({ file }) => `${file}\n`).join("")}`);
  }

  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const api: Api = {
    url: `http://127.0.0.1:${port}`,
    seen: [],
    uploads: new Map(),
    runs: new Map(),
    intercept: () => undefined,
    onRun: () => {},
    told: (id) => {
      const run = api.runs.get(id);
      return run === undefined ? {} : told(id, run);
    },
    mostAtOnce: 0,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  return api;
}

/** A task with line items. */
const detail = {
  task_id: "receipt_v1",
  fields: [{ path: "total", kind: "money" }, { path: "items[].price" }],
};

function item(runId: string, index: number, line: object) {
  return {
    index,
    custom_id: null,
    file: null,
    ...line,
    status: "succeeded",
    request_id: `${runId}~${index}`,
    artifact_rel: null,
    result: { total: `${index}.00` },
    schema_ok: true,
    error: null,
    attempts: 1,
    timings_ms: { total: 1, image: 0, inference: 1, validate: 0 },
    usage: { prompt_tokens: 1, completion_tokens: 1, attempts: 1 },
  };
}

function told(id: string, { body, status, items }: StoredRun) {
  const count = (wanted: string) => items.filter((each) => each.status === wanted).length;
  return {
    run_id: id,
    task_id: body.task_id ?? "receipt_v1",
    status,
    created_at: "2026-11-23T10:00:00.000Z",
    started_at: null,
    finished_at: null,
    concurrency: 4,
    waiting_for: null,
    counts: {
      total: items.length,
      queued: count("queued"),
      running: count("running"),
      succeeded: count("succeeded"),
      failed: count("failed"),
      canceled: count("canceled"),
    },
    error: null,
  };
}

function keyOf(request: IncomingMessage): string | undefined {
  return request.headers.authorization?.replace(/^Bearer /, "");
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
