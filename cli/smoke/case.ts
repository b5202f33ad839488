/** One call of the smoke test and what must come back. A new route gets a case in `cases.ts`, nothing else. */
import type * as z from "zod";
import type { Answer, Request } from "#cli/server/answer";
import type { RouteKey } from "#spec/routes";

export interface Case {
  readonly name: string;
  /** The route it is about; `$default` for what has none. */
  readonly route: RouteKey | "$default";
  /** What is sent. The key goes along unless `as` says otherwise. */
  request(bench: Bench): Request;
  /** `nobody` sends no key; any other text is sent as the key. */
  readonly as?: "nobody" | (string & {});
  readonly wants: Wants;
  /** The answer names another server's address, such as a signed URL of the bucket; no key goes there. */
  elsewhere?(bench: Bench): string;
  /** A server that is not there is no failure: it is meant to be out of reach. */
  readonly mayBeAway?: true;
  /** Why it cannot be asked here; undefined when it can. */
  skip?(bench: Bench): string | undefined;
  /** Notes something for later cases. */
  keep?(answer: Answer, bench: Bench): void;
}

export interface Wants {
  readonly status: number | readonly number[];
  /** What another status means, where that is not plain. */
  readonly otherwise?: string;
  /** Of our own error envelope. */
  readonly code?: string | readonly string[];
  /** Lower-case name → what its value must match; null: it must be missing. */
  readonly headers?: Readonly<Record<string, RegExp | null>>;
  readonly body?: z.ZodType;
  /** What else is wrong with it, in a few words. */
  also?(answer: Answer, bench: Bench): string | undefined;
  /** A 202 is polled to its end first. */
  readonly settles?: true;
  /** A 200 is asked for again until this is true of it. */
  until?(answer: Answer): boolean;
}

/** What the cases of one run share. */
export interface Bench {
  /** Distinguishes this run's ids from every other's. */
  readonly run: string;
  readonly picture: Buffer;
  readonly authEnabled: boolean;
  readonly debugMode: boolean;
  /** The model server's address, where this machine knows it. */
  readonly modelServer: URL | undefined;
  /** Scopes of the key. */
  scopes: readonly string[];
  /** Answers that later cases compare with. */
  readonly kept: Map<string, Answer>;
}
