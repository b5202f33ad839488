import * as http from "node:http";
import * as https from "node:https";
import { Readable } from "node:stream";
import type { Fault, FaultKind } from "#core/vision/fault";

/**
 * One HTTP exchange as a `fetch` for the openai client. Node's own fetch hides what is needed here: how long connecting
 * may take, whether the request had been sent when the connection broke, and when its socket is closed.
 *
 * A connection serves one call: closing it ends the request in the engine, and a stale kept-alive socket cannot be
 * mistaken for a crashed server. The price is one handshake per call, small beside seconds of inference.
 */
export interface Exchange {
  fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** Closes the connection in any state. */
  close: () => void;
  /** The fault that broke it, if any. */
  fault: () => Fault | undefined;
  sent: () => boolean;
}

interface ExchangeOptions {
  connectTimeoutMs: number;
  /** Called at the status line and at each piece of the body. */
  onProgress?: () => void;
}

/** No real answer is as large: a line without an end must not fill the memory until the deadline. */
const maxBodyBytes = 16 * 1024 * 1024;

/** An exchange that has not started; `fetch` starts it. */
export function open(options: ExchangeOptions): Exchange {
  let request: http.ClientRequest | undefined;
  let sent = false;
  let fault: Fault | undefined;
  const fail = (kind: FaultKind) => {
    fault ??= { kind, afterSend: sent };
  };
  const fetch = (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const secure = url.protocol === "https:";
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const outgoing = (secure ? https : http).request(url, {
      method: init.method ?? "GET",
      headers: Object.fromEntries(new Headers(init.headers)),
      agent: false,
    });
    request = outgoing;
    const connecting = setTimeout(() => {
      fail("connect_timeout");
      outgoing.destroy(new Error("connect timeout"));
    }, options.connectTimeoutMs);
    outgoing.on("socket", (socket) => {
      socket.once(secure ? "secureConnect" : "connect", () => clearTimeout(connecting));
    });
    outgoing.on("finish", () => {
      sent = true;
    });
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(connecting);
      fail(kindOf(error));
      reject(error);
    });
    outgoing.on("close", () => clearTimeout(connecting));
    outgoing.on("response", (incoming) => {
      watch(incoming, { outgoing, fail, onProgress: options.onProgress });
      const response = responseOf(incoming);
      if (response !== undefined) return resolve(response);
      fail("reset");
      outgoing.destroy();
      reject(new Error("no HTTP answer"));
    });
    destroyOnAbort(outgoing, init.signal);
    outgoing.end(typeof init.body === "string" ? init.body : undefined);
    return promise;
  };
  return { fetch, close: () => request?.destroy(), fault: () => fault, sent: () => sent };
}

/** Tracks the progress of an answer, and ends one that is too large. */
function watch(
  incoming: http.IncomingMessage,
  how: {
    outgoing: http.ClientRequest;
    fail: (kind: FaultKind) => void;
    onProgress: (() => void) | undefined;
  },
): void {
  how.onProgress?.();
  let bytes = 0;
  incoming.on("data", (piece: Buffer) => {
    how.onProgress?.();
    bytes += piece.byteLength;
    if (bytes <= maxBodyBytes) return;
    how.fail("oversized");
    how.outgoing.destroy();
  });
  incoming.on("error", () => how.fail("reset"));
  incoming.pause();
}

/** The answer as `fetch` gives it; undefined for a status that HTTP does not have. */
function responseOf(incoming: http.IncomingMessage): Response | undefined {
  const status = incoming.statusCode ?? 0;
  if (status < 200 || status > 599) return undefined;
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headersDistinct)) {
    for (const each of value ?? []) headers.append(name, each);
  }
  const hasBody = ![204, 205, 304].includes(status);
  const body = hasBody ? (Readable.toWeb(incoming) as ReadableStream<Uint8Array>) : null;
  return new Response(body, { status, headers });
}

function destroyOnAbort(outgoing: http.ClientRequest, signal: AbortSignal | null | undefined): void {
  const onAbort = () => outgoing.destroy(new DOMException("aborted", "AbortError"));
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  outgoing.on("close", () => signal?.removeEventListener("abort", onAbort));
}

/** Node's and OpenSSL's error codes, sorted by what they mean for the server. */
function kindOf(error: NodeJS.ErrnoException): FaultKind {
  const code = error.code ?? "";
  if (error.name === "AbortError") return "aborted";
  if (code === "ENOTFOUND" || code.startsWith("EAI_")) return "dns";
  if (["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "EADDRNOTAVAIL"].includes(code))
    return "refused";
  if (code === "ETIMEDOUT" && error.syscall === "connect") return "connect_timeout";
  if (/^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|EPROTO|HOSTNAME_MISMATCH)/.test(code))
    return "tls";
  return "reset";
}
