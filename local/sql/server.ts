import { timingSafeEqual } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";
import type * as z from "zod";
import { SqlError } from "#local/sql/connection";
import { Pool } from "#local/sql/pool";
import {
  type BatchResult,
  cursorRequest,
  pipelineRequest,
  type StatementResult,
  type StreamRequest,
} from "#local/sql/protocol";
import { BatonError, type Stream, Streams, toWire } from "#local/sql/stream";

export interface SqlServer {
  /** http://127.0.0.1:port */
  url: string;
  /** Ends all connections at once; open transactions are rolled back. */
  close(): Promise<void>;
}

export interface SqlOptions {
  /** Made when missing, with its folder. Other processes may open it at the same time. */
  file: string;
  /** 0 or absent: any free port. */
  port?: number;
  host?: string;
  /** Asked for as `Authorization: Bearer …` when given. */
  authToken?: string;
  /** How long a stream may wait for its next request before it is rolled back; Turso's 10 s by default. */
  streamExpiryMs?: number;
  /** How long a lock may be held while another stream waits for it; libSQL's 5 s by default. */
  lockTimeoutMs?: number;
  /**
   * Called before a request is carried out, so that a test or a benchmark can count, delay or fail requests:
   * an error thrown here is answered with 503 and nothing is run.
   */
  onRequest?: (info: { statements: number }) => void | Promise<void>;
}

const maxBodyBytes = 32 * 1024 * 1024;
const maxConnections = 128;

/** The request is not answered by the protocol but by HTTP itself. */
class HttpError extends Error {
  readonly status: number;
  readonly body: Record<string, string>;

  constructor(status: number, body: Record<string, string>) {
    super(Object.values(body).join(" "));
    this.status = status;
    this.body = body;
  }
}

/**
 * A libSQL server for one SQLite file: Hrana over HTTP, versions 2 and 3 in JSON, which is what `@libsql/client/web`
 * speaks to an http:// URL (protobuf only if requested, with a fallback). Guarantees: a stream's transaction is
 * isolated from every other stream; answered writes survive a kill -9 of this process; values are exact (64-bit
 * integers, floats, blobs). Throws if the file or port cannot be opened.
 */
export async function start(options: SqlOptions): Promise<SqlServer> {
  mkdirSync(dirname(options.file), { recursive: true });
  const pool = new Pool(options.file, maxConnections, options.lockTimeoutMs);
  const streams = new Streams(pool, options.streamExpiryMs ?? 10_000);
  const server = createServer((request, response) => {
    answer(request, response, options, streams).catch((error: unknown) => fail(request, response, error));
  });
  // Longer than clients keep idle connections, so that none is closed under a request that is on its way.
  server.keepAliveTimeout = 75_000;
  const host = options.host ?? "127.0.0.1";
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(options.port ?? 0, host, resolve);
    });
  } catch (error) {
    pool.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        streams.close();
        pool.close();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: SqlOptions,
  streams: Streams,
): Promise<void> {
  const path = (request.url ?? "").split("?")[0];
  if (request.method === "GET" && (path === "/health" || path === "/v2" || path === "/v3")) {
    request.resume();
    return send(response, 200, "text/plain", "ok");
  }
  const cursor = path === "/v3/cursor";
  if (!cursor && path !== "/v2/pipeline" && path !== "/v3/pipeline")
    throw new HttpError(404, { error: "Not found" });
  if (request.method !== "POST") throw new HttpError(405, { error: "Method not allowed" });
  // As Turso answers, which the client turns into the code SERVER_ERROR.
  if (!authorized(request.headers.authorization, options.authToken))
    throw new HttpError(401, { error: "Unauthorized: the bearer token is missing or wrong" });
  const json = await readJson(request);

  if (cursor) {
    const { baton, batch } = parse(cursorRequest, json);
    await options.onRequest?.({ statements: batch.steps.length });
    const stream = await streams.take(baton);
    const result = await stream.batch(batch).catch((error: unknown) => toWire(error));
    const head = { baton: leave(stream, streams, response), base_url: null };
    const lines = [head, ...("message" in result ? [{ type: "error", error: result }] : entries(result))];
    return send(response, 200, "text/plain", lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }

  const { baton, requests } = parse(pipelineRequest, json);
  await options.onRequest?.({ statements: requests.reduce((sum, one) => sum + countStatements(one), 0) });
  const stream = await streams.take(baton);
  const results: object[] = [];
  for (const one of requests) {
    try {
      results.push({ type: "ok", response: await stream.run(one) });
    } catch (error) {
      results.push({ type: "error", error: toWire(error) });
    }
  }
  const body = JSON.stringify({ baton: leave(stream, streams, response), base_url: null, results });
  send(response, 200, "application/json", body);
}

/**
 * The baton for the next request. A client that has disconnected never gets it, so its transaction must not hold a
 * lock for 10 s.
 */
function leave(stream: Stream, streams: Streams, response: ServerResponse): string | null {
  if (response.destroyed) stream.close();
  return streams.park(stream);
}

function countStatements(request: StreamRequest): number {
  if (request.type === "batch") return request.batch.steps.length;
  return request.type === "execute" || request.type === "sequence" ? 1 : 0;
}

/** A batch's result in the form of a cursor's entries. */
function entries({ step_results: results, step_errors: errors }: BatchResult): object[] {
  return results.flatMap((result: StatementResult | null, step): object[] => {
    const error = errors[step];
    if (error != null) return [{ type: "step_error", step, error }];
    if (result === null) return [];
    const { cols, rows, affected_row_count, last_insert_rowid } = result;
    return [
      { type: "step_begin", step, cols },
      ...rows.map((row) => ({ type: "row", row })),
      { type: "step_end", affected_row_count, last_insert_rowid },
    ];
  });
}

function authorized(header: string | undefined, token: string | undefined): boolean {
  if (token === undefined) return true;
  const given = Buffer.from(header ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The stream must outlive a refusal: destroying it would cut the connection before the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes)
      throw new HttpError(413, {
        message: `The body is larger than ${maxBodyBytes} bytes`,
        code: "TOO_LARGE",
      });
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new HttpError(400, { message: "The body is not JSON", code: "JSON_INVALID" });
  }
}

function parse<Output>(schema: z.ZodType<Output>, json: unknown): Output {
  const invalid = (why: string) =>
    new HttpError(400, { message: `The body does not match the protocol: ${why}`, code: "REQUEST_INVALID" });
  try {
    const { success, data, error } = schema.safeParse(json);
    if (success) return data;
    const [issue] = error.issues;
    throw invalid(`${issue?.path.join(".")}: ${issue?.message}`);
  } catch (error) {
    // Conditions may be nested so deeply that the stack overflows.
    throw error instanceof RangeError ? invalid("it is nested too deeply") : error;
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy();
  request.resume();
  const [status, body] =
    error instanceof HttpError
      ? [error.status, error.body]
      : error instanceof BatonError
        ? [400, { message: error.message, code: "STREAM_EXPIRED" }]
        : error instanceof SqlError
          ? [503, toWire(error)]
          : [503, { message: "The request could not be carried out", code: "SERVER_UNAVAILABLE" }];
  send(response, status, "application/json", JSON.stringify(body));
}
