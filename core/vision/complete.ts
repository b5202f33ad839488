import OpenAI from "openai";
import type { Code } from "#core/error";
import { onlyData } from "#core/vision/event-stream";
import { type Fault, fromAnswer, reasonOf, type Usage, VisionError } from "#core/vision/fault";
import type { Cut, Guard } from "#core/vision/guard";
import * as Transport from "#core/vision/transport";
import { classify } from "#core/vision/weather";

/** An OpenAI-compatible model server. */
export interface Server {
  /** Ends in `/v1`. */
  baseUrl: string;
  apiKey: string | undefined;
  model: string;
  /** DNS, TCP and TLS together. */
  connectTimeoutMs: number;
  /** Longest silence: before the first byte, and between two pieces of the answer. */
  readTimeoutMs: number;
}

export interface Picture {
  bytes: Uint8Array;
  mimeType: string;
}

/** One question to the model. */
export interface Ask {
  /** Static text, sent in front of the pictures so that the server's prefix cache can keep it. */
  prompt: string;
  images: Picture[];
  /** In the subset that constrained decoding understands; undefined: free text. */
  schema: object | undefined;
  schemaName: string;
  temperature: number;
  seed: number;
  maxTokens: number;
  /** Sent as `X-Request-Id`, which vLLM takes over into its own logs. */
  requestId: string;
  logprobs?: boolean | undefined;
}

/** What a call is doing, in numbers and codes only: fit for logs as it is. */
export interface Event {
  event: "vllm_call_start" | "vllm_call_end" | "vllm_call_error";
  request_id: string;
  [fact: string]: string | number | boolean | null;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Epoch milliseconds. */
  deadline: number;
  onEvent?: ((event: Event) => void) | undefined;
  /** Looks at the text as it comes in, and may cut the call off. */
  guard?: Guard | undefined;
  /** Fields this server is known not to take. */
  without?: ReadonlySet<string> | undefined;
}

/** A token of the answer: its own probability and those of its rivals, as natural logarithms. */
export interface TokenLogprob {
  token: string;
  logprob: number;
  top: { token: string; logprob: number }[];
}

export interface Completion {
  text: string;
  /** What a server that takes thinking out of the text hands out beside it. */
  reasoning: string;
  /** Null only when `cut` says why the call was cut off. */
  finishReason: string | null;
  cut: Cut | null;
  usage: Usage | null;
  /** The model's name as the server gives it. */
  model: string;
  logprobs: TokenLogprob[] | null;
  firstTokenMs: number | null;
  totalMs: number;
}

/** Usage comes after the finish reason; a server that then says nothing more is not waited for. */
const afterFinishMs = 1_000;
/** Of an answer that is no event stream, no more than this is read. */
const errorBodyBytes = 64 * 1024;
const topLogprobs = 5;
/** Longer timers fire at once (Node's limit is a 32-bit number of milliseconds). */
const maxTimerMs = 2 ** 31 - 1;

/**
 * One streamed call. Returns only what ended with a `finish_reason` (which may be `length`: the caller judges) or
 * was cut off by the guard. On every way out the connection is closed, so that the engine stops too.
 *
 * Throws VisionError: `inference_timeout` (deadline, abort), `inference_unavailable` (weather and overload by
 * #core/vision/weather), `inference_failed` (everything else); `fault` says what exactly.
 */
export async function complete(server: Server, ask: Ask, options: CallOptions): Promise<Completion> {
  const startedAt = Date.now();
  const emit = (event: Event["event"], facts: Record<string, string | number | boolean | null>) =>
    options.onEvent?.({ event, request_id: ask.requestId, ...facts });
  emit("vllm_call_start", {
    images: ask.images.length,
    image_bytes: ask.images.reduce((sum, image) => sum + image.bytes.byteLength, 0),
    max_tokens: ask.maxTokens,
    seed: ask.seed,
    response_format: sendsSchema(ask, options.without) ? "json_schema" : "none",
  });
  try {
    const completion = await stream(server, ask, options, startedAt);
    emit("vllm_call_end", {
      duration_ms: completion.totalMs,
      first_token_ms: completion.firstTokenMs,
      finish_reason: completion.finishReason,
      cut: completion.cut,
      prompt_tokens: completion.usage?.prompt_tokens ?? null,
      completion_tokens: completion.usage?.completion_tokens ?? null,
    });
    return completion;
  } catch (thrown) {
    const error = thrown instanceof VisionError ? thrown : undefined;
    emit("vllm_call_error", {
      duration_ms: Date.now() - startedAt,
      error: error?.code ?? "internal",
      reason: error?.fault === undefined ? "internal" : reasonOf(error.fault),
      status: error?.fault?.status ?? null,
      prompt_tokens: error?.usage?.prompt_tokens ?? null,
      completion_tokens: error?.usage?.completion_tokens ?? null,
    });
    throw thrown;
  }
}

