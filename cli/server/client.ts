/**
 * The HTTP API as the commands call it: time limits, both shapes of error answers, and an answer that comes later.
 * Every failure is a CallError whose message is one line for the person at the terminal; many mistakes of a manifest
 * have a line each.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import * as Text from "#cli/terminal/text";
import { codes } from "#core/error";

/** A server, and the key it is called with. */
export interface Target {
  /** May have a path of its own, such as an API Gateway stage. */
  readonly url: URL;
  readonly apiKey: string | undefined;
  /** Where the key was found, for whoever must look for a better one: `--key`, a variable, a file. */
  readonly keyFrom?: string | undefined;
}

export interface Request {
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS";
  /** Below the server's address, beginning with a slash. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, where a test wants a body that is not JSON. */
  readonly rawBody?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body, when it is JSON. */
  readonly json: unknown;
  readonly ms: number;
  /** Who gave it. */
  readonly server?: Target;
}

/**
 * A call that did not give what was asked for. `scope` tells what it means for the next call: "item" is about
 * this picture alone, "server" will meet the next one as well.
 */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly scope: "item" | "server";
  readonly code: string;
  readonly status: number | undefined;
  /** What the answer's `Retry-After` asked for. */
  readonly retryAfterMs: number | undefined;
  /** Which limit of the key a 429 or 403 is about. */
  readonly limit: Limit | undefined;
  /** The `error` of our own envelope, as the server sent it. */
  readonly own: Own | undefined;
  /** Who refused. */
  readonly server: Target | undefined;

  constructor(
    message: string,
    about: {
      scope: "item" | "server";
      code: string;
      status?: number;
      cause?: unknown;
      retryAfterMs?: number | undefined;
      limit?: Limit | undefined;
      own?: Own | undefined;
      server?: Target | undefined;
    },
  ) {
    super(message, about.cause === undefined ? undefined : { cause: about.cause });
    this.scope = about.scope;
    this.code = about.code;
    this.status = about.status;
    this.retryAfterMs = about.retryAfterMs;
    this.limit = about.limit;
    this.own = about.own;
    this.server = about.server;
  }

  /**
   * The same call may be answered later: the network, a limit that waiting helps against (only then is there a
   * `Retry-After`), a server that is away or starts again.
   */
  get passes(): boolean {
    if (this.status === 429) return this.code !== "rate_limited" || this.retryAfterMs !== undefined;
    return this.code === "network" || (this.status ?? 0) >= 500;
  }

  /**
   * The same call is refused today and next year: what it asks for is wrong, or more than the key may ever have. Of a
   * key that is refused itself nothing is known: with another one the call may be fine.
   */
  get isFinal(): boolean {
    // More than the key may ever have, however long one waits.
    if (this.limit !== undefined && this.code === "forbidden") return true;
    return finalCodes.has(this.code);
  }
}

/** `details` of a 429, or of a 403 that is about a limit. */
const Limit = z.object({
  limit: z.string(),
  allowed: z.number().optional(),
  requested: z.number().optional(),
});
type Limit = z.output<typeof Limit>;

/** An `error` of ours: what is read of it, and whatever else a newer server says. */
interface Own {
  readonly code: string;
  readonly message: string;
  readonly request_id: string | null;
  readonly details: unknown;
  readonly [name: string]: unknown;
}

const aboutKey: ReadonlySet<string> = new Set(["unauthorized", "forbidden"]);
const finalCodes: ReadonlySet<string> = new Set(
  Object.entries(codes)
    .filter(([code, { retry }]) => !retry && !aboutKey.has(code))
    .map(([code]) => code),
);

/** Longer than any answer takes: an HTTP API gives up at 30 s. */
const defaultTimeoutMs = 45_000;
/** A slow answer is asked for this long. */
const pollLimitMs = 15 * 60_000;
const defaultPollS = 2;
const maxPollS = 30;
/** How often and for how long a rate limit is waited out. */
const rateLimitTries = 3;
const maxRateLimitS = 30;

/**
 * The server at an address that a person typed.
 * @param from - where address and key were found, for the person who must mend them.
 * Throws CallError for what is no http(s) address and for a key that no header can carry.
 */
export function target(
  address: string,
  apiKey: string | undefined,
  from: { readonly address?: string; readonly key?: string } = {},
): Target {
  const place = (name: string | undefined) => (name === undefined ? "" : ` (from ${name})`);
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.username !== "") {
    throw new CallError(`the server's address${place(from.address)} must begin with http:// or https://`, {
      scope: "server",
      code: "usage",
    });
  }
  const key = apiKey?.trim() || undefined;
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) {
    throw new CallError(`the API key${place(from.key)} holds characters that no key has`, {
      scope: "server",
      code: "usage",
    });
  }
  return { url: new URL(`${url.origin}${url.pathname.replace(/\/*$/, "/")}`), apiKey: key };
}

