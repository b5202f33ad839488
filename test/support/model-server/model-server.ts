import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type ChatBody, type Received, receive } from "./received.ts";
import { events, pause, type Usage, write } from "./wire.ts";

export type { ChatBody, Received } from "./received.ts";
export { contextTooLong } from "./too-long.ts";

/*
 * A scripted model server: OpenAI's protocol over real HTTP on 127.0.0.1, which answers as a test defines.
 *
 *   const server = await ModelServer.start({ respond: (request, n) => ModelServer.json({ total: "12.00" }) });
 *   server.url        "http://127.0.0.1:<port>/v1"
 *   server.requests   every chat completion so far: body, pictures, times, whether its connection was closed early
 *   server.respond    may be replaced at any time; n counts the completions from 1
 *   server.models     what GET /v1/models does
 *   await server.close()
 */

/** What the server does with one request. */
export type Behavior =
  /** Answers a chat completion with this text, streamed if the request asks for it. */
  | ({ kind: "text"; text: string } & Pace & Ending)
  /** A whole HTTP answer. */
  | {
      kind: "status";
      status: number;
      body: string;
      contentType: string;
      headers?: Record<string, string>;
      delayMs?: number;
    }
  /** Writes the unit endlessly, until the client disconnects. */
  | { kind: "endless"; start: string; unit: string; chunkDelayMs?: number }
  /** An event stream of one endless line, as fast as the client reads. */
  | { kind: "flood" }
  /** Reads the request and never answers. */
  | { kind: "hang" }
  /** Resets the connection before any answer. */
  | { kind: "reset" };

interface Pace {
  /** The pause before the first byte, for a server with a fixed service time. */
  delayMs?: number;
  /** Characters per piece of the stream; default 16. */
  chunkCharacters?: number;
  /** The pause between two pieces. */
  chunkDelayMs?: number;
}

interface Ending {
  /** Null to send none. Default "stop". */
  finishReason?: string | null;
  /**
   * done: as in the protocol; clean: a normal end without `[DONE]`; reset: a broken connection; hang: no further data
   * on an open connection. Default done.
   */
  end?: "done" | "clean" | "reset" | "hang";
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  /** Sent before the text in the field for thinking. */
  thinking?: { field: "reasoning" | "reasoning_content"; text: string };
  /** The name of the model in the answer; by default the requested one. */
  model?: string;
  /** One object per token, as in the protocol: sent in order with the pieces of the stream. */
  logprobs?: { token: string; logprob: number; top_logprobs: { token: string; logprob: number }[] }[];
}

export type Respond = (request: Received, n: number) => Behavior | Promise<Behavior>;

export interface Options {
  respond?: Respond;
  /** The name in the list of models and in answers. */
  model?: string;
  maxModelLen?: number;
  /** The bearer token; any other gets a 401. */
  apiKey?: string;
  port?: number;
  /** The text of `GET /metrics`; without it the server has none. */
  metrics?: () => string;
}

/** A finished answer: this value as JSON. */
export const json = (value: unknown, more: Pace & Ending = {}): Behavior => ({
  kind: "text",
  text: JSON.stringify(value),
  ...more,
});

export const text = (text: string, more: Pace & Ending = {}): Behavior => ({ kind: "text", text, ...more });

/** The answer of a proxy in front of a stopped server. */
export const html = (
  status: number,
  more: { headers?: Record<string, string>; delayMs?: number } = {},
): Behavior => ({
  kind: "status",
  status,
  contentType: "text/html",
  body: `<!DOCTYPE html><html><head><title>${status}</title></head><body>proxy page</body></html>`,
  ...more,
});

/** An error of the model server itself. */
export const error = (
  status: number,
  message: string,
  more: { headers?: Record<string, string>; delayMs?: number; type?: string } = {},
): Behavior => ({
  kind: "status",
  status,
  contentType: "application/json",
  body: JSON.stringify({ error: { message, type: more.type ?? "Error", param: null, code: status } }),
  ...(more.headers === undefined ? {} : { headers: more.headers }),
  ...(more.delayMs === undefined ? {} : { delayMs: more.delayMs }),
});

