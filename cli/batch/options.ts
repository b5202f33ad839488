/** Options that several commands share, and their checks. */
import type { Command } from "commander";
import { type Context, UsageError } from "#cli/terminal/context";

export interface Common {
  json?: boolean;
  url?: string;
  key?: string;
  profile?: string;
}

/** `--json`, `--url`, `--key` and `--profile`. */
export function common(command: Command, json = "JSON on stdout"): Command {
  return command
    .option("--json", json)
    .option("--url <url>", "the server (default: OCRLTY_URL, else the profile in use, else the local loop)")
    .option("--key <key>", "its API key (default: OCRLTY_API_KEY, else the profile's or the local loop's)")
    .option("--profile <name>", "a server of `profile list`, with its key (default: OCRLTY_PROFILE)");
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

const units = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** `30m`, `24h`, `90d`, `2w` as milliseconds. Throws UsageError. */
export function duration(option: string, text: string): number {
  const match = /^(\d{1,5})([mhdw])$/.exec(text);
  const unit = units[match?.[2] as keyof typeof units];
  if (!match || unit === undefined || Number(match[1]) === 0)
    throw new UsageError(`${option} must be a duration such as 30m, 24h or 90d`);
  return Number(match[1]) * unit;
}

/** `--no-look`, for commands that send pictures. */
export const noLook = [
  "--no-look",
  "send pictures as EXIF turns them, without a look at which way up and how legible they are",
] as const;

/** Its value for the API; empty if it was not given, and the server decides. */
export function lookOf(look: boolean): { look?: false } {
  return look ? {} : { look: false };
}

/** `--split`, for commands that send pictures. */
export const split = [
  "--split",
  "several receipts on one picture, and several documents in one file, are read separately",
] as const;

/** Its value for the API; empty if it was not given. */
export function splitOf(split: boolean | undefined): { split?: "auto" } {
  return split ? { split: "auto" } : {};
}

export interface Owned extends Common {
  keyId?: string;
}

/** The same with `--key-id`, for runs of other keys. */
export function owned(command: Command): Command {
  return common(command).option(
    "--key-id <id>",
    "the key that owns the run, for admin:all_keys (default: this key)",
  );
}

/**
 * Checks a webhook's address before anything is sent, by the rules that every server has. Throws UsageError. A local
 * loop with WEBHOOK_ALLOW_PRIVATE=1 also accepts http.
 */
export function webhook(context: Pick<Context, "env">, url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isLax = !["", "0", "false"].includes(context.env.WEBHOOK_ALLOW_PRIVATE ?? "");
  const protocols = isLax ? ["https:", "http:"] : ["https:"];
  if (parsed === undefined || !protocols.includes(parsed.protocol) || parsed.username || parsed.password)
    throw new UsageError("--webhook must be an https address without user name and password");
  return url;
}

export const badRunId = "a run's id is 1 to 100 letters, digits, dots, dashes and underscores";
