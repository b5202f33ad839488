/** The shared parts of all operations in the OpenAPI document: errors, headers, tags. */
import * as z from "zod";
import type { ZodOpenApiObject, ZodOpenApiResponseObject } from "zod-openapi";
import { type Code, codes } from "#core/error";
import { ErrorDetails } from "#core/error-details";

type Headers = NonNullable<NonNullable<ZodOpenApiObject["components"]>["headers"]>;
type Parameters = NonNullable<NonNullable<ZodOpenApiObject["components"]>["parameters"]>;

const ErrorCode = z.enum(Object.keys(codes) as [Code, ...Code[]]).meta({
  id: "ErrorCode",
  description: Object.entries(codes)
    .map(
      ([code, { status, retry }]) =>
        `- \`${code}\`: ${status}, ${retry ? "the same call may succeed later" : "do not repeat"}`,
    )
    .join("\n"),
});

/** The answer of every function to a call that fails. */
export const ErrorEnvelope = z
  .object({
    error: z.object({
      code: ErrorCode,
      message: z.string().meta({
        description:
          "A sentence that says what to change: of several issues the first. For people; never echoes what was sent.",
      }),
      param: z.string().nullable().meta({
        description:
          "The field, query parameter or header that the message is about, as a dotted path (`manifest.0.image_ref`).",
      }),
      request_id: z.string().nullable().meta({ description: "As in the header `X-Request-ID`." }),
      doc_url: z.url().meta({ description: "The page about this code: cause and cure, on the same host." }),
      details: ErrorDetails,
    }),
  })
  .meta({ id: "ErrorEnvelope" });

/** An answer of the gateway in front of the functions. */
export const GatewayError = z.object({ message: z.string() }).meta({
  id: "GatewayError",
  description: "An answer of the API gateway itself, with its own request id.",
});

interface CodeText {
  /** When it is answered. */
  when: string;
  /** An example's message and details. */
  message: string;
  param?: string;
  details?: ErrorDetails;
}

const texts: Record<Code, CodeText> = {
  invalid_request: {
    when: "body, path or query does not match the schema",
    message: "image_base64: is not base64 (and 1 more)",
    param: "image_base64",
    details: {
      issues: [
        { path: "image_base64", message: "is not base64" },
        { path: "task", message: "unknown field: did you mean `task_id`?" },
      ],
    },
  },
  invalid_request_id: {
    when: "`request_id` does not have the allowed form",
    message: "request_id has the wrong form",
  },
  invalid_image: { when: "the picture cannot be decoded", message: "the picture cannot be decoded" },
  unsupported_media_type: {
    when: "the body is not JSON, or the type of the picture is not supported",
    message: "the body must be sent as application/json",
    details: { expected: "application/json" },
  },
  image_too_large: {
    when: "the picture or PDF has more bytes or pixels than are read by any way",
    message: "the picture is too large",
    details: { limit_bytes: 20_971_520, bytes: 26_214_400 },
  },
  payload_too_large: {
    when: "the request is too large for this route; `details.recipe` lists the steps that work",
    message:
      "the picture has 5 MiB and a call carries 4 MiB: upload the picture with POST /v1/uploads, up to 20 MiB, and send its image_ref",
    details: {
      limit_bytes: 4_194_304,
      bytes: 5_200_000,
      recipe: ["POST /v1/uploads …", "PUT …", "POST /v1/extract …"],
    },
  },
  unauthorized: {
    when: "no valid key was sent",
    message: "this API key is unknown, revoked or expired",
    param: "Authorization",
    details: { reason: "key_refused" },
  },
  forbidden: {
    when: "the key lacks the scope, the feature is switched off, or the request is above the key's maximum (`details.limit`)",
    message: "this key may not do that: it lacks the scope extract:run",
    details: { required_scopes: ["extract:run"] },
  },
  not_found: {
    when: "the object does not exist, or it belongs to another key",
    message: "there is nothing with this id",
  },
  method_not_allowed: {
    when: "the path has other methods",
    message: "this path takes GET, HEAD and nothing else",
    details: { allowed: ["GET", "HEAD"] },
  },
  conflict: {
    when: "the id exists with another payload, or the state does not allow it",
    message:
      "this id was used with another payload: take another id, or send the very same call again for its stored answer",
    details: { reason: "id_reused" },
  },
  answer_too_long: {
    when: "the model's answer does not fit its context; the artifact holds the rows that were read",
    message: "the model's answer does not fit the room that its context leaves",
    details: { rows: 71, max_tokens: 3890, context_tokens: 8192 },
  },
  rate_limited: { when: "the key's limit is reached", message: "too many requests" },
  inference_failed: {
    when: "the model server answered with an error, also after retries",
    message: "the model server failed",
  },
  invalid_model_output: {
    when: "the model's answer is not one JSON object (`details.reason`; with `model_thinks` it was all thinking: do not repeat, switch thinking off at the model server)",
    message: "the model's answer is not one JSON object",
  },
  inference_unavailable: { when: "the model server is away", message: "the model server is away" },
  storage_unavailable: {
    when: "bucket or database cannot be reached",
    message: "the database cannot be reached",
  },
  inference_timeout: {
    when: "the model did not answer in time",
    message: "the model server took too long",
  },
  internal: { when: "anything else", message: "something went wrong on our side" },
};