/** vLLM's answers before a request reaches its API: a wrong key, an unknown path. */
const refused = (status: number, body: object): Behavior => ({
  kind: "status",
  status,
  contentType: "application/json",
  body: JSON.stringify(body),
});

/** Answers that never end. */
export const endless = (what: "whitespace" | "digits" | "ngram", chunkDelayMs = 1): Behavior => ({
  kind: "endless",
  chunkDelayMs,
  ...{
    whitespace: { start: '{"total": "12.00"', unit: "\n   \t  \n        " },
    digits: { start: '{"total": 1', unit: "0739150284625518" },
    ngram: { start: '{"items": [', unit: '{"name": "COFFEE", "price": "2.50"}, ' },
  }[what],
});

export const hang = (): Behavior => ({ kind: "hang" });
export const reset = (): Behavior => ({ kind: "reset" });

export class ModelServer {
  /** Ends in `/v1`. */
  url = "";
  port: number;
  respond: Respond;
  /** The behavior of `GET /v1/models`: a list (default), or any other. */
  models: "list" | Behavior = "list";
  readonly requests: Received[] = [];
  /** Chat completions in progress, and the maximum so far. */
  inFlight = 0;
  maxInFlight = 0;
  /** How often the list of models was requested. */
  probes = 0;
  readonly #options: Options;
  readonly #model: string;
  readonly #sockets = new Set<Socket>();
  readonly #server: http.Server;

