import type * as http from "node:http";
import * as NodeHttp from "#core/node-http";
import type { Fault, FaultKind } from "#core/vision/fault";

/**
 * One HTTP exchange. Node's own fetch hides what is needed here: how long connecting may take, whether the request had
 * been sent when the connection broke, and when its socket is closed.
 *
 * A connection serves one call: closing it ends the request in the engine, and a stale kept-alive socket cannot be
 * mistaken for a crashed server. The price is one handshake per call, small beside seconds of inference.
 */
interface Exchange {
  /** Sends the request; resolves at the status line. Rejects when the connection breaks or the signal aborts before. */
  send: (url: string, request?: Outgoing) => Promise<Answer>;
  /** Closes the connection in any state. */
  close: () => void;
  /** The fault that broke it, if any. */
  fault: () => Fault | undefined;
  sent: () => boolean;
}

interface Outgoing {
  /** With a body `POST`, else `GET`. */
  body?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

interface Answer {
  status: number;
  headers: { get(name: string): string | null };
  /** Read once; whoever stops reading closes the connection. Throws when the connection breaks. */
  body: AsyncIterable<Uint8Array>;
}

interface ExchangeOptions {
  connectTimeoutMs: number;
  /** Called at the status line and at each piece of the body. */
  onProgress?: () => void;
}

/** No real answer is this large; an endless line must not fill the memory until the deadline. */
const maxBodyBytes = 16 * 1024 * 1024;

/** An exchange that has not started; `send` starts it. */
export function open(options: ExchangeOptions): Exchange {
  let request: http.ClientRequest | undefined;
  let sent = false;
  let fault: Fault | undefined;
  const fail = (kind: FaultKind) => {
    fault ??= { kind, afterSend: sent };
  };
  const send = (address: string, { body, headers = {}, signal }: Outgoing = {}): Promise<Answer> => {
    const url = new URL(address);
    const secure = url.protocol === "https:";
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const method = body === undefined ? "GET" : "POST";
    const how = { method, headers, agent: false } as const;
    const outgoing = (secure ? NodeHttp.https() : NodeHttp.http()).request(url, how);
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
      options.onProgress?.();
      incoming.on("error", () => fail("reset"));
      const status = incoming.statusCode ?? 0;
      if (status >= 200 && status <= 599)
        return resolve({
          status,
          headers: { get: (name) => incoming.headers[name]?.toString() ?? null },
          body: pieces(incoming, { outgoing, fail, onProgress: options.onProgress }),
        });
      fail("reset");
      outgoing.destroy();
      reject(new Error("no HTTP answer"));
    });
    destroyOnAbort(outgoing, signal);
    outgoing.end(body);
    return promise;
  };
  return { send, close: () => request?.destroy(), fault: () => fault, sent: () => sent };
}

/** The pieces of an answer as they arrive; ends an answer that is too large. */
async function* pieces(
  incoming: http.IncomingMessage,
  how: {
    outgoing: http.ClientRequest;
    fail: (kind: FaultKind) => void;
    onProgress: (() => void) | undefined;
  },
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    how.onProgress?.();
    bytes += piece.byteLength;
    if (bytes > maxBodyBytes) {
      how.fail("oversized");
      how.outgoing.destroy();
      throw new Error("too many bytes");
    }
    yield piece;
  }
}

function destroyOnAbort(outgoing: http.ClientRequest, signal: AbortSignal | undefined): void {
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
