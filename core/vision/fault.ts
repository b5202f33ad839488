import { AppError, type Code, type Details } from "#core/error";
import type { Repair } from "#core/vision/answer/object-scan";
import type { Salvaged } from "#core/vision/answer/salvage";

/** What went wrong in one call to the model server; codes and numbers only, safe for logs and artifacts. */
export interface Fault {
  kind: FaultKind;
  /** HTTP status, or the code inside an error event of the stream. */
  status?: number;
  /** True if the body was JSON of an OpenAI-compatible server; false if a proxy before it answered. */
  fromModelServer?: boolean;
  /** True if the whole request had been sent when it happened. */
  afterSend: boolean;
  /** The pause that the server requested with `Retry-After`. */
  retryAfterMs?: number;
  contextTooLong?: ContextTooLong;
  /** The server could not open the picture, or the model's processor refused it. */
  pictureRefused?: boolean;
  /** The server did not fetch a picture from its URL: it may not, or it could not. */
  pictureNotFetched?: boolean;
  /** "The model does not exist": wrong name, or weights still loading behind a router. */
  modelMissing?: boolean;
  /** Our fields that the server reports as unknown. */
  unknownFields?: string[];
  /** The server cannot make a grammar of the schema; the same schema will always fail. */
  schemaRefused?: boolean;
}

export type FaultKind =
  | "dns"
  | "refused"
  | "tls"
  | "connect_timeout"
  /** The connection broke: before, while or after the request was sent (`afterSend`). */
  | "reset"
  /** No byte for the read timeout. */
  | "silence"
  /** An answer that is not 200 with an event stream. */
  | "status"
  /** The stream ended without an error, but without a `finish_reason`. */
  | "unfinished"
  /** The server ended the answer itself (`finish_reason: "abort"`) during an orderly shutdown. */
  | "shutdown"
  /** More bytes than any real answer has. */
  | "oversized"
  | "deadline"
  | "aborted";

/** The numbers in a "context too long" answer, as far as its text has them. */
export interface ContextTooLong {
  maxModelLen?: number;
  /** Tokens of text and pictures, without the answer. */
  promptTokens?: number;
  /** The number of excess tokens, if the text has neither of the others. */
  overBy?: number;
  /** Set if only one part is too long: the text, before any picture was counted, or the requested `max_tokens`. */
  only?: "text" | "answer";
  /** Set if the wording is that of a server that shortens answers which do not fit, instead of refusing them. */
  clips?: true;
}

/** One call to the model server, as it goes into the artifact. Wire names. */
export interface AttemptRecord {
  n: number;
  /** How this call differed from the one before. */
  kind: AttemptKind;
  seed: number;
  temperature: number;
  max_tokens: number;
  response_format: "json_schema" | "structured_outputs" | "none";
  /** 200 or another status; null if none was received. */
  status: number | null;
  /** Why its answer was rejected, in snake_case; absent for the accepted one. */
  error?: string;
  /** Repairs of the answer's JSON; absent without any. */
  repaired?: readonly Repair[];
  finish_reason: string | null;
  ms: number;
  first_token_ms: number | null;
  usage: Usage | null;
}

export type AttemptKind =
  | "first"
  | "retry"
  | "smaller_picture"
  | "reencoded_picture"
  /** The picture was sent as bytes, because the server did not take its URL. */
  | "picture_as_bytes"
  | "without_field"
  | "another_seed"
  /** After an answer that did not fit: a call with all the room that is left. */
  | "larger_max_tokens"
  /** A call with no more tokens than the server accepts. */
  | "smaller_max_tokens"
  | "without_response_format";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

/** Usage of all calls together, as far as the server reported it. */
export function usageOf(attempts: readonly AttemptRecord[]): Usage {
  const sum = { prompt_tokens: 0, completion_tokens: 0 };
  for (const { usage } of attempts) {
    sum.prompt_tokens += usage?.prompt_tokens ?? 0;
    sum.completion_tokens += usage?.completion_tokens ?? 0;
  }
  return sum;
}