  constructor(options: Options) {
    this.#options = options;
    this.#model = options.model ?? "scripted-model";
    this.port = options.port ?? 0;
    this.respond = options.respond ?? (() => json({}));
    this.#server = http.createServer((request, response) => {
      // A closed connection is expected here.
      response.on("error", () => undefined);
      this.#handle(request, response).catch(() => response.destroy());
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** Stops listening and breaks all connections, so that new ones are refused; `up` listens on the same port again. */
  async down(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async up(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
    this.url = `http://127.0.0.1:${this.port}/v1`;
  }

  close(): Promise<void> {
    return this.down();
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { apiKey, maxModelLen, metrics } = this.#options;
    const answer = (behavior: Behavior) => act(behavior, response, undefined, this.#model);
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`)
      return answer(refused(401, { error: "Unauthorized" }));
    if (request.method === "GET" && request.url === "/v1/models") {
      this.probes += 1;
      return answer(this.models === "list" ? list(this.#model, maxModelLen) : this.models);
    }
    if (request.method === "GET" && request.url === "/metrics" && metrics !== undefined)
      return void response.end(metrics());
    if (request.method !== "POST" || request.url !== "/v1/chat/completions")
      return answer(refused(404, { detail: "Not Found" }));
    await this.#complete(request, response);
  }

  async #complete(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces).toString("utf8");
    const received = receive(this.requests.length + 1, request.headers, body);
    this.requests.push(received);
    this.inFlight += 1;
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    response.once("close", () => {
      this.inFlight -= 1;
      received.endedAt = Date.now();
      received.aborted = !response.writableFinished;
    });
    await act(await this.respond(received, received.n), response, received, this.#model);
  }
}

/** Starts a server on a free port of 127.0.0.1. */
export async function start(options: Options = {}): Promise<ModelServer> {
  const server = new ModelServer(options);
  await server.up();
  return server;
}

function list(model: string, maxModelLen: number | undefined): Behavior {
  const card = { id: model, object: "model", owned_by: "test", max_model_len: maxModelLen ?? null };
  return {
    kind: "status",
    status: 200,
    contentType: "application/json",
    body: JSON.stringify({ object: "list", data: [card] }),
  };
}

async function act(
  behavior: Behavior,
  response: http.ServerResponse,
  received: Received | undefined,
  model: string,
): Promise<void> {
  switch (behavior.kind) {
    case "hang":
      return;
    case "reset":
      response.socket?.resetAndDestroy();
      return;
    case "status":
      await pause(behavior.delayMs, response);
      response.writeHead(behavior.status, { "content-type": behavior.contentType, ...behavior.headers });
      response.end(behavior.body);
      return;
    case "flood": {
      response.writeHead(200, { "content-type": "text/event-stream" });
      while (!response.destroyed) await write(response, "x".repeat(64 * 1024));
      return;
    }
    case "endless": {
      const send = events(response, received?.body.model ?? model);
      const count =
        received?.body.stream_options?.continuous_usage_stats === true ? counted : () => undefined;
      await send({ delta: { role: "assistant", content: behavior.start }, finish_reason: null }, count(0));
      for (let units = 1; !response.destroyed; units += 1) {
        await send({ delta: { content: behavior.unit }, finish_reason: null }, count(units));
        await pause(behavior.chunkDelayMs, response);
      }
      return;
    }
    case "text":
      await pause(behavior.delayMs, response);
      if (received?.body.stream === true)
        await streamed(behavior, response, behavior.model ?? received.body.model ?? model, received.body);
      else whole(behavior, response, behavior.model ?? received?.body.model ?? model);
  }
}

const resetDelayMs = 30;

type Text = Extract<Behavior, { kind: "text" }>;

/** For a prompt of 100 tokens. */
const counted = (completion_tokens: number, prompt_tokens = 100): Usage => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
});

function usageOf(behavior: Text): Usage | undefined {
  if (behavior.usage === null) return undefined;
  const { prompt_tokens, completion_tokens } = behavior.usage ?? {
    prompt_tokens: 100,
    completion_tokens: Math.ceil(behavior.text.length / 4),
  };
  return counted(completion_tokens, prompt_tokens);
}

function whole(behavior: Text, response: http.ServerResponse, model: string): void {
  const finish_reason = behavior.finishReason === undefined ? "stop" : behavior.finishReason;
  const choices = [{ index: 0, message: { role: "assistant", content: behavior.text }, finish_reason }];
  response.writeHead(200, { "content-type": "application/json" });
  response.end(
    JSON.stringify({
      id: "chatcmpl-test",
      object: "chat.completion",
      created: 0,
      model,
      choices,
      usage: usageOf(behavior),
    }),
  );
}

async function streamed(
  behavior: Text,
  response: http.ServerResponse,
  model: string,
  { stream_options: options }: ChatBody,
): Promise<void> {
  const send = events(response, model);
  const total = options?.continuous_usage_stats === true ? usageOf(behavior) : undefined;
  /** In every piece, as vLLM does on request. */
  const soFar = (characters: number) =>
    total &&
    counted(Math.ceil(total.completion_tokens * (characters / behavior.text.length)), total.prompt_tokens);
  await send({ delta: { role: "assistant", content: "" }, finish_reason: null }, soFar(0));
  const size = behavior.chunkCharacters ?? 16;
  const { field = "reasoning", text: thought = "" } = behavior.thinking ?? {};
  for (let at = 0; at < thought.length && !response.destroyed; at += size)
    await send({ delta: { [field]: thought.slice(at, at + size) }, finish_reason: null });
  const logprobs = [...(behavior.logprobs ?? [])];
  for (let at = 0; at < behavior.text.length && !response.destroyed; at += size) {
    const next = at + size >= behavior.text.length ? logprobs.splice(0) : logprobs.splice(0, 1);
    const piece = {
      delta: { content: behavior.text.slice(at, at + size) },
      finish_reason: null,
      ...(behavior.logprobs === undefined ? {} : { logprobs: { content: next } }),
    };
    await send(piece, soFar(Math.min(behavior.text.length, at + size)));
    await pause(behavior.chunkDelayMs, response);
  }
  const finishReason = behavior.finishReason === undefined ? "stop" : behavior.finishReason;
  if (finishReason !== null) await send({ delta: {}, finish_reason: finishReason }, total);
  switch (behavior.end ?? "done") {
    case "hang":
      return;
    case "reset":
      // A reset discards data that the client's machine has received but not yet passed on.
      await pause(resetDelayMs, response);
      response.socket?.resetAndDestroy();
      return;
    case "clean":
      response.end();
      return;
    case "done": {
      const usage = usageOf(behavior);
      if (usage !== undefined) {
        response.write(
          `data: ${JSON.stringify({ id: "chatcmpl-test", object: "chat.completion.chunk", created: 0, model, choices: [], usage })}\n\n`,
        );
      }
      response.end("data: [DONE]\n\n");
    }
  }
}
