import type { Code } from "#core/error";
import * as Profiles from "#core/model/profiles/profiles";
import { type Chunk, type Completion, Incoming } from "#core/vision/completion";
import * as EventStream from "#core/vision/event-stream";
import { type Fault, fromAnswer, reasonOf, type Usage, VisionError } from "#core/vision/fault";
import type { Guard } from "#core/vision/guard";
import * as Transport from "#core/vision/transport";
import { classify } from "#core/vision/verdict";
import type { ProfileName } from "#spec/profile-names";

/** An OpenAI-compatible model server. */
export interface Server {
  /** Ends in `/v1`. */
  baseUrl: string;
  apiKey: string | undefined;
  model: string;
  /** `VLLM_PROFILE`; undefined: by the model's name. */
  profile?: ProfileName | undefined;
  /** DNS, TCP and TLS together. */
  connectTimeoutMs: number;
  /** Longest silence: before the first byte, and between two pieces of the answer. */
  readTimeoutMs: number;
}

export interface Picture {
  /** Empty if there is a `url`. */
  bytes: Uint8Array;
  mimeType: string;
  /** The URL from which the server fetches the picture. It is signed, so it is a secret. */
  url?: string | undefined;
}

/** One question to the model. */
export interface Ask {
  /** Static text, sent before the pictures so that the server's prefix cache can keep it. */
  prompt: string;
  images: Picture[];
  /** Text after the pictures, of one call alone. */
  suffix?: string | undefined;
  /** In the subset that constrained decoding supports; undefined for free text. */
  schema: object | undefined;
  schemaName: string;
  temperature: number;
  seed: number;
  maxTokens: number;
  /** Sent as `X-Request-Id`, which vLLM uses in its own logs. */
  requestId: string;
  logprobs?: boolean | undefined;
}

/** Progress of a call, in numbers and codes only: safe for logs. */
export interface Event {
  event: "vllm_call_start" | "vllm_call_end" | "vllm_call_error";
  request_id: string;
  [fact: string]: string | number | boolean | null;
}

interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Epoch milliseconds. */
  deadline: number;
  onEvent?: ((event: Event) => void) | undefined;
  /** Checks the text as it arrives, and may cut the call off. */
  guard?: Guard | undefined;
  /** Fields that this server is known to refuse. */
  without?: ReadonlySet<string> | undefined;
}

/** Usage comes after the finish reason; wait this long for it. */
const afterFinishMs = 1_000;
/** The most bytes that are read of an answer that is not an event stream. */
const errorBodyBytes = 64 * 1024;
const topLogprobs = 5;
/** Longer timers fire at once (Node's limit is a 32-bit number of milliseconds). */
const maxTimerMs = 2 ** 31 - 1;

/**
 * One streamed call. Returns only an answer that ended with a `finish_reason` (which may be `length`; the caller
 * decides) or was cut off by the guard. The connection is closed in every case, so that the engine stops too.
 *
 * Throws VisionError: `inference_timeout` (deadline, abort), `inference_unavailable` (outage and overload by
 * #core/vision/verdict), `inference_failed` (everything else); `fault` has the details.
 */
