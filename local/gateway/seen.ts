import type { Answer } from "#local/gateway/answer";

/** A request that was answered, for whoever watches the gateway. */
export interface Seen {
  readonly method: string;
  /** Path and query as they came. */
  readonly target: string;
  readonly status: number;
  /** From the request's headers to the last byte of the answer. */
  readonly ms: number;
  /** The product's own, else the gateway's. */
  readonly requestId: string;
  /** Of an answer from 400: what it says, as `code: message`. */
  readonly error: string | undefined;
  /** The connection ended before the answer was sent. */
  readonly left: boolean;
}

/** An envelope is small; nothing larger is looked into. */
const mostBytes = 64 * 1024;

/** What an error's answer says of it; messages of the product echo nothing of what was sent. */
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