/** The component names of the error answers, by status. */
const names: Record<number, string> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  413: "TooLarge",
  415: "UnsupportedMediaType",
  422: "Unprocessable",
  429: "TooManyRequests",
  500: "InternalError",
  502: "BadGateway",
  503: "Unavailable",
  504: "GatewayTimeout",
};

/** The gateway may also answer with these statuses, before or instead of a function. */
const gatewayStatuses = new Set([413, 429, 500, 503]);
const gatewayMessages: Record<number, string> = {
  413: "Request Too Long",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

export const ref = (kind: "headers" | "parameters" | "responses", name: string) => ({
  $ref: `#/components/${kind}/${name}`,
});

/** The shared answer for a status. @throws Error if the status has no name yet. */
export function errorRef(status: number): { $ref: string } {
  const name = names[status];
  if (name === undefined) throw new Error(`no error answer is described for status ${status}`);
  return ref("responses", name);
}

/** The answers that operations refer to, each with an example for every code. */
export function errorResponses(used: ReadonlySet<number>): Record<string, ZodOpenApiResponseObject> {
  const responses: Record<string, ZodOpenApiResponseObject> = {};
  for (const status of [...used].sort((a, b) => a - b)) {
    const name = names[status];
    if (name !== undefined) responses[name] = errorResponse(status);
  }
  responses.Gateway = {
    description:
      "Any other status: an answer of the API gateway itself, such as 431 for headers above 10 KB.",
    content: {
      "application/json": {
        schema: GatewayError,
        examples: { gateway: { value: { message: "Request Header Fields Too Large" } } },
      },
    },
  };
  return responses;
}

function errorResponse(status: number): ZodOpenApiResponseObject {
  const own = (Object.keys(codes) as Code[]).filter((code) => codes[code].status === status);
  const examples: Record<string, { summary: string; value: unknown }> = {};
  for (const code of own) {
    const { when, message, param = null, details = {} } = texts[code];
    const doc_url = `https://api.example.com/docs/errors#${code}`;
    const value = { error: { code, message, param, request_id: "receipt-0001", doc_url, details } };
    examples[code] = { summary: when, value };
  }
  const message = gatewayMessages[status];
  if (message !== undefined) examples.gateway = { summary: "the gateway's own answer", value: { message } };
  return {
    description: [
      ...own.map((code) => `\`${code}\`: ${texts[code].when}.`),
      ...(gatewayStatuses.has(status) ? ["The gateway may answer this itself, as `{message}`."] : []),
    ].join(" "),
    headers: {
      "X-Request-ID": ref("headers", "XRequestId"),
      ...(status === 401 ? { "WWW-Authenticate": ref("headers", "WwwAuthenticate") } : {}),
      ...(status === 429 || status === 503 ? { "Retry-After": ref("headers", "RetryAfter") } : {}),
    },
    content: {
      "application/json": {
        schema: gatewayStatuses.has(status) ? z.union([ErrorEnvelope, GatewayError]) : ErrorEnvelope,
        examples,
      },
    },
  };
}

/** Headers of answers. */
export const headers: Headers = {
  XRequestId: {
    description:
      "The id of this call, which every log line has. It is the caller's `X-Request-ID` if that is well-formed.",
    schema: { type: "string" },
    example: "receipt-0001",
  },
  RetryAfter: {
    description: "Seconds after which to repeat the call.",
    schema: { type: "integer", minimum: 0 },
    example: 2,
  },
  IdempotentReplayed: {
    description: "`true` if this is the stored answer of an earlier call with the same id and payload.",
    schema: { type: "string", enum: ["true"] },
  },
  RateLimitPolicy: {
    description: "For a key with `requests_per_minute`: `q` calls in `w` seconds.",
    schema: { type: "string" },
    example: '"requests_per_minute";q=60;w=60',
  },
  RateLimit: {
    description:
      "For a key with `requests_per_minute`: `r` calls are left; more are available after `t` seconds.",
    schema: { type: "string" },
    example: '"requests_per_minute";r=59;t=30',
  },
  PreferenceApplied: {
    description: "The preferences of `Prefer` that were applied (RFC 7240); absent if none were.",
    schema: { type: "string" },
    example: "wait=5",
  },
  Location: {
    description: "The address to poll, or the address of the bytes.",
    schema: { type: "string" },
    example: "/v1/extracts/receipt-0001",
  },
  XLeftOut: {
    description: "For a ledger file: how many items are not in it because they cannot be booked.",
    schema: { type: "integer", minimum: 0 },
  },
  XNotes: {
    description: "For a ledger file: how many texts had to be changed.",
    schema: { type: "integer", minimum: 0 },
  },
  WwwAuthenticate: {
    description: "The expected scheme.",
    schema: { type: "string" },
    example: "Bearer",
  },
};

/** The headers that a caller may send. */
export const parameters: Parameters = {
  XRequestId: {
    name: "X-Request-ID",
    in: "header",
    // No pattern: it would look like a requirement, but no value is refused.
    description:
      "Your id for this call: 1 to 128 letters, digits, `_`, `.` and `-`, beginning with a letter or digit. An id of another form is ignored, and a new one is made.",
    // No example: readers who try a call in the reference would send it, and a second picture under it is refused.
    schema: { type: "string" },
  },
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    description:
      "The same key and payload within 24 hours give the same answer; another payload is a conflict.",
    schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" },
  },
  Prefer: {
    name: "Prefer",
    in: "header",
    description:
      "`respond-async`: 202 at once. `wait=N`: no 202 before N seconds (at most 25), unless the model server is away; `wait=0` is then 503. Without the header the call waits, and ends in 202 before the gateway's 30 s. `Preference-Applied` says what was applied.",
    schema: { type: "string" },
    example: "wait=5",
  },
};

