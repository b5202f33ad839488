import * as z from "zod";
import { codes } from "#core/error";
import type { Target } from "./answer.ts";

/**
 * A call that failed. Its message is one line for the terminal; a manifest's mistakes have one line each. `scope`
 * says what follows: "item" concerns only this picture, "server" also the next call.
 */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly scope: "item" | "server";
  readonly code: string;
  readonly status: number | undefined;
  /** The pause that the answer's `Retry-After` requested. */
  readonly retryAfterMs: number | undefined;
  /** The limit of the key that caused a 429 or 403. */
  readonly limit: Limit | undefined;
  /** The `error` of our own envelope, as the server sent it. */
  readonly own: Own | undefined;
  /** The server that refused. */
  readonly server: Target | undefined;

  constructor(
    message: string,
    about: {
      scope: "item" | "server";
      code: string;
      status?: number | undefined;
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
   * The same call may succeed later: the network failed, a limit will pass (only then there is a `Retry-After`), or the
   * server is down.
   */
  get passes(): boolean {
    if (this.status === 429) return this.code !== "rate_limited" || this.retryAfterMs !== undefined;
    return this.code === "network" || (this.status ?? 0) >= 500;
  }

  /**
   * The same call is always refused: it is wrong, or asks for more than the key may ever have. When the key itself is
   * refused the call may be right with another one, so this is false.
   */
  get isFinal(): boolean {
    if (this.limit !== undefined && this.code === "forbidden") return true;
    return finalCodes.has(this.code);
  }
}

/** `details` of a 429, or of a 403 that is about a limit. */
export const Limit = z.object({
  limit: z.string(),
  allowed: z.number().optional(),
  requested: z.number().optional(),
});
export type Limit = z.output<typeof Limit>;

/** The `error` of our envelope; a newer server may add fields. */
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