async function stream(
  server: Server,
  ask: Ask,
  options: CallOptions,
  startedAt: number,
): Promise<Completion> {
  let stopped: "silence" | "deadline" | "aborted" | undefined;
  let answerFault: Fault | undefined;
  let text = "";
  let finishReason: string | null = null;
  const controller = new AbortController();
  const stop = (why: NonNullable<typeof stopped>) => {
    stopped ??= why;
    exchange.close();
    controller.abort();
  };
  const idle = setTimeout(() => stop("silence"), server.readTimeoutMs);
  const exchange = Transport.open({
    connectTimeoutMs: server.connectTimeoutMs,
    onProgress: () => idle.refresh(),
  });
  const left = Math.min(maxTimerMs, Math.max(0, options.deadline - Date.now()));
  const deadline = setTimeout(() => stop("deadline"), left);
  let afterFinish: NodeJS.Timeout | undefined;
  const onAbort = () => stop("aborted");
  options.signal?.addEventListener("abort", onAbort, { once: true });

  const completion: Completion = {
    text: "",
    reasoning: "",
    finishReason: null,
    cut: null,
    usage: null,
    model: server.model,
    logprobs: ask.logprobs ? [] : null,
    firstTokenMs: null,
    totalMs: 0,
  };
  try {
    if (options.signal?.aborted) stop("aborted");
    else if (options.deadline <= Date.now()) stop("deadline");
    if (stopped !== undefined) throw new Error(stopped);
    const client = connect(server, async (input, init) => {
      const response = await exchange.fetch(input, init);
      if (response.ok && response.headers.get("content-type")?.includes("text/event-stream"))
        return new Response(response.body && onlyData(response.body), response);
      const body = await readSome(response, errorBodyBytes);
      answerFault = fromAnswer(response.status, response.headers, body, Date.now());
      throw new Error("not an event stream");
    });
    const chunks = await client.chat.completions.create(requestBody(server, ask, options.without), {
      headers: { "X-Request-Id": ask.requestId },
      signal: controller.signal,
      // Ends at the response headers; ours ends everything. Only kept from being shorter.
      timeout: Math.min(maxTimerMs, left + 60_000),
    });
    for await (const chunk of chunks) {
      if (chunk.model) completion.model = chunk.model;
      if (chunk.usage) completion.usage = readUsage(chunk.usage);
      const choice = chunk.choices?.[0];
      if (choice === undefined) continue;
      const { delta, thought } = readDelta(choice.delta);
      completion.reasoning += thought;
      if (delta !== "" || thought !== "") completion.firstTokenMs ??= Date.now() - startedAt;
      if (delta !== "") {
        text += delta;
        completion.cut = options.guard?.push(delta) ?? null;
        if (completion.cut !== null) break;
      }
      for (const each of choice.logprobs?.content ?? []) completion.logprobs?.push(readLogprob(each));
      if (choice.finish_reason) {
        finishReason = choice.finish_reason;
        afterFinish ??= setTimeout(() => exchange.close(), afterFinishMs);
      }
    }
  } catch (thrown) {
    // What came after the finish reason cannot spoil the answer.
    if (finishReason === null) {
      throw toError(stopped, answerFault ?? errorEvent(thrown) ?? exchange.fault(), exchange.sent(), {
        rawText: text || completion.reasoning,
        usage: completion.usage,
        cause: thrown,
      });
    }
  } finally {
    clearTimeout(idle);
    clearTimeout(deadline);
    clearTimeout(afterFinish);
    options.signal?.removeEventListener("abort", onAbort);
    exchange.close();
  }
  // The client ends an aborted or half-finished stream without an error.
  if (completion.cut === null && finishReason === null) {
    throw toError(stopped, exchange.fault(), exchange.sent(), {
      rawText: text || completion.reasoning,
      usage: completion.usage,
    });
  }
  return {
    ...completion,
    text,
    finishReason: completion.cut === null ? finishReason : null,
    totalMs: Date.now() - startedAt,
  };
}

/** A client for one exchange. Everything it would read from the environment is set: a stray variable must not redirect or log calls. */
function connect(server: Server, fetch: Transport.Exchange["fetch"]): OpenAI {
  return new OpenAI({
    baseURL: server.baseUrl,
    apiKey: server.apiKey ?? "none",
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    defaultHeaders: server.apiKey === undefined ? { Authorization: null } : {},
    maxRetries: 0,
    logLevel: "off",
    fetch,
  });
}