export async function complete(server: Server, ask: Ask, options: CallOptions): Promise<Completion> {
  const startedAt = Date.now();
  const emit = (event: Event["event"], facts: Record<string, string | number | boolean | null>) =>
    options.onEvent?.({ event, request_id: ask.requestId, ...facts });
  emit("vllm_call_start", {
    images: ask.images.length,
    image_bytes: ask.images.reduce((sum, image) => sum + image.bytes.byteLength, 0),
    image_urls: ask.images.filter(({ url }) => url !== undefined).length,
    max_tokens: ask.maxTokens,
    seed: ask.seed,
    response_format: constraintOf(ask, options.without),
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
  const call = open(server, options);
  const { exchange } = call;
  const found = new Incoming(server.model, ask.logprobs === true);
  let answerFault: Fault | undefined;
  try {
    if (call.stopped() !== undefined) throw new Error(call.stopped());
    const response = await exchange.send(`${server.baseUrl}/chat/completions`, {
      headers: {
        accept: "text/event-stream",
        "content-type": "application/json",
        "x-request-id": ask.requestId,
        ...(server.apiKey === undefined ? {} : { authorization: `Bearer ${server.apiKey}` }),
      },
      body: JSON.stringify(requestBody(server, ask, options.without)),
    });
    const isStream = response.headers.get("content-type")?.includes("text/event-stream");
    if (response.status > 299 || !isStream) {
      const body = await readSome(response.body, errorBodyBytes);
      answerFault = fromAnswer(response.status, response.headers, body, Date.now());
      throw new Error("not an event stream");
    }
    for await (const chunk of chunksOf(response.body)) {
      found.add(chunk, { startedAt, guard: options.guard });
      if (found.cut !== null) break;
      if (found.finishReason !== null) call.finished();
    }
  } catch (thrown) {
    // A fault after the finish reason does not affect the answer.
    if (found.finishReason === null) {
      const fault = answerFault ?? errorEvent(thrown) ?? exchange.fault();
      throw toError(call.stopped(), fault, exchange.sent(), { ...found.partial(), cause: thrown });
    }
  } finally {
    call.close();
  }
  // The stream ended without an error.
  if (found.cut === null && found.finishReason === null)
    throw toError(call.stopped(), exchange.fault(), exchange.sent(), found.partial());
  return found.completion(Date.now() - startedAt);
}

type Stopped = "silence" | "deadline" | "aborted";

/** The exchange of one call, which silence, the deadline or the caller may end early. */
function open(server: Server, { deadline, signal }: CallOptions) {
  let stopped: Stopped | undefined;
  const stop = (why: Stopped) => {
    stopped ??= why;
    exchange.close();
  };
  const idle = setTimeout(() => stop("silence"), server.readTimeoutMs);
  const exchange = Transport.open({
    connectTimeoutMs: server.connectTimeoutMs,
    onProgress: () => idle.refresh(),
  });
  const leftMs = Math.min(maxTimerMs, Math.max(0, deadline - Date.now()));
  const late = setTimeout(() => stop("deadline"), leftMs);
  let afterFinish: NodeJS.Timeout | undefined;
  const onAbort = () => stop("aborted");
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) stop("aborted");
  else if (deadline <= Date.now()) stop("deadline");
  return {
    exchange,
    stopped: () => stopped,
    /** The finish reason has arrived: wait only briefly for what follows. */
    finished: () => {
      afterFinish ??= setTimeout(() => exchange.close(), afterFinishMs);
    },
    close: () => {
      clearTimeout(idle);
      clearTimeout(late);
      clearTimeout(afterFinish);
      signal?.removeEventListener("abort", onAbort);
      exchange.close();
    },
  };
}

/** An error that the server sent as an event of the stream, after its 200. */
class ErrorEvent extends Error {
  override readonly name = "ErrorEvent";
  readonly error: unknown;
  constructor(error: unknown) {
    super("the server sent an error");
    this.error = error;
  }
}

/**
 * The chunks of a stream, until it ends or says that it is done. Throws ErrorEvent, and SyntaxError if a chunk is not
 * JSON.
 */
async function* chunksOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Chunk> {
  for await (const { data, isError } of EventStream.events(body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data) as Chunk & { error?: unknown };
    if (isError || chunk.error) throw new ErrorEvent(chunk.error ?? chunk);
    yield chunk;
  }
}

function requestBody(
  server: Server,
  ask: Ask,
  without: ReadonlySet<string> | undefined,
): Record<string, unknown> {
  const { withoutThinking } = Profiles.choose(server.model, server.profile);
  const body: Record<string, unknown> = {
    model: server.model,
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: ask.prompt },
          ...ask.images.map((image) => ({
            type: "image_url",
            image_url: { url: image.url ?? dataUrl(image) },
          })),
          ...(ask.suffix === undefined ? [] : [{ type: "text", text: ask.suffix }]),
        ],
      },
    ],
    temperature: ask.temperature,
    seed: ask.seed,
    // The older name: every compatible server accepts it, while some do not accept the newer one.
    max_tokens: ask.maxTokens,
    stream: true,
    // Usage in every piece (vLLM), so that the cost of a call that is cut off is known, too.
    stream_options: without?.has("continuous_usage_stats")
      ? { include_usage: true }
      : { include_usage: true, continuous_usage_stats: true },
    // Models that think by default (Qwen3.5 and later) would use up the answer's tokens. Templates without this
    // variable ignore it; a server that does not know the field refuses it and is then asked without it.
    ...(withoutThinking === undefined ? {} : { chat_template_kwargs: withoutThinking }),
    ...(ask.logprobs ? { logprobs: true, top_logprobs: topLogprobs } : {}),
    ...constrained(ask, constraintOf(ask, without)),
  };
  for (const field of without ?? []) delete body[field];
  return body;
}

const dataUrl = ({ bytes, mimeType }: Picture) =>
  `data:${mimeType};base64,${Buffer.from(bytes).toString("base64")}`;

/** How the server is asked to follow the schema. */
type Constraint = "json_schema" | "structured_outputs" | "none";

/** OpenAI's field; if a server does not know it, vLLM's own; if it knows neither, none. */
export function constraintOf(ask: Ask, without: ReadonlySet<string> | undefined): Constraint {
  if (ask.schema === undefined) return "none";
  if (!without?.has("response_format")) return "json_schema";
  return without.has("structured_outputs") ? "none" : "structured_outputs";
}

function constrained({ schema, schemaName }: Ask, constraint: Constraint) {
  if (constraint === "none") return {};
  if (constraint === "structured_outputs") return { structured_outputs: { json: schema } };
  return {
    response_format: {
      type: "json_schema",
      json_schema: { name: schemaName, schema, strict: true },
    },
  };
}

function errorEvent(thrown: unknown): Fault | undefined {
  if (!(thrown instanceof ErrorEvent) || typeof thrown.error !== "object" || thrown.error === null)
    return undefined;
  const code: unknown = "code" in thrown.error ? thrown.error.code : undefined;
  const status = typeof code === "number" && code >= 400 && code < 600 ? code : 500;
  const body = JSON.stringify({ error: thrown.error });
  return fromAnswer(status, { get: () => null }, body, Date.now());
}

function toError(
  stopped: Stopped | undefined,
  found: Fault | undefined,
  afterSend: boolean,
  more: { rawText: string; usage: Usage | null; cause?: unknown },
): VisionError {
  const fault: Fault =
    stopped !== undefined ? { kind: stopped, afterSend } : (found ?? { kind: "unfinished", afterSend });
  return error(fault, more);
}

/** The error of a single failed call. */
function error(
  fault: Fault,
  more: { rawText?: string; usage?: Usage | null; cause?: unknown } = {},
): VisionError {
  const verdict = classify(fault);
  const timeout = fault.kind === "deadline" || fault.kind === "aborted";
  const away = verdict === "outage" || verdict === "overload";
  const code: Code = timeout ? "inference_timeout" : away ? "inference_unavailable" : "inference_failed";
  // The cause may quote the request or an address, so only its name is kept.
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

async function readSome(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    pieces.push(piece);
    size += piece.byteLength;
    if (size >= maxBytes) break;
  }
  return Buffer.concat(pieces).subarray(0, maxBytes).toString("utf8");
}
