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

const error = (code: string) => ({ error: { code, message: "no", request_id: "r", details: {} } });

export class Api {
  url = "";
  readonly seen: Seen[] = [];
  /** ref → bytes, as they were put. */
  readonly uploads = new Map<string, Buffer>();
  readonly runs = new Map<string, StoredRun>();
  /** Called before each call; returns a status or a handler instead of the answer. */
  intercept: (seen: Seen, response: ServerResponse) => number | "handled" | undefined = () => undefined;
  /** The run that a new one becomes; by default every item has succeeded. */
  onRun: (run: StoredRun) => void = () => {};
  /** Most puts that were in flight at once. */
  mostAtOnce = 0;
  #refs = 0;
  #puts = 0;
  readonly #server = createServer(async (request, response) => {
    const body = await buffer(request);
    const { method = "", url = "" } = request;
    const call: Seen = { method, path: url, key: keyOf(request), body };
    this.seen.push(call);
    const instead = this.intercept(call, response);
    if (instead === "handled") return;
    if (instead !== undefined) return send(response, instead, error("inference_unavailable"));
    await this.#route(call, response);
  });

  async listen(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    const { port } = this.#server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** A run as it is answered. */
  told(id: string): object {
    const run = this.runs.get(id);
    return run === undefined ? {} : told(id, run);
  }

  close(): Promise<void> {
    return new Promise((done) => {
      this.#server.close(() => done());
      this.#server.closeAllConnections();
    });
  }

  async #route(call: Seen, response: ServerResponse): Promise<void> {
    const url = new URL(call.path, this.url);
    if (call.method === "PUT") return this.#put(url, call, response);
    if (call.key === undefined) return send(response, 401, error("unauthorized"));
    this.#answer(url, call, response);
  }

  async #put(url: URL, call: Seen, response: ServerResponse) {
    const ref = url.pathname.split("/").at(-1) ?? "";
    this.#puts += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#puts);
    // Long enough for the others to arrive, because their number is counted.
    await new Promise((done) => setTimeout(done, 5));
    this.#puts -= 1;
    if (this.uploads.has(ref)) return send(response, 412, {});
    this.uploads.set(ref, call.body);
    send(response, 200, {});
  }

  #answer(url: URL, call: Seen, response: ServerResponse) {
    const [, , noun, id, verb] = url.pathname.split("/").map(decodeURIComponent);
    if (noun === "me") return send(response, 200, { key_id: "key-1", role: "client", scopes: [] });
    if (noun === "tasks") {
      if (id === "unknown_v1") return send(response, 404, error("not_found"));
      return send(response, 200, detail);
    }
    if (noun === "uploads") return this.#announce(JSON.parse(String(call.body)), response);
    if (noun === "batch_extract") return this.#batch(JSON.parse(String(call.body)), response);
    const run = this.runs.get(id ?? "");
    if (noun !== "runs" || run === undefined) return send(response, 404, error("not_found"));
    if (verb === "items") return items(url, run, response);
    if (verb === "results") return results(url, id ?? "", run, response);
    send(response, 200, told(id ?? "", run));
  }

  #announce(wish: { kind?: string; path?: string }, response: ServerResponse) {
    this.#refs += 1;
    const ref = wish.kind === "data" ? encodeURIComponent(wish.path ?? "") : `ref-${this.#refs}`;
    send(response, 201, {
      ...(wish.kind === "data"
        ? { image_key: `key-1/${wish.path}` }
        : wish.kind === "manifest"
          ? { manifest_ref: ref }
          : { image_ref: ref }),
      upload_url: `${this.url}/bucket/${ref}`,
      method: "PUT",
      headers: { "Content-Type": "image/jpeg", "Content-Length": "1", "If-None-Match": "*" },
      curl: "curl",
      expires_at: new Date().toISOString(),
      max_bytes: 1,
    });
  }

  #batch(body: Record<string, unknown>, response: ServerResponse) {
    if (body.dry_run === true) return send(response, 200, { dry_run: true });
    const id = String(body.run_id);
    if (!this.runs.has(id)) {
      const lines = Array.isArray(body.manifest)
        ? body.manifest
        : String(this.uploads.get(String(body.manifest_ref)))
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line));
      const run: StoredRun = {
        body,
        status: "succeeded",
        items: lines.map((line, index) => item(id, index, line)),
      };
      this.onRun(run);
      this.runs.set(id, run);
    }
    const run = this.runs.get(id);
    send(response, 202, run && told(id, run));
  }
}

export async function serve(): Promise<Api> {
  const api = new Api();
  await api.listen();
  return api;
}

function items(url: URL, run: StoredRun, response: ServerResponse) {
  const [limit, from] = [Number(url.searchParams.get("limit")), Number(url.searchParams.get("cursor") ?? 0)];
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
