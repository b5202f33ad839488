/** Options that several commands have, and what they must look like. */
import type { Command } from "commander";
import { UsageError } from "#scripts/context";

export interface Common {
  json?: boolean;
  url?: string;
  key?: string;
}

/** `--json`, `--url` and `--key`. */
export function common(command: Command): Command {
  return command
    .option("--json", "JSON on stdout")
    .option("--url <url>", "the server (default: OCRLTY_URL, else the local loop)")
    .option("--key <key>", "its API key (default: OCRLTY_API_KEY, else the local loop's own)");
}

/** A whole number from 1 on, or undefined when the option was not given. Throws UsageError. */
export function wholeNumber(
  option: string,
  text: string | undefined,
  most = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= most) return number;
  const to = most === Number.MAX_SAFE_INTEGER ? "1 on" : `1 to ${most}`;
  throw new UsageError(`${option} must be a whole number from ${to}`);
}

export const badRunId = "a run's id is 1 to 100 letters, digits, dots, dashes and underscores";
