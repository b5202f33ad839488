/** One call of the smoke test and what must come back. A new route needs a case in `cases.ts` and nothing else. */
import type * as z from "zod";
import type { Answer, Request } from "#cli/server/answer";
import type { RouteKey } from "#spec/routes";

export interface Case {
  readonly name: string;
  /** The route under test; `$default` if it has none. */
  readonly route: RouteKey | "$default";
  /** The request. The key is sent unless `as` says otherwise. */
  request(bench: Bench): Request;
  /** `nobody` sends no key; any other text is sent as the key. */
  readonly as?: "nobody" | (string & {});
  readonly wants: Wants;
  /** True if the answer contains another server's address, such as a signed URL of the bucket; no key is sent there. */
  elsewhere?(bench: Bench): string;
  /** True if an unreachable server is not a failure, because it is meant to be out of reach. */
  readonly mayBeAway?: true;
  /** Why the case must be skipped; undefined if it can run. */
  skip?(bench: Bench): string | undefined;
  /** Stores something for later cases. */
  keep?(answer: Answer, bench: Bench): void;
}

export interface Wants {
  readonly status: number | readonly number[];
  /** The meaning of another status, if it is not obvious. */
  readonly otherwise?: string;
  /** The code in our error envelope. */
  readonly code?: string | readonly string[];
  /** Lower-case name → what its value must match; null if it must be missing. */
  readonly headers?: Readonly<Record<string, RegExp | null>>;
  readonly body?: z.ZodType;
  /** Returns another mistake in the answer, in a few words. */
  also?(answer: Answer, bench: Bench): string | undefined;
  /** If true, a 202 is polled to its end before the check. */
  readonly settles?: true;
  /** If set, the call is repeated until this is true for the 200. */
  until?(answer: Answer): boolean;
}

/** State that the cases of one run share. */
export interface Bench {
  /** Makes this run's ids unique. */
  readonly run: string;
  readonly picture: Buffer;
  readonly authEnabled: boolean;
  readonly debugMode: boolean;
  /** The model server's address, if this machine knows it. */
  readonly modelServer: URL | undefined;
  /** Scopes of the key. */
  scopes: readonly string[];
  /** Answers that later cases compare with. */
  readonly kept: Map<string, Answer>;
}
