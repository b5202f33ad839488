/** A failure as `--json` prints it: the error envelope of the API (docs: `{"error":{…}}`), whatever its source. */
import { CommanderError } from "commander";
import { UsageError } from "#cli/terminal/context";
import { AppError } from "#core/error";
import { CallError } from "./call-error.ts";
import * as Issues from "./issues.ts";

/**
 * The code of an error that no server has named: `usage` (the command line, or a file that it names), `settings`,
 * `local_loop`, `unreadable_file`, `damaged_archive`, `not_delivered`, `interrupted`, `internal`; and for calls
 * `network`, `gateway`, `odd_answer`, `timeout`.
 */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** The server's id of the call, to find it in the log; null without a call. */
  readonly request_id: string | null;
  readonly details: unknown;
  /** Fields of a newer server's envelope are passed on. */
  readonly [name: string]: unknown;
}

/** Errors by name, because importing their classes would load code that a command may not need. */
const byName: Readonly<Record<string, string>> = {
  ConfigError: "settings",
  HomeError: "local_loop",
  PortError: "local_loop",
  HeldError: "local_loop",
  BundleError: "local_loop",
};

/** Mistakes that the user can correct; any other error keeps its stack trace. */
export function isExpected(error: unknown): error is Error {
  return (
    [CallError, UsageError, AppError].some((type) => error instanceof type) ||
    (error instanceof Error && Object.hasOwn(byName, error.name))
  );
}

/** The error for the terminal: all mistakes that it has found, not only the first. */
export function textOf(error: Error): string {
  const { issues = [], issue_count } = (error instanceof AppError ? error.details : undefined) ?? {};
  return issues.length > 0 ? Issues.text(issues, issue_count) : error.message;
}

/** The error as the envelope holds it. A server's own is passed on as it came. */
export function of(error: unknown): Failure {
  if (error instanceof CallError) return error.own ?? plain(error.code, error.message);
  if (error instanceof AppError) return { ...plain(error.code, error.message), details: error.details ?? {} };
  if (error instanceof CommanderError) return plain("usage", complaint(error));
  if (error instanceof UsageError) return plain("usage", error.message);
  if (error instanceof Error && Object.hasOwn(byName, error.name))
    return plain(byName[error.name] ?? "internal", error.message);
  return plain("internal", "something went wrong in this program; stderr has more");
}

export const interrupted = plain("interrupted", "interrupted");

/** A backup's archive that is incomplete or damaged. */
export const damaged = (file: string, problems: readonly string[]): Failure => ({
  ...plain("damaged_archive", `${file}: ${problems[0] ?? "it is not whole"}`),
  details: { file, problems },
});

/** One line of JSON with its line end. */
export const line = (failure: Failure): string => `${JSON.stringify({ error: failure })}\n`;

function plain(code: string, message: string): Failure {
  return { code, message, request_id: null, details: {} };
}

/** Commander prints the mistake itself, and nothing useful after it has printed the help. */
function complaint({ code, message }: CommanderError): string {
  return code === "commander.help"
    ? "a command is missing: --help names them"
    : message.replace(/^error: /, "");
}