/**
 * A failed call or a failed ladder. `code`, `message` and `details.reason` are for callers; `fault`, `attempts` and
 * `rawText` are for logs and the failure's artifact and never leave with the error envelope.
 */
export class VisionError extends AppError {
  readonly fault: Fault | undefined;
  readonly attempts: AttemptRecord[];
  /** The model's last text, possibly cut off; empty if there was none. */
  readonly rawText: string;
  /** Finish reason of the last answer. */
  readonly finishReason: string | null;
  /** For a single failed call: the server's counts until it ended. */
  readonly usage: Usage | null;
  /** The part of the answer that was read before the room ended. */
  readonly partial: Salvaged | null;

  constructor(
    code: Code,
    message: string,
    options: {
      reason?: string;
      details?: Details;
      fault?: Fault | undefined;
      attempts?: AttemptRecord[];
      rawText?: string;
      finishReason?: string | null;
      usage?: Usage | null;
      partial?: Salvaged | null;
      retryAfterS?: number | undefined;
      /** Set if another call would fail in the same way, whatever the code. */
      retry?: false;
      cause?: unknown;
    },
  ) {
    super(code, message, {
      details: {
        ...(options.reason === undefined ? {} : { reason: options.reason }),
        ...options.details,
      },
      retry: options.retry,
      retryAfterS: options.retryAfterS,
      cause: options.cause,
    });
    this.name = "VisionError";
    this.fault = options.fault;
    this.attempts = options.attempts ?? [];
    this.rawText = options.rawText ?? "";
    this.finishReason = options.finishReason ?? null;
    this.usage = options.usage ?? null;
    this.partial = options.partial ?? null;
  }
}

/** Longest pause that a server can request. */
const maxRetryAfterMs = 60_000;
const modelMissingPattern =
  /\bmodel\b[^.]{0,200}\b(?:does not exist|not found|is not loaded|loading)\b|\bloading model\b/i;
