/** Calls to the HTTP API, with a time limit. Every failure is a CallError. */
import type { Answer, Request, Target } from "./answer.ts";
import { CallError } from "./call-error.ts";
import { failureOf } from "./refusal.ts";

/** Longer than any answer takes: an HTTP API gives up at 30 s. */
const defaultTimeoutMs = 45_000;

/**
 * The server at an address that a person typed.
 * @param from - where address and key were found, for the person who must correct them. Throws CallError for an
 *   address without http(s), and for a key that a header cannot contain.
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

/**
 * One call, whatever its status. Throws CallError if there was no answer, and the signal's reason if it was aborted.
 */
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

/** The address of a path below the server, or of a poll address it gave: another host never gets the key. */
function addressOf(server: Target, path: string): URL {
  const url = URL.canParse(path) ? new URL(path) : new URL(path.replace(/^\/+/, ""), server.url);
  if (url.origin !== server.url.origin) {
    throw new CallError(`the server sends us on to ${url.origin}`, { scope: "server", code: "odd_answer" });
  }
  return url;
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
  // https://fetch.spec.whatwg.org/#port-blocking
  if (innermost === "bad port") return "this port is one that no browser and no fetch calls: take another";
  return `the call failed (${innermost})`;
}