/** One call, whatever its status. Throws CallError when there was no answer, and the signal's reason when it was aborted. */
export async function call(server: Target, request: Request): Promise<Answer> {
  const startedAt = performance.now();
  const timeout = AbortSignal.timeout(request.timeoutMs ?? defaultTimeoutMs);
  const { signal } = request;
  const hasJson = request.body !== undefined;
  try {
    const response = await fetch(addressOf(server, request.path), {
      method: request.method ?? "GET",
      headers: {
        accept: "application/json",
        ...(server.apiKey === undefined ? {} : { authorization: `Bearer ${server.apiKey}` }),
        ...(hasJson ? { "content-type": "application/json" } : {}),
        ...request.headers,
      },
      body: hasJson ? JSON.stringify(request.body) : (request.rawBody ?? null),
      // A redirect would turn a POST into a GET, and take the key along to wherever it points.
      redirect: "manual",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const text = await response.text();
    const ms = Math.round(performance.now() - startedAt);
    return { status: response.status, headers: response.headers, text, json: parse(text), ms, server };
  } catch (error) {
    signal?.throwIfAborted();
    throw new CallError(`${server.url.origin}: ${faultOf(error)}`, {
      scope: "server",
      code: "network",
      cause: error,
    });
  }
}

/** One call that must succeed. Throws CallError for every answer but 2xx. */
export async function get(
  server: Target,
  path: string,
  options: Pick<Request, "signal" | "timeoutMs"> = {},
): Promise<unknown> {
  const answer = await call(server, { path, ...options });
  if (answer.status < 200 || answer.status > 299) throw failureOf(answer);
  return answer.json;
}

/** What the commands read of an extract; the rest is passed on as it came. */
const Extract = z.looseObject({
  request_id: z.string(),
  status: z.string(),
  artifact_rel: z.string().nullable().optional(),
  error: z.looseObject({ code: z.string(), message: z.string() }).optional(),
});
export type Extract = z.output<typeof Extract>;

const Running = z.looseObject({ status: z.literal("running"), poll_url: z.string() });

/** Where the picture is. */
export type Source = { image_base64: string } | { image_ref: string };

/**
 * `POST /v1/extract`, waiting for an answer that comes later (202) as long as its poll address says so.
 * Throws CallError, also for an extract that failed in the end.
 */
export async function extract(
  server: Target,
  body: Source & { task_id?: string; request_id?: string },
  signal?: AbortSignal,
  /** Called once when the answer does not come at once, with where it can be asked for. */
  onWaiting?: (pollUrl: string) => void,
): Promise<Extract> {
  for (let tries = 1; ; tries += 1) {
    const answer = await call(server, { method: "POST", path: "/v1/extract", body, signal });
    if (answer.status !== 429 || tries === rateLimitTries) return settled(server, answer, signal, onWaiting);
    await sleep(retryAfterS(answer, maxRateLimitS) * 1000, undefined, { signal });
  }
}

/** `GET /v1/extracts/{id}`, waiting for one that still runs. Throws CallError. */
export async function stored(server: Target, requestId: string, signal?: AbortSignal): Promise<Extract> {
  const answer = await call(server, { path: `/v1/extracts/${encodeURIComponent(requestId)}`, signal });
  const failure = answer.status === 404 ? failureOf(answer) : undefined;
  // Here it says something about this id, not about the server.
  if (failure?.code === "not_found") {
    const { message, code, own } = failure;
    throw new CallError(message, { scope: "item", code, status: 404, own });
  }
  return settled(server, answer, signal);
}

async function settled(
  server: Target,
  first: Answer,
  signal: AbortSignal | undefined,
  onWaiting?: (pollUrl: string) => void,
): Promise<Extract> {
  const giveUpAt = performance.now() + pollLimitMs;
  let answer = first;
  while (answer.status === 202) {
    const running = Running.safeParse(answer.json);
    if (!running.success) throw oddAnswer(answer);
    if (answer === first) onWaiting?.(running.data.poll_url);
    if (performance.now() > giveUpAt) {
      throw new CallError("still running after 15 minutes: ask for it again later", {
        scope: "item",
        code: "timeout",
      });
    }
    await sleep(retryAfterS(answer, maxPollS) * 1000, undefined, { signal });
    answer = await call(server, { path: running.data.poll_url, signal });
  }
  if (answer.status !== 200) throw failureOf(answer);
  const extracted = Extract.safeParse(answer.json);
  if (!extracted.success) throw oddAnswer(answer);
  const { error } = extracted.data;
  if (error)
    throw new CallError(Text.shown(`${error.message} (${error.code})`), {
      scope: "item",
      code: error.code,
      status: 200,
      own: { details: {}, request_id: extracted.data.request_id, ...error },
    });
  // As it came: zod would put the fields it knows first.
  return answer.json as Extract;
}

/** Our own error envelope, and what API Gateway answers by itself (docs/errors.md). */
const OwnError = z.object({
  error: z.looseObject({
    code: z.string(),
    message: z.string(),
    request_id: z.string().nullish(),
    details: z
      .looseObject({
        issues: z
          .array(z.object({ line: z.number().optional(), path: z.string(), message: z.string() }))
          .optional(),
      })
      .nullish(),
  }),
});
const GatewayError = z.object({ message: z.string() });

/** More of them, a manifest's, stand one a line. */
const fewIssues = 3;
/** A day's limit asks for hours: who calls again that late is the person at the terminal. */
const maxRetryAfterS = 24 * 3600;

/** Codes that say something about server or key, not about the picture. */
const serverCodes = new Set([
  "unauthorized",
  "forbidden",
  "not_found",
  "method_not_allowed",
  "rate_limited",
  "inference_unavailable",
  "storage_unavailable",
]);

/** An answer that is no success, as one line: our error, the gateway's, or a stranger's page. */
export function failureOf(answer: Answer): CallError {
  const { status } = answer;
  const own = OwnError.safeParse(answer.json);
  if (own.success) {
    const { code, message, request_id: requestId, details } = own.data.error;
    const all = details?.issues ?? [];
    // The message is the first of them already.
    const left = all[0] !== undefined && message.includes(all[0].message) ? all.slice(1) : all;
    const issues = left.map(({ line, path, message: what }) =>
      Text.shown([line ? `line ${line}` : "", path, what].filter(Boolean).join(": ")),
    );
    const advice = code === "unauthorized" ? adviceOnKey(answer.server) : "";
    const about = [code, ...(status >= 500 && requestId ? [`request ${requestId}`] : [])].join(", ");
    // How a key is sent is for who calls by hand.
    const said = Text.shown(message).replace(/: send the header .*$/s, "");
    const text = [said + advice, ...issues].join(all.length > fewIssues ? "\n  " : "; ");
    return new CallError(`${text} (${about})`, {
      scope: serverCodes.has(code) ? "server" : "item",
      code,
      status,
      retryAfterMs: answer.headers.has("retry-after")
        ? retryAfterS(answer, maxRetryAfterS) * 1000
        : undefined,
      limit: status === 429 || status === 403 ? Limit.safeParse(details).data : undefined,
      own: { ...own.data.error, request_id: requestId ?? null, details: details ?? {} },
      server: answer.server,
    });
  }
  const gateway = GatewayError.safeParse(answer.json);
  if (gateway.success) {
    // Too large (413) is about this picture, and so is a function that died on it (500) or passed the 30 s (503, 504).
    const scope = [413, 500, 503, 504].includes(status) ? "item" : "server";
    return new CallError(`${Text.shown(gateway.data.message)} (the gateway answered ${status})`, {
      scope,
      code: "gateway",
      status,
    });
  }
  return oddAnswer(answer);
}

/** Which key was refused; which one would not be is for the server's own machine to say (server.ts). */
function adviceOnKey(server: Target | undefined): string {
  if (server !== undefined && server.apiKey === undefined) return "; no key was sent";
  const from = server?.keyFrom === undefined ? "" : ` from ${server.keyFrom}`;
  return `; the key${from} is wrong, revoked or expired`;
}

/** Not this API at all: a proxy's page, another program, a redirect. */
function oddAnswer(answer: Answer): CallError {
  const { status, headers, text } = answer;
  const about = { scope: "server", code: "odd_answer", status } as const;
  const location = headers.get("location");
  if (status >= 300 && status < 400 && location !== null && URL.canParse(location)) {
    return new CallError(
      `the server sends us on to ${new URL(location).origin} (${status}): use that address`,
      about,
    );
  }
  const kind = (headers.get("content-type") ?? "").split(";")[0] || "nothing";
  const title = /<title>([^<]{1,100})<\/title>/i.exec(text)?.[1]?.trim().replaceAll(/\s+/g, " ");
  return new CallError(
    `answered ${status} with ${Text.shown(`${kind}${title ? ` ("${title}")` : ""}`)}: this is not an OCRlty server, or a proxy stands in front of it`,
    about,
  );
}

/** The address of a path below the server, or of a poll address it gave: another host never gets the key. */
function addressOf(server: Target, path: string): URL {
  const url = URL.canParse(path) ? new URL(path) : new URL(path.replace(/^\/+/, ""), server.url);
  if (url.origin !== server.url.origin) {
    throw new CallError(`the server sends us on to ${url.origin}`, { scope: "server", code: "odd_answer" });
  }
  return url;
}

function retryAfterS(answer: Answer, maxS: number): number {
  const seconds = Number(answer.headers.get("retry-after") ?? defaultPollS);
  return Math.min(Math.max(Number.isFinite(seconds) ? seconds : defaultPollS, 0), maxS);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const faults: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there",
  ECONNRESET: "the connection was lost",
  EPIPE: "the connection was lost",
  UND_ERR_SOCKET: "the connection was lost",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the host's name cannot be looked up",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  ETIMEDOUT: "no connection in time",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
};

/** fetch wraps what happened in "fetch failed", once or twice. */
function faultOf(error: unknown): string {
  let innermost = "";
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if (at instanceof CallError) return at.message;
    innermost = at.message;
    if (at.name === "TimeoutError") return "no answer in time";
    const code = "code" in at && typeof at.code === "string" ? at.code : undefined;
    if (code === undefined) continue;
    return `${faults[code] ?? (/CERT|SSL|TLS|SELF_SIGNED/.test(code) ? "its certificate is not trusted" : "the call failed")} (${code})`;
  }
  return `the call failed (${innermost})`;
}
