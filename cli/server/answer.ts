/** The types of a call to the HTTP API. */

/** A server, and the key it is called with. */
export interface Target {
  /** May have a path of its own, such as an API Gateway stage. */
  readonly url: URL;
  readonly apiKey: string | undefined;
  /** Where the key was found (`--key`, a variable, a file), for the advice on a wrong one. */
  readonly keyFrom?: string | undefined;
}

export interface Request {
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS";
  /** Below the server's address, beginning with a slash. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent unchanged: for a body that is not JSON. */
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
  /** The server that answered. */
  readonly server?: Target;
}

const defaultRetryS = 2;

/** The pause that `Retry-After` requests, 0 to `maxS` seconds; 2 if it is missing or no number. */
export function retryAfterS(answer: Answer, maxS: number): number {
  const seconds = Number(answer.headers.get("retry-after") ?? defaultRetryS);
  return Math.min(Math.max(Number.isFinite(seconds) ? seconds : defaultRetryS, 0), maxS);
}
