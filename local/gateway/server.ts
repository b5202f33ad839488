/**
 * API Gateway's HTTP API on a laptop: the real limits, the events of payload format 2.0, and the gateway's own
 * answers. What it does not do: throttle, terminate TLS, apply CORS (sst.config.ts turns that off, too).
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type Answer, from, own } from "#local/gateway/answer";
import * as Event from "#local/gateway/event";
import { compile, type RouteTable } from "#local/gateway/routes";
import { errorOf, type Seen } from "#local/gateway/seen";
import { ClosedError, type Lambda } from "#local/lambda/pool";
import * as Limits from "#spec/limits";

interface GatewayOptions {
  readonly lambda: Pick<Lambda, "invoke">;
  readonly table: RouteTable;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** After this the gateway stops waiting for a function and answers 503; the function continues. */
  readonly timeoutMs: number;
  /** Called for every request once its answer was sent, or its caller has disconnected. */
  readonly onAnswer?: ((seen: Seen) => void) | undefined;
}

export interface Gateway {
  readonly url: string;
  /** Routes of a reloaded table; calls in flight keep theirs. */
  swap(table: RouteTable): void;
  /** Takes no new calls; those in flight may finish for `graceMs`, then their connections are cut. */
  close(graceMs?: number): Promise<void>;
}

/** The port is taken, or may not be used. */
export class PortError extends Error {
  override readonly name = "PortError";
}

const serviceUnavailable = own(503, "Service Unavailable");
const internalServerError = own(500, "Internal Server Error");
const entityTooLarge = own(413, "Request Entity Too Large");
const headersTooLarge = own(431, "Request Header Fields Too Large");
const badRequest = own(400, "Bad Request");

/** How much of a refused body is read and dropped, so that the client receives the answer. */
const discardBytes = 64 * 1024 * 1024;
const discardMs = 5_000;
const refusedMs = 500;

/** Starts to listen. Throws PortError. */
export async function start(options: GatewayOptions): Promise<Gateway> {
  let match = compile(options.table);
  const server = createServer({
    // The limit is checked below, where it has the gateway's answer; this one only bounds memory.
    maxHeaderSize: 64 * 1024,
    keepAliveTimeout: 60_000,
    headersTimeout: 30_000,
    requestTimeout: 120_000,
  });
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const startedAt = performance.now();
    // A client that disconnects is an ordinary event; the function does not learn of it.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    answer(request, options, match)
      .catch(() => internalServerError)
      .then((result) => {
        // A kept connection would keep the gateway open.
        if (!server.listening) response.setHeader("connection", "close");
        const requestId = "requestId" in result ? result.requestId : Event.requestId();
        const given = "answer" in result ? result.answer : result;
        // If the caller disconnected before the answer, the response is already closed.
        const tell = () =>
          options.onAnswer?.({
            method: request.method ?? "?",
            target: request.url ?? "",
            status: given.status,
            ms: Math.round(performance.now() - startedAt),
            requestId: String(given.headers["x-request-id"] ?? requestId),
            error: errorOf(given),
            left: !response.writableFinished,
          });
        if (response.destroyed) tell();
        else response.once("close", tell);
        send(request, response, given, requestId);
      });
  };
  server.on("request", handle);
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    if (!tooLarge(request)) response.writeContinue();
    handle(request, response);
  });
  server.on("checkExpectation", handle);
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    refuse(socket, error.code === "HPE_HEADER_OVERFLOW" ? headersTooLarge : badRequest);
  });
  server.on("connect", (_request, socket) => refuse(socket, badRequest));
  await listen(server, options.port, options.host);
  const { port } = server.address() as AddressInfo;
  const host = options.host === "0.0.0.0" || options.host === "::" ? "127.0.0.1" : options.host;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    swap: (table) => {
      match = compile(table);
    },
    close: (graceMs = 0) => close(server, graceMs),
  };
}

interface Result {
  readonly answer: Answer;
  readonly requestId: string;
}