/** Fields that other OpenAI-compatible servers may not know; a call works without them. */
const optionalFields = [
  "seed",
  "stream_options",
  "continuous_usage_stats",
  "top_logprobs",
  "logprobs",
  "response_format",
  "structured_outputs",
  "chat_template_kwargs",
];
const unknownFieldPattern =
  /unknown|unrecogni[sz]ed|unsupported|(?:not|n't) support(?:ed)?|unexpected|not (?:permitted|allowed|recogni[sz]ed)|extra (?:inputs?|fields?)|additional properties/i;
/** Other names of that field in error messages: vLLM with a Mistral tokenizer writes `chat_template`. */
const templatePattern = /\b(?:chat_template|enable_thinking)\b/;
/**
 * Messages about a schema that cannot become a grammar, as worded by vLLM (xgrammar, guidance, outlines), SGLang,
 * llama.cpp and OpenAI. Without the word `json_schema`, which also occurs if the server does not know this response
 * format.
 */
const schemaPattern =
  /json schema|invalid schema|(?<!\w)schema (?:is |conversion)|x?grammar\b|guidance|outlines|(?:schema|grammar) error|unimplemented keys|unknown format/i;

/**
 * Messages of Pillow (passed on by vLLM and SGLang), their processors, and llama.cpp. Matched loosely: encoding a
 * picture again without need costs one call.
 */
const picturePattern = new RegExp(
  [
    "cannot identify image",
    "image file is truncated",
    "truncated file read",
    "(?:broken|unrecognized) data stream",
    "broken png file",
    "bad transparency mask",
    "decompressed data too large",
    "too much memory used in text chunks",
    "decompression bomb",
    "failed to apply \\w*processor",
    "(?:failed to|unable to|could not|cannot) (?:load|decode|open|process|read) (?:the )?(?:image|picture)",
    "(?:invalid|corrupt(?:ed)?|unsupported) image",
  ].join("|"),
  "i",
);

/**
 * Messages of vLLM 0.32 about a URL: a host that `--allowed-media-domains` does not list (400), the bucket's own 403 or 404
 * (422; it quotes the URL, so no other pattern is tried), no connection or no answer (500).
 */
const fetchPattern = /fetch(?:ing)? (?:the )?(?:media|image)|allowed (?:media )?domains|parameter=image_url/i;

/** The meaning of a non-200 answer, or of an error event in a stream. `body` is not kept: it may quote the request. */
export function fromAnswer(status: number, headers: Pick<Headers, "get">, body: string, now: number): Fault {
  const fault: Fault = { kind: "status", status, fromModelServer: false, afterSend: true };
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"), now);
  if (retryAfterMs !== undefined) fault.retryAfterMs = retryAfterMs;
  const message = errorMessage(status, body);
  if (message === undefined) return fault;
  fault.fromModelServer = true;
  if (status === 404 && modelMissingPattern.test(message)) fault.modelMissing = true;
  if (status === 503 && modelMissingPattern.test(message)) fault.modelMissing = true;
  if (fetchPattern.test(message)) fault.pictureNotFetched = true;
  else if (status === 400 || status === 422) {
    const context = parseContextTooLong(message);
    if (context !== undefined) fault.contextTooLong = context;
    else if (picturePattern.test(message)) fault.pictureRefused = true;
    else {
      const named = unknownFields(message);
      // A server that refuses the schema may name `response_format`; if it names another field, it refuses that field.
      if (named.every((field) => field === "response_format") && schemaPattern.test(message))
        fault.schemaRefused = true;
      else if (named.length > 0) fault.unknownFields = named;
    }
  }
  // llama.cpp also uses this status for it; a retry would not help.
  if (status === 500 && /failed to parse grammar|schema conversion/i.test(message))
    fault.schemaRefused = true;
  return fault;
}

function unknownFields(message: string): string[] {
  if (!unknownFieldPattern.test(message)) return [];
  const named = optionalFields.filter((field) => new RegExp(`\\b${field}\\b`).test(message));
  if (named.length === 0 && templatePattern.test(message)) return ["chat_template_kwargs"];
  // Only this streaming option is unknown, and the message also names its parent.
  return named.includes("continuous_usage_stats")
    ? named.filter((field) => field !== "stream_options")
    : named;
}

/**
 * The body when it is JSON of an OpenAI-style server: `error`, `message` (old vLLM) or `detail` (FastAPI); any
 * object with a success status. Undefined for anything else, such as a proxy's page.
 */
function errorMessage(status: number, body: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
  if (status < 300) return body;
  if (!("error" in parsed || "detail" in parsed || "message" in parsed)) return undefined;
  return body;
}

/** `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3), capped; undefined when absent or unreadable. */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  const ms = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  if (!Number.isFinite(ms)) return undefined;
  return Math.min(maxRetryAfterMs, Math.max(0, ms));
}

const contextPatterns =
  /context (?:length|size|window)|maximum model length|max_model_len|max_tokens must be at least 1|exceed_context_size/i;
/** vLLM 0.32: the requested `max_tokens` alone exceeds the context, whatever the prompt. */
const answerAlone =
  /max_(?:completion_|output_)?tokens\s*=\s*[\d,]+ cannot be greater than \w+\s*=\s*([\d,]*\d)/i;
/** Extremely long text is refused by its number of characters, which does not give the tokens. */
const inCharacters = /contains [\d,]+ characters/i;
/** vLLM 0.32 checks the text before the picture; its "at least" is where it stopped counting. */
const textAlone = /exceeds this limit even without any output tokens/i;

