/** Options of `keys` that several of its verbs take: limits, scopes, the time at which a key ends. */
import type { Command } from "commander";
import * as Options from "#cli/batch/options";
import { UsageError } from "#cli/terminal/context";
import type { Expiry } from "#core/key/change";
import type * as Key from "#core/key/key";

export interface LimitOptions {
  requestsPerMinute?: string;
  itemsPerDay?: string;
  modelSecondsPerDay?: string;
  maxRunItems?: string;
  maxInFlight?: string;
  maxStoredBytes?: string;
  maxStoredObjects?: string;
  retentionDays?: string;
}

/** Limits with their options, their names in lists, and short names for narrow tables. */
const limits = [
  {
    name: "requestsPerMinute",
    option: "--requests-per-minute",
    what: "most HTTP calls a minute",
    field: "requests_per_minute",
    short: "requests/min",
  },
  {
    name: "itemsPerDay",
    option: "--items-per-day",
    what: "most pictures a day (UTC), single ones and those of runs together",
    field: "items_per_day",
    short: "items/day",
  },
  {
    name: "modelSecondsPerDay",
    option: "--model-seconds-per-day",
    what: "no new work begins after this many seconds of model time on a day (UTC)",
    field: "model_seconds_per_day",
    short: "model s/day",
  },
  {
    name: "maxRunItems",
    option: "--max-run-items",
    what: "most items of one run",
    field: "max_run_items",
    short: "items/run",
  },
  {
    name: "maxInFlight",
    option: "--max-in-flight",
    what: "most single extracts at work at once, and pictures of all its runs together",
    field: "max_in_flight",
    short: "in flight",
  },
  {
    name: "maxStoredBytes",
    option: "--max-stored-bytes",
    what: "most bytes in the bucket; uploads above it are refused",
    field: "max_stored_bytes",
    short: "bytes",
  },
  {
    name: "maxStoredObjects",
    option: "--max-stored-objects",
    what: "most objects in the bucket; uploads above it are refused",
    field: "max_stored_objects",
    short: "objects",
  },
  {
    name: "retentionDays",
    option: "--retention-days",
    what: "the key's ended work is removed after this many days, instead of RETENTION_DAYS",
    field: "retention_days",
    short: "days kept",
  },
] as const;

/** Adds an option for each limit. */
export function limited(verb: Command): Command {
  for (const { option, what } of limits) verb.option(`${option} <number>`, `${what}; none for no limit`);
  return verb;
}

/** The given limits; null for one given as `none`. */
export function parseLimits(options: LimitOptions): Key.LimitChanges {
  const given: Key.LimitChanges = {};
  for (const { name, option } of limits) {
    const text = options[name];
    if (text === undefined) continue;
    if (text !== "none" && !/^[1-9]\d{0,14}$/.test(text))
      throw new UsageError(`${option} must be a whole number above 0, or none`);
    given[name] = text === "none" ? null : Number(text);
  }
  return given;
}

/** `500 items/day, 60 requests/min`, or `-`. */
export function limitsOf(key: Key.KeyInfo): string {
  const set = limits.filter(({ field }) => key[field] !== null);
  return set.map(({ field, short }) => `${key[field]} ${short}`).join(", ") || "-";
}

/** `a,b` or a JSON array; core/key checks that the scopes exist. */
export function parseScopes(text: string): string[] {
  if (!text.trim().startsWith("[")) {
    return text
      .split(",")
      .map((scope) => scope.trim())
      .filter(Boolean);
  }
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    // PowerShell 5 strips the quotes inside an argument: [extract:run,debug:run] is what arrives.
    return parseScopes(text.trim().replace(/^\[|\]$/g, ""));
  }
  if (!Array.isArray(list) || !list.every((scope) => typeof scope === "string")) {
    throw new UsageError('--scopes must be a list of names: a,b or ["a","b"]');
  }
  return list;
}

export const expiryForms = "90d or 12h after each is made, a date such as 2027-01-31, or never";

/** A duration after each secret is made, or a date. A date without a time includes that whole day (UTC). */
export function parseExpiry(text: string): Expiry {
  if (text === "never") return null;
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return { afterMs: Options.duration("--expires", text) };
  const date = new Date(text.length === 10 ? `${text}T23:59:59.999Z` : text);
  if (Number.isNaN(date.getTime()))
    throw new UsageError(
      "--expires takes a duration such as 90d or 12h, a date such as 2027-01-31, or never",
    );
  if (date.getTime() <= Date.now()) throw new UsageError("--expires lies in the past");
  return { at: date };
}
