/** The surroundings of a command. The program passes them in, so that tests can run a command without a process. */
import type { Env } from "#local/home/home";

export interface Context {
  readonly env: Env;
  /** The caller's working folder: relative file names are relative to it. */
  readonly cwd: string;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** Writes the answer to stdout; nothing else is written there. */
  out(text: string): void;
  /** Everything else: one line on stderr. */
  say(line: string): void;
  /** Where progress is drawn: stderr, if a person watches it. */
  readonly terminal?: NodeJS.WriteStream | undefined;
  /** The width of the terminal at stdout; undefined if a file or a program reads it, and nothing is cut. */
  readonly columns?: number | undefined;
  /** Whether stdout and stderr may be colored. */
  readonly colors?: { readonly out: boolean; readonly err: boolean } | undefined;
  /** The program's name in help texts if it is not `npm run ocrlty --` of a checkout, such as `npx ocrlty`. */
  readonly program?: string | undefined;
  /** The packed client: no checkout is around it, so no local loop, and nothing native. */
  readonly isClient?: boolean | undefined;
  stdin(): Promise<Buffer>;
}

/** A mistake in the command line, or a problem of this machine: one line, exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Exit statuses (docs/cli.md). */
export const exit = { ok: 0, items: 1, failed: 2, interrupted: 130 } as const;
export type Exit = (typeof exit)[keyof typeof exit];