interface Tag {
  readonly tag: string;
  readonly description: string;
}

/** Tags by the first path segment below /v1, for paths that share a tag or whose tag has its own description. */
const tags: Record<string, Tag> = {
  "": { tag: "System", description: "Is it up, is it ready, and this document." },
  me: { tag: "Account", description: "The calling key." },
  tasks: { tag: "Tasks", description: "The document types that can be extracted." },
  extract: { tag: "Extracts", description: "One picture in, checked JSON out." },
  extracts: { tag: "Extracts", description: "One picture in, checked JSON out." },
  uploads: { tag: "Uploads", description: "Signed addresses for what is too large for a JSON body." },
  data: { tag: "Uploads", description: "Signed addresses for what is too large for a JSON body." },
  batch_extract: { tag: "Runs", description: "Many pictures in one run." },
  batch_extract_upload: { tag: "Runs", description: "Many pictures in one run." },
  batch_extract_rerun: { tag: "Runs", description: "Many pictures in one run." },
  runs: { tag: "Runs", description: "Many pictures in one run." },
  usage: { tag: "Usage", description: "Tokens, seconds and cost." },
  ground_truths: { tag: "Evaluation", description: "Runs compared with known answers." },
  evals: { tag: "Evaluation", description: "Runs compared with known answers." },
  admin: { tag: "Pod", description: "The rented GPU that runs only while work waits; scope `admin:pod`." },
  debug: { tag: "Debug", description: "Artifacts as they are stored; only with `DEBUG_MODE=1`." },
};

/** The tag of a path. Without a line above, its name comes from the segment: `/v1/cost_centers` → "Cost centers". */
export function tagOf(path: string): Tag {
  const [first = "", second = ""] = path.split("/").slice(1);
  const family = first === "v1" ? second : "";
  const words = family.replaceAll("_", " ");
  return (
    tags[family] ?? {
      tag: words.charAt(0).toUpperCase() + words.slice(1),
      description: `What is below \`/v1/${family}\`.`,
    }
  );
}
