import * as z from "zod";
import type { Token } from "#local/model/rules/tokens";

/** The one model of this server, and what its context holds. */
export const MODEL = "local-ocr";
export const MAX_MODEL_LEN = 8192;
const MAX_IMAGES = 4;
const MAX_TOP_LOGPROBS = 20;

/** An answer that is not 200, in the shape vLLM gives it. */
export class ProtocolError extends Error {
  readonly status: number;
  readonly type: string;
  readonly param: string | null;

  constructor(status: number, type: string, message: string, param: string | null = null) {
    super(message);
    this.status = status;
    this.type = type;
    this.param = param;
  }

  body(): unknown {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.status } };
  }
}

export function badRequest(message: string, param: string | null = null): ProtocolError {
  return new ProtocolError(400, "BadRequestError", message, param);
}

const textPart = z.looseObject({ type: z.literal("text"), text: z.string() });
const imagePart = z.looseObject({
  type: z.literal("image_url"),
  image_url: z.looseObject({ url: z.string() }),
});
const message = z.looseObject({
  role: z.string(),
  content: z.union([z.string(), z.array(z.union([textPart, imagePart])), z.null()]).optional(),
});
const jsonSchema = z.record(z.string(), z.unknown());
const positive = z.int().min(1);

// Loose: sampling parameters and extensions of other servers are accepted and have no effect.
const requestSchema = z.looseObject({
  model: z.string(),
  messages: z.array(message).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: positive.nullish(),
  max_completion_tokens: positive.nullish(),
  n: z.literal(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).nullish(),
  request_id: z.string().nullish(),
  response_format: z
    .discriminatedUnion("type", [
      z.looseObject({ type: z.literal("text") }),
      z.looseObject({ type: z.literal("json_object") }),
      z.looseObject({ type: z.literal("json_schema"), json_schema: z.looseObject({ schema: jsonSchema }) }),
    ])
    .nullish(),
  structured_outputs: z.looseObject({ json: jsonSchema.optional() }).nullish(),
});

export interface ChatRequest {
  pictures: Buffer[];
  /** All text of all messages. */
  text: string;
  schema: Record<string, unknown> | undefined;
  wantsJson: boolean;
  stream: boolean;
  includeUsage: boolean;
  maxTokens: number | undefined;
  /** Undefined: no logprobs at all. */
  topLogprobs: number | undefined;
  requestId: string | undefined;
}

/** Checks a chat completion request. Throws ProtocolError with the status and wording of vLLM. */
export function parse(body: string): ChatRequest {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw badRequest("The body is not valid JSON.");
  }
  const checked = requestSchema.safeParse(json);
  if (!checked.success) {
    const issue = checked.error.issues[0];
    const path = issue?.path.join(".") || null;
    throw badRequest(`${path ?? "body"}: ${issue?.message ?? "invalid"}`, path);
  }
  const request = checked.data;
  if (request.model !== MODEL) {
    throw new ProtocolError(404, "NotFoundError", `The model \`${request.model}\` does not exist.`, "model");
  }
  const stream = request.stream ?? false;
  if (request.stream_options && !stream)
    throw badRequest("Stream options can only be defined when `stream=True`.");
  const top = request.top_logprobs ?? 0;
  if (top > 0 && !request.logprobs)
    throw badRequest("when using `top_logprobs`, `logprobs` must be set to true.");
  if (top > MAX_TOP_LOGPROBS) {
    throw badRequest(
      `Requested sample logprobs of ${top}, which is greater than max allowed: ${MAX_TOP_LOGPROBS}`,
      "top_logprobs",
    );
  }
  const parts = request.messages.flatMap(({ content }) =>
    typeof content === "string" ? [{ type: "text" as const, text: content }] : (content ?? []),
  );
  const urls = parts.flatMap((part) => (part.type === "image_url" ? [part.image_url.url] : []));
  if (urls.length > MAX_IMAGES)
    throw badRequest(`At most ${MAX_IMAGES} image(s) may be provided in one prompt.`);
  const format = request.response_format;
  const schema =
    format?.type === "json_schema" ? format.json_schema.schema : request.structured_outputs?.json;
  return {
    pictures: urls.map(decodeDataUrl),
    text: parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n"),
    schema,
    wantsJson: format?.type === "json_object",
    stream,
    includeUsage: request.stream_options?.include_usage ?? false,
    maxTokens: request.max_completion_tokens ?? request.max_tokens ?? undefined,
    topLogprobs: request.logprobs ? top : undefined,
    requestId: request.request_id ?? undefined,
  };
}

/** Nothing is ever fetched: a stand-in that follows URLs would be a way into the network. */
function decodeDataUrl(url: string): Buffer {
  const comma = url.indexOf(",");
  const head = url.slice(0, comma);
  if (comma < 0 || !/^data:[\w.+/-]*(;[\w=-]+)*;base64$/i.test(head)) {
    throw badRequest("image_url: only base64 data URLs are read here.", "image_url");
  }
  const base64 = url.slice(comma + 1);
  const bytes = Buffer.from(base64, "base64");
  // Buffer.from skips what is not base64: compare lengths to notice.
  const expected = Math.floor((base64.replace(/=+$/, "").length * 3) / 4);
  if (bytes.length === 0 || bytes.length !== expected) {
    throw badRequest("image_url: the data is not valid base64.", "image_url");
  }
  return bytes;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

type FinishReason = "stop" | "length";

function logprobsOf(tokens: Token[], top: number): unknown {
  return {
    content: tokens.map(({ text, logprob }) => {
      const entry = { token: text, logprob, bytes: [...Buffer.from(text)] };
      // The recognizer gives no second choice, so the list of alternatives holds the token itself only.
      return { ...entry, top_logprobs: top > 0 ? [entry] : [] };
    }),
  };
}

export interface Completion {
  id: string;
  created: number;
  tokens: Token[];
  finishReason: FinishReason;
  usage: Usage;
  topLogprobs: number | undefined;
}

/** The body of an answer that is not streamed. */
export function whole(completion: Completion): unknown {
  const { id, created, tokens, finishReason, usage, topLogprobs } = completion;
  return {
    id,
    object: "chat.completion",
    created,
    model: MODEL,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: tokens.map((token) => token.text).join("") },
        logprobs: topLogprobs === undefined ? null : logprobsOf(tokens, topLogprobs),
        finish_reason: finishReason,
        stop_reason: null,
      },
    ],
    usage,
  };
}

/** The events of a streamed answer, `[DONE]` included, `perChunk` tokens in each. */
export function* chunks(completion: Completion, includeUsage: boolean, perChunk: number): Generator<string> {
  const { id, created, tokens, finishReason, usage, topLogprobs } = completion;
  const event = (choices: unknown[], rest: object = {}) =>
    `data: ${JSON.stringify({ id, object: "chat.completion.chunk", created, model: MODEL, choices, ...rest })}\n\n`;
  const choice = (delta: object, some: Token[], finish: FinishReason | null) => ({
    index: 0,
    delta,
    logprobs: topLogprobs === undefined || some.length === 0 ? null : logprobsOf(some, topLogprobs),
    finish_reason: finish,
  });
  yield event([choice({ role: "assistant", content: "" }, [], null)]);
  for (let at = 0; at < tokens.length; at += perChunk) {
    const some = tokens.slice(at, at + perChunk);
    yield event([choice({ content: some.map((token) => token.text).join("") }, some, null)]);
  }
  yield event([choice({}, [], finishReason)]);
  if (includeUsage) yield event([], { usage });
  yield "data: [DONE]\n\n";
}
