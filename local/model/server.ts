import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  BadPicture,
  create as createOcrQueue,
  type OcrQueue,
  type OcrStats,
  TooLong,
} from "#local/model/ocr-queue";
import * as Protocol from "#local/model/protocol";
import { answer } from "#local/model/rules/answer";
import * as Tokens from "#local/model/rules/tokens";

interface ModelServer {
  /** Base address of the OpenAI API: `http://127.0.0.1:<port>/v1`. */
  url: string;
  /** Ends connections and the OCR process; resolves when both are gone. */
  close(): Promise<void>;
  ocr(): OcrStats;
}

interface Options {
  /** 0 or absent: any free port. */
  port?: number;
  host?: string;
  /** The OCR process ends after this long without a picture. */
  idleSleepMs?: number;
  /** If set, `/v1` requires it as a bearer token. */
  apiKey?: string;
  /** One line a request and a change of the OCR process; never recognized text. */
  log?: (line: string) => void;
}

/** Four pictures of 20 MB as base64, with room. */
const MAX_BODY_BYTES = 128 * 1024 * 1024;
const TOKENS_PER_CHUNK = 4;
/**
 * One picture is read at a time, which takes seconds. A request that would wait longer than a call may take gets 429 at
 * once, with a longer Retry-After: the product then queues the call and holds no process for it.
 */
const MAX_WAITING = 8;
const RETRY_AFTER_S = 30;

/**
 * Starts the stand-in model server: vLLM's protocol in front of an OCR engine and rules (docs/stand-in.md).
 * Throws the listen error (EADDRINUSE …).
 */