function requestBody(
  server: Server,
  ask: Ask,
  without: ReadonlySet<string> | undefined,
): OpenAI.Chat.ChatCompletionCreateParamsStreaming {
  const body: OpenAI.Chat.ChatCompletionCreateParamsStreaming & { chat_template_kwargs: object } = {
    model: server.model,
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: ask.prompt },
          ...ask.images.map((image) => ({
            type: "image_url" as const,
            image_url: {
              url: `data:${image.mimeType};base64,${Buffer.from(image.bytes).toString("base64")}`,
            },
          })),
        ],
      },
    ],
    temperature: ask.temperature,
    seed: ask.seed,
    // The older name: every compatible server takes it, the newer one not yet.
    max_tokens: ask.maxTokens,
    stream: true,
    // In every piece (vLLM): what a call that is cut off has cost is known too.
    stream_options: without?.has("continuous_usage_stats")
      ? { include_usage: true }
      : ({ include_usage: true, continuous_usage_stats: true } as { include_usage: true }),
    // Models that think by default (Qwen3.5 and later) would spend the answer's tokens on it. Templates without such
    // a variable ignore it; a server that does not know the field says so, and is not sent it again.
    chat_template_kwargs: { enable_thinking: false },
    ...(ask.logprobs ? { logprobs: true, top_logprobs: topLogprobs } : {}),
    ...(sendsSchema(ask, without)
      ? {
          response_format: {
            type: "json_schema" as const,
            json_schema: {
              name: ask.schemaName,
              schema: ask.schema as Record<string, unknown>,
              strict: true,
            },
          },
        }
      : {}),
  };
  for (const field of without ?? []) delete (body as unknown as Record<string, unknown>)[field];
  return body;
}

export function sendsSchema(ask: Ask, without: ReadonlySet<string> | undefined): boolean {
  return ask.schema !== undefined && !without?.has("response_format");
}

/** Text and thinking of one piece, wherever the server puts them: vLLM, SGLang and llama.cpp have a field for it, Mistral typed parts. */
function readDelta(given: unknown): { delta: string; thought: string } {
  const { content, reasoning, reasoning_content } = (given ?? {}) as Record<string, unknown>;
  const found = { delta: "", thought: "" };
  if (typeof content === "string") found.delta = content;
  else if (Array.isArray(content)) {
    for (const part of content as { type?: unknown; text?: unknown }[])
      if (part?.type === "text" && typeof part.text === "string") found.delta += part.text;
  }
  // Some servers send both names for the same text.
  const thought = reasoning ?? reasoning_content;
  if (typeof thought === "string") found.thought = thought;
  return found;
}

function readUsage(usage: { prompt_tokens?: number; completion_tokens?: number }): Usage {
  return { prompt_tokens: usage.prompt_tokens ?? 0, completion_tokens: usage.completion_tokens ?? 0 };
}

function readLogprob(each: OpenAI.Chat.ChatCompletionTokenLogprob): TokenLogprob {
  const top = (each.top_logprobs ?? []).map(({ token, logprob }) => ({ token, logprob }));
  return { token: each.token, logprob: each.logprob, top };
}

/** An error that the server sent as an event of the stream, after its 200. */
function errorEvent(thrown: unknown): Fault | undefined {
  if (!(thrown instanceof OpenAI.APIError) || typeof thrown.error !== "object" || thrown.error === null)
    return undefined;
  const code: unknown = "code" in thrown.error ? thrown.error.code : undefined;
  const status = typeof code === "number" && code >= 400 && code < 600 ? code : 500;
  return fromAnswer(status, new Headers(), JSON.stringify({ error: thrown.error }), Date.now());
}

function toError(
  stopped: "silence" | "deadline" | "aborted" | undefined,
  found: Fault | undefined,
  afterSend: boolean,
  more: { rawText: string; usage: Usage | null; cause?: unknown },
): VisionError {
  const fault: Fault =
    stopped !== undefined ? { kind: stopped, afterSend } : (found ?? { kind: "unfinished", afterSend });
  return error(fault, more);
}

/** The error of a single failed call. */
export function error(
  fault: Fault,
  more: { rawText?: string; usage?: Usage | null; cause?: unknown } = {},
): VisionError {
  const verdict = classify(fault);
  const timeout = fault.kind === "deadline" || fault.kind === "aborted";
  const away = verdict === "weather" || verdict === "overload";
  const code: Code = timeout ? "inference_timeout" : away ? "inference_unavailable" : "inference_failed";
  // The cause may quote the request or an address: its kind is enough.
  const cause = more.cause instanceof Error ? more.cause.name : undefined;
  return new VisionError(code, messages[code], {
    reason: reasonOf(fault),
    fault,
    rawText: more.rawText ?? "",
    usage: more.usage ?? null,
    retryAfterS: away ? Math.max(1, Math.ceil((fault.retryAfterMs ?? 5_000) / 1000)) : undefined,
    cause,
  });
}

export const messages = {
  inference_timeout: "the time for the model's answer ran out",
  inference_unavailable: "the model server is not available",
  inference_failed: "the model server could not answer",
  invalid_model_output: "the model's answer is not one JSON object",
  model_thinks: "the model's answer was all thinking: switch thinking off at the model server",
  answer_too_long: "the model's answer does not fit the room that its context leaves",
} as const;

async function readSome(response: Response, maxBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    pieces.push(piece);
    size += piece.byteLength;
    if (size >= maxBytes) break;
  }
  return Buffer.concat(pieces).subarray(0, maxBytes).toString("utf8");
}