async function answer(
  request: IncomingMessage,
  { lambda, timeoutMs }: GatewayOptions,
  match: ReturnType<typeof compile>,
): Promise<Answer | Result> {
  const target = Event.target(request.url ?? "");
  if (headerBytes(request) > Limits.platform.gatewayHeaderBytes) return headersTooLarge;
  if (target === undefined) return badRequest;
  if (tooLarge(request)) return entityTooLarge;
  const body = await read(request);
  if (body === "too large") return entityTooLarge;
  if (body === "cut off") return badRequest;
  const { functionName, ...matched } = match(request.method ?? "GET", target.encodedPath);
  const event = Event.create(request, target, matched, body);
  const { requestId } = event.requestContext;
  // JSON escapes make a text body longer; only a body that may be near the limit is counted.
  if (
    body.length > Limits.platform.lambdaPayloadBytes / 8 &&
    Buffer.byteLength(JSON.stringify(event)) > Limits.platform.lambdaPayloadBytes
  ) {
    return { answer: entityTooLarge, requestId };
  }
  return { answer: await invoke(lambda, functionName, event, timeoutMs), requestId };
}

async function invoke(
  lambda: GatewayOptions["lambda"],
  functionName: string,
  event: unknown,
  timeoutMs: number,
): Promise<Answer> {
  const late = AbortSignal.timeout(timeoutMs);
  const gaveUp = new Promise<"late">((resolve) => {
    late.addEventListener("abort", () => resolve("late"), { once: true });
  });
  try {
    const outcome = await Promise.race([lambda.invoke(functionName, event, { signal: late }), gaveUp]);
    if (outcome === "late") return serviceUnavailable;
    return (outcome.type === "result" ? from(outcome.payload) : undefined) ?? internalServerError;
  } catch (error) {
    return late.aborted || error instanceof ClosedError ? serviceUnavailable : internalServerError;
  }
}

/** Request line and headers as they came over the wire. */
function headerBytes(request: IncomingMessage): number {
  const line = `${request.method} ${request.url} HTTP/${request.httpVersion}\r\n`.length;
  return request.rawHeaders.reduce((sum, text) => sum + text.length + 2, line);
}

function tooLarge(request: IncomingMessage): boolean {
  return Number(request.headers["content-length"] ?? 0) > Limits.platform.gatewayBodyBytes;
}

async function read(request: IncomingMessage): Promise<Buffer | "too large" | "cut off"> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve) => {
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > Limits.platform.gatewayBodyBytes) {
        chunks.length = 0;
        resolve("too large");
      } else {
        chunks.push(chunk);
      }
    });
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("close", () => resolve("cut off"));
  });
}

function send(request: IncomingMessage, response: ServerResponse, given: Answer, requestId: string): void {
  if (response.destroyed) return;
  const unread = !request.complete;
  response.statusCode = given.status;
  for (const [name, value] of Object.entries(given.headers))
    response.setHeader(name, typeof value === "string" ? value : [...value]);
  response.setHeader("apigw-requestid", requestId);
  const bodyless = given.status === 204 || given.status === 304 || given.status < 200;
  if (bodyless) response.removeHeader("content-type");
  // For a HEAD the length of the GET's answer is unknown.
  else if (request.method !== "HEAD" || given.body.length > 0)
    response.setHeader("content-length", given.body.length);
  response.end(bodyless || request.method === "HEAD" ? undefined : given.body);
  if (unread) discard(request);
}

/**
 * A socket closed with unread bytes is reset, and the reset may overtake the answer: so the connection stays open
 * and the rest of the body is read, within bounds.
 */
function discard(request: IncomingMessage): void {
  let bytes = 0;
  const stop = () => request.socket.destroy();
  const timer = setTimeout(stop, discardMs);
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > discardBytes) stop();
  });
  request.once("close", () => clearTimeout(timer));
  request.resume();
}

const refused = new WeakSet<Duplex>();

/**
 * An answer to input that is not an HTTP request. Further input is read for a moment, so that no reset overtakes the
 * answer.
 */
function refuse(socket: Duplex, { status, body }: Answer): void {
  if (refused.has(socket)) return;
  refused.add(socket);
  socket.on("error", () => undefined);
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "content-type: application/json",
    `content-length: ${body.length}`,
    `apigw-requestid: ${Event.requestId()}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body.toString()}`);
  const timer = setTimeout(() => socket.destroy(), refusedMs);
  socket.once("close", () => clearTimeout(timer));
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why =
        error.code === "EADDRINUSE"
          ? `port ${port} is in use: stop what runs there, or set PORT (0 = any free port)`
          : `cannot listen on ${host}:${port} (${error.code ?? error.message})`;
      reject(new PortError(why, { cause: error }));
    });
    server.listen({ port, host }, resolve);
  });
}

async function close(server: Server, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
