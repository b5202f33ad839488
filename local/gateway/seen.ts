import type { Answer } from "#local/gateway/answer";

/** An answered request, for observers of the gateway. */
export interface Seen {
  readonly method: string;
  /** Path and query as received. */
  readonly target: string;
  readonly status: number;
  /** From the request's headers to the last byte of the answer. */
  readonly ms: number;
  /** The product's own, else the gateway's. */
  readonly requestId: string;
  /** For an answer of 400 and above: its error, as `code: message`. */
  readonly error: string | undefined;
  /** The connection ended before the answer was sent. */
  readonly left: boolean;
}

/** An error envelope is small; larger bodies are not parsed. */
const mostBytes = 64 * 1024;

/** The error in an answer; the product's messages never repeat what was sent. */
export function errorOf({ status, headers, body }: Answer): string | undefined {
  if (status < 400 || body.length > mostBytes || !/json/.test(String(headers["content-type"])))
    return undefined;
  try {
    const { error, message } = JSON.parse(body.toString()) as {
      error?: { code?: unknown; message?: unknown };
      message?: unknown;
    };
    if (typeof error?.code === "string") return `${error.code}: ${String(error.message)}`;
    return typeof message === "string" ? `the gateway: ${message}` : undefined;
  } catch {
    return undefined;
  }
}