export async function start(options: Options): Promise<ModelServer> {
  const { port = 0, host = "127.0.0.1", idleSleepMs = 60_000, apiKey, log = () => {} } = options;
  const queue = createOcrQueue({ idleSleepMs, log });
  const server = createServer((request, response) => {
    const startedAt = performance.now();
    response.on("close", () => {
      const ms = Math.round(performance.now() - startedAt);
      const status = response.writableFinished ? response.statusCode : "disconnected";
      log(`${request.method} ${request.url?.split("?")[0]} ${status} ${ms} ms`);
    });
    route(queue, apiKey, request, response).catch((error) => refuse(response, error, log));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound.port}/v1`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await Promise.all([closed, queue.close()]);
    },
    ocr: queue.stats,
  };
}

async function route(
  queue: OcrQueue,
  apiKey: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url?.split("?")[0] ?? "/";
  // Like vLLM, which guards its API but not its health.
  if (apiKey && path.startsWith("/v1") && !bears(request, apiKey)) {
    return sendJson(response, 401, { error: "Unauthorized" });
  }
  const wanted = ROUTES.get(path);
  if (!wanted) throw new Protocol.ProtocolError(404, "NotFoundError", "Not Found");
  if (request.method !== wanted) {
    throw new Protocol.ProtocolError(405, "MethodNotAllowedError", "Method Not Allowed");
  }
  if (path === "/health") return void response.writeHead(200).end();
  if (path === "/metrics") return sendMetrics(response, queue.stats());
  if (path === "/v1/models") return sendJson(response, 200, models());
  return complete(queue, request, response);
}

const ROUTES = new Map([
  ["/health", "GET"],
  ["/metrics", "GET"],
  ["/v1/models", "GET"],
  ["/v1/chat/completions", "POST"],
]);

function bears(request: IncomingMessage, apiKey: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(request.headers.authorization ?? ""), digest(`Bearer ${apiKey}`));
}

const createdAt = Math.floor(Date.now() / 1000);

function models(): unknown {
  const model = {
    id: Protocol.MODEL,
    object: "model",
    created: createdAt,
    owned_by: "ocrlty",
    root: Protocol.MODEL,
    parent: null,
    max_model_len: Protocol.MAX_MODEL_LEN,
    permission: [],
  };
  return { object: "list", data: [model] };
}

function sendMetrics(response: ServerResponse, stats: OcrStats): void {
  const label = `{model_name="${Protocol.MODEL}"}`;
  const lines = [
    `vllm:num_requests_running${label} ${stats.running}`,
    `vllm:num_requests_waiting${label} ${stats.waiting}`,
    `ocr_process_starts_total ${stats.starts}`,
    `ocr_process_max_rss_bytes ${stats.maxRssBytes}`,
  ];
  response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(`${lines.join("\n")}\n`);
}

async function complete(queue: OcrQueue, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort(new Error("The client has gone.")));
  const chat = Protocol.parse(await body(request));
  if (queue.stats().waiting >= MAX_WAITING)
    throw new Protocol.ProtocolError(429, "RateLimitError", "Too many pictures are waiting already.");
  const textTokens = Tokens.estimate(chat.text);
  const room = Protocol.MAX_MODEL_LEN - textTokens - (chat.maxTokens ?? 1);
  const { pages, imageTokens } = await read(queue, chat, { textTokens, room }, gone.signal);
  const promptTokens = textTokens + imageTokens;
  const limit = chat.maxTokens ?? Protocol.MAX_MODEL_LEN - promptTokens;
  const all = answer(pages, chat);
  const tokens = all.slice(0, limit);
  const header = request.headers["x-request-id"];
  const completion: Protocol.Completion = {
    id: `chatcmpl-${chat.requestId ?? (typeof header === "string" ? header : randomUUID())}`,
    created: Math.floor(Date.now() / 1000),
    tokens,
    finishReason: tokens.length < all.length ? "length" : "stop",
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: tokens.length,
      total_tokens: promptTokens + tokens.length,
    },
    topLogprobs: chat.topLogprobs,
  };
  if (!chat.stream) return sendJson(response, 200, Protocol.whole(completion));
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
  });
  for (const chunk of Protocol.chunks(completion, chat.includeUsage, TOKENS_PER_CHUNK)) response.write(chunk);
  response.end();
}

async function read(
  queue: OcrQueue,
  chat: Protocol.ChatRequest,
  { textTokens, room }: { textTokens: number; room: number },
  signal: AbortSignal,
): Promise<{ pages: Parameters<typeof answer>[0]; imageTokens: number }> {
  const tooLong = (promptTokens: number) =>
    Protocol.badRequest(
      `This model's maximum context length is ${Protocol.MAX_MODEL_LEN} tokens. However, you requested ` +
        `${chat.maxTokens ?? 1} output tokens and your prompt contains at least ${promptTokens} input tokens, for a ` +
        `total of at least ${promptTokens + (chat.maxTokens ?? 1)} tokens. Please reduce the length of the input ` +
        "prompt or the number of requested output tokens.",
    );
  if (room < 0) throw tooLong(textTokens);
  if (chat.pictures.length === 0) return { pages: [], imageTokens: 0 };
  try {
    return await queue.read(chat.pictures, room, signal);
  } catch (error) {
    if (error instanceof BadPicture) throw Protocol.badRequest(`Failed to load image: ${error.message}`);
    if (error instanceof TooLong) throw tooLong(textTokens + error.imageTokens);
    throw error;
  }
}

async function body(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += (part as Buffer).length;
    if (bytes > MAX_BODY_BYTES) {
      throw new Protocol.ProtocolError(413, "RequestEntityTooLargeError", "The request body is too large.");
    }
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString("utf8");
}

function refuse(response: ServerResponse, error: unknown, log: (line: string) => void): void {
  if (response.destroyed || response.headersSent) {
    response.destroy();
    return;
  }
  if (error instanceof Protocol.ProtocolError) {
    sendJson(response, error.status, error.body());
    return;
  }
  log(`error: ${error instanceof Error ? error.message : String(error)}`);
  const message = error instanceof Error ? error.message : "Internal server error";
  sendJson(response, 500, new Protocol.ProtocolError(500, "InternalServerError", message).body());
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body));
  // After a refusal the rest of a large body is not read: the connection cannot be used again.
  const close = status === 413 ? { connection: "close" } : {};
  const later = status === 429 ? { "retry-after": String(RETRY_AFTER_S) } : {};
  response
    .writeHead(status, {
      "content-type": "application/json",
      "content-length": bytes.length,
      ...close,
      ...later,
    })
    .end(bytes);
}