/** The number behind the first pattern that matches. */
function find(text: string, ...patterns: RegExp[]): number | undefined {
  for (const pattern of patterns) {
    const digits = pattern.exec(text)?.[1];
    if (digits !== undefined) return Number(digits.replaceAll(",", ""));
  }
  return undefined;
}

/**
 * The numbers of a "context too long" answer of vLLM (any version), SGLang or llama.cpp; undefined if the text is about
 * something else. The wording changes between versions, so numbers are matched loosely. A length at which the server
 * only stopped counting (always one more than its limit) is left out.
 */
export function parseContextTooLong(text: string): ContextTooLong | undefined {
  const taken = find(text, answerAlone);
  if (taken !== undefined) return { maxModelLen: taken, only: "answer", clips: true };
  if (!contextPatterns.test(text)) return undefined;
  const maxModelLen = find(
    text,
    /context (?:length|size|window)\D{0,40}?([\d,]*\d)/i,
    /maximum model length\D{0,20}([\d,]*\d)/i,
    /max_model_len\D{0,20}([\d,]*\d)/i,
    /"n_ctx"\s*:\s*(\d+)/,
  );
  const context = maxModelLen === undefined ? {} : { maxModelLen };
  if (inCharacters.test(text)) return { ...context, only: "text" };
  const promptTokens = find(
    text,
    /"n_prompt_tokens"\s*:\s*(\d+)/,
    /input length \(([\d,]*\d)\)/i,
    /prompt \(length ([\d,]*\d)\)/i,
    /prompt contains(?: at least)? ([\d,]*\d)/i,
    /messages resulted in ([\d,]*\d)/i,
    /passed ([\d,]*\d) input tokens/i,
    /request has ([\d,]*\d) input tokens/i,
    /([\d,]*\d) (?:tokens )?(?:in|from) the (?:input )?messages/i,
    /input \(([\d,]*\d) tokens\)/i,
    /prompt[^.]{0,60}?([\d,]*\d) tokens/i,
  );
  const asked = find(text, /requested ([\d,]*\d) output tokens/i) ?? 0;
  const stopped =
    promptTokens !== undefined &&
    maxModelLen !== undefined &&
    /contains at least/i.test(text) &&
    promptTokens === maxModelLen - asked + 1;
  if (textAlone.test(text)) {
    const length = promptTokens === undefined || stopped ? {} : { promptTokens };
    return { ...context, ...length, only: "text" };
  }
  // Counting stopped before the context's end, because the answer's tokens are reserved: with fewer of them there may
  // be room.
  if (stopped) return { ...context, only: asked > 0 ? "answer" : "text" };
  const overBy = find(text, /got -([\d,]*\d)/i);
  return {
    ...context,
    ...(promptTokens === undefined ? {} : { promptTokens }),
    // "max_tokens must be at least 1, got -N": the room left for the answer, counted below zero.
    ...(overBy === undefined ? {} : { overBy: overBy + 1 }),
  };
}

/** The fault in one snake_case word, for `details.reason`, logs and attempts. */
export function reasonOf(fault: Fault): string {
  if (fault.contextTooLong !== undefined) return "context_too_long";
  if (fault.pictureRefused) return "picture_refused";
  if (fault.pictureNotFetched) return "picture_not_fetched";
  if (fault.modelMissing) return "model_missing";
  if (fault.schemaRefused) return "schema_refused";
  switch (fault.kind) {
    case "dns":
    case "refused":
    case "tls":
    case "connect_timeout":
      return `connection_${fault.kind}`;
    case "reset":
      return fault.afterSend ? "connection_lost" : "connection_reset";
    case "silence":
      return "model_server_silent";
    case "unfinished":
      return "unfinished_answer";
    case "shutdown":
      return "model_server_shutdown";
    case "oversized":
      return "oversized_answer";
    case "status":
      return `${fault.fromModelServer ? "model_server" : "proxy"}_status_${fault.status ?? 0}`;
    case "deadline":
    case "aborted":
      return fault.kind;
  }
}
