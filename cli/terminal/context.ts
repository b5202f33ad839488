/** What a command gets from the program around it, so that tests can run one without a process. */
import type { Env } from "#local/home/home";

export interface Context {
  readonly env: Env;
  /** Where the caller stands: relative file names are relative to it. */
  readonly cwd: string;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** The answer: stdout, and nothing else goes there. */
  out(text: string): void;
  /** Everything else: one line on stderr. */
  say(line: string): void;
  /** Where progress may be drawn: stderr, when a person watches it. */
  readonly terminal?: NodeJS.WriteStream | undefined;
  /** How wide the terminal is that stdout goes to; undefined: a file or a program reads it, and nothing is cut. */
  readonly columns?: number | undefined;
  /** What may be colored. */
  readonly colors?: { readonly out: boolean; readonly err: boolean } | undefined;
  /** How the program is called where it is not `npm run ocrlty --` of a checkout, such as `npx ocrlty`. */
  readonly program?: string | undefined;
  /** The packed client: no checkout is around it, so no local loop, and nothing native. */
  readonly isClient?: boolean | undefined;
  stdin(): Promise<Buffer>;
}

/** A mistake of the person who typed the command, or of the machine: one line, exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Exit statuses (docs/cli.md). */
export const exit = { ok: 0, items: 1, failed: 2, interrupted: 130 } as const;
export type Exit = (typeof exit)[keyof typeof exit];
