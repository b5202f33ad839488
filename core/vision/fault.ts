import { AppError, type Code, type Details } from "#core/error";
import type { Repair } from "#core/vision/object-scan";
import type { Salvaged } from "#core/vision/salvage";

/** What went wrong in one call to the model server; codes and numbers only, safe for logs and artifacts. */
export interface Fault {
  kind: FaultKind;
  /** HTTP status, or the code inside an error event of the stream. */
  status?: number;
  /** The body was JSON of an OpenAI-compatible server; false: a proxy in front of it answered. */
  fromModelServer?: boolean;
  /** The whole request had left this machine when it happened. */
  afterSend: boolean;
  /** What the server asked for with `Retry-After`. */
  retryAfterMs?: number;
  contextTooLong?: ContextTooLong;
  /** The server could not open the picture, or the model's processor would not have it. */
  pictureRefused?: boolean;
  /** "The model does not exist": wrong name, or weights still loading behind a router. */
  modelMissing?: boolean;
  /** Fields of ours that the server says it does not know. */
  unknownFields?: string[];
  /** The server cannot make a grammar of the schema; the same schema never passes. */
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
  /** The stream ended in an orderly way, but without a `finish_reason`. */
  | "unfinished"
  /** The server broke the answer off itself (`finish_reason: "abort"`): it is being shut down in order. */
  | "shutdown"
  /** More bytes than any answer has. */
  | "oversized"
  | "deadline"
  | "aborted";

/** Numbers of a "context too long" answer, as far as its text gives them. */
export interface ContextTooLong {
  maxModelLen?: number;
  /** Tokens of text and pictures, without the answer. */
  promptTokens?: number;
  /** Tokens that are too many, where the text gives neither of the others. */
  overBy?: number;
  /** What it is about alone: the text, before any picture was counted, or the `max_tokens` that was asked for. */
  only?: "text" | "answer";
  /** By its words a server that clips an answer which does not fit, instead of refusing it. */
  clips?: true;
}

/** One call to the model server, as it goes into the artifact. Wire names. */
export interface AttemptRecord {
  n: number;
  /** What made this call different from the one before. */
  kind: AttemptKind;
  seed: number;
  temperature: number;
  max_tokens: number;
  response_format: "json_schema" | "none";
  /** 200, or the status that came instead; null when none came. */
  status: number | null;
  /** Why its answer was not taken, snake_case; absent for the one that was. */
  error?: string;
  /** What had to be mended in the answer's JSON; absent where nothing had to be. */
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
  | "without_field"
  | "another_seed"
  /** After an answer that did not fit: all the room there is. */
  | "larger_max_tokens"
  /** The server takes no more. */
  | "smaller_max_tokens"
  | "without_response_format";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

/** Of all calls together, as far as the server counted them. */
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
  /** What the model said last, possibly cut off; empty when it said nothing. */
  readonly rawText: string;
  /** Finish reason of the last answer. */
  readonly finishReason: string | null;
  /** Of a single call that failed: what the server had counted when it broke off. */
  readonly usage: Usage | null;
  /** The part of an answer that was read before there was no more room for it. */
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
      /** Where another call would end in the same way, whatever the code says. */
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

/** Longest pause a server can ask for. */
const maxRetryAfterMs = 60_000;
const modelMissingPattern =
  /\bmodel\b[^.]{0,200}\b(?:does not exist|not found|is not loaded|loading)\b|\bloading model\b/i;
/** Fields that other OpenAI-compatible servers may not know; the call works without each of them. */
const optionalFields = [
  "seed",
  "stream_options",
  "continuous_usage_stats",
  "top_logprobs",
  "logprobs",
  "response_format",
  "chat_template_kwargs",
];
const unknownFieldPattern =
  /unknown|unrecogni[sz]ed|unsupported|(?:not|n't) support(?:ed)?|unexpected|not (?:permitted|allowed|recogni[sz]ed)|extra (?:inputs?|fields?)|additional properties/i;
/** What servers call that field where they name a part of it: vLLM with a tokenizer of Mistral's says `chat_template`. */
const templatePattern = /\b(?:chat_template|enable_thinking)\b/;
/**
 * A schema that no grammar can be made of, in the words of vLLM (xgrammar, guidance, outlines), SGLang, llama.cpp and
 * OpenAI. Not the word `json_schema`: that a server knows no such response format is said with it.
 */
const schemaPattern =
  /json schema|invalid schema|(?<!\w)schema (?:is |conversion)|x?grammar\b|guidance|outlines|(?:schema|grammar) error|unimplemented keys|unknown format/i;

/**
 * What Pillow says (vLLM and SGLang hand its words on), their processors, llama.cpp. Read loosely: a picture that
 * is encoded anew without need costs one call.
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

/** What a non-200 answer, or an error event in a stream, means. `body` stays here: it may quote the request. */
export function fromAnswer(status: number, headers: Headers, body: string, now: number): Fault {
  const fault: Fault = { kind: "status", status, fromModelServer: false, afterSend: true };
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"), now);
  if (retryAfterMs !== undefined) fault.retryAfterMs = retryAfterMs;
  const message = errorMessage(status, body);
  if (message === undefined) return fault;
  fault.fromModelServer = true;
  if (status === 404 && modelMissingPattern.test(message)) fault.modelMissing = true;
  if (status === 503 && modelMissingPattern.test(message)) fault.modelMissing = true;
  if (status === 400 || status === 422) {
    const context = parseContextTooLong(message);
    if (context !== undefined) fault.contextTooLong = context;
    else if (picturePattern.test(message)) fault.pictureRefused = true;
    else {
      const named = unknownFields(message);
      // The format is named by what refuses a schema, too; any other field is not.
      if (named.every((field) => field === "response_format") && schemaPattern.test(message))
        fault.schemaRefused = true;
      else if (named.length > 0) fault.unknownFields = named;
    }
  }
  // llama.cpp has said it with this status, too; asking again changes nothing.
  if (status === 500 && /failed to parse grammar|schema conversion/i.test(message))
    fault.schemaRefused = true;
  return fault;
}

function unknownFields(message: string): string[] {
  if (!unknownFieldPattern.test(message)) return [];
  const named = optionalFields.filter((field) => new RegExp(`\\b${field}\\b`).test(message));
  if (named.length === 0 && templatePattern.test(message)) return ["chat_template_kwargs"];
  // The one option of the streaming's is unknown, and its place is named beside it.
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
/** vLLM 0.32: the figure alone is beyond the context, whatever the prompt. */
const answerAlone =
  /max_(?:completion_|output_)?tokens\s*=\s*[\d,]+ cannot be greater than \w+\s*=\s*([\d,]*\d)/i;
/** Far too long a text is refused by its characters, which say nothing about tokens. */
const inCharacters = /contains [\d,]+ characters/i;
/** vLLM 0.32 looks at the text before the picture; its "at least" is where it stopped counting. */
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
 * The numbers of a "context too long" answer of vLLM (any version), SGLang or llama.cpp, or undefined when the
 * text is about something else. The wording changes between versions, so numbers are looked up loosely. A length that
 * is only where the server stopped counting (always one more than it takes) is no length, and is left out.
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
  // Stopped short of the context by the answer's share: with fewer tokens for the answer there may be room.
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
