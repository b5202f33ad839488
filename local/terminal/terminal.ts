/** The output of `npm start` while it runs: one line per request, and problems in words. */
import { stripVTControlCharacters } from "node:util";
import type { Seen } from "#local/gateway/seen";

const codes = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2 } as const;
type Color = keyof typeof codes;

/** The form of the lines. */
interface Look {
  readonly colors: boolean;
  /** Requests below this level (`LOG_LEVEL`) are not shown. */
  readonly level: Level;
}
export type Level = "DEBUG" | "INFO" | "WARN" | "ERROR" | "SILENT";

export const severity: Readonly<Record<Level, number>> = { DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3, SILENT: 4 };

/**
 * Colors are only for terminals. `NO_COLOR` with any text switches them off (https://no-color.org), and so does
 * TERM=dumb.
 */
export function wantsColors(
  env: Readonly<Record<string, string | undefined>>,
  stream: { readonly isTTY?: boolean },
): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}

/**
 * A request as one line: time, method, path, status, milliseconds, request id and, for an error, its message.
 * Undefined if `LOG_LEVEL` hides it. Only the names of query parameters are shown.
 */
export function requestLine(seen: Seen, { colors, level }: Look, now = new Date()): string | undefined {
  const { method, status, ms, requestId, error } = seen;
  const of: Level = status < 400 ? "INFO" : status < 500 ? "WARN" : "ERROR";
  if (severity[of] < severity[level]) return undefined;
  const color: Color = status < 300 ? "green" : status < 400 ? "cyan" : status < 500 ? "yellow" : "red";
  const paint = (name: Color, text: string) => (colors ? `\u001b[${codes[name]}m${text}\u001b[0m` : text);
  const parts = [
    paint("dim", clock(now)),
    method.padEnd(4),
    shownTarget(seen.target),
    paint(color, String(status)),
    `${ms} ms`,
    paint("dim", plain(requestId)),
    ...(seen.left ? ["(the caller did not wait for the answer)"] : []),
    ...(error === undefined ? [] : [paint(color, plain(error))]),
  ];
  return parts.join(" ");
}

/** A warning or an error of a function or of the loop itself. */
export function troubleLine(line: string, { colors }: Look): string {
  const text = plain(line);
  const color: Color | undefined = text.startsWith("ERROR ")
    ? "red"
    : text.startsWith("WARN ")
      ? "yellow"
      : undefined;
  if (!colors || color === undefined) return text;
  const end = text.indexOf(" ");
  return `\u001b[${codes[color]}m${text.slice(0, end)}\u001b[0m${text.slice(end)}`;
}

const longestPath = 120;
/** An API key in a URL, where it should not be. */
const key = /ocrlty_[0-9a-f]{8}_[A-Za-z0-9_-]{20,}/g;

/** The path, and the names of the query's parameters: values may be secret, and so may unknown names. */
function shownTarget(target: string): string {
  const at = target.indexOf("?");
  const path = plain((at < 0 ? target : target.slice(0, at)).replace(key, "…"));
  const shown = path.length > longestPath ? `${path.slice(0, longestPath - 1)}…` : path;
  if (at < 0) return shown;
  const names = target
    .slice(at + 1)
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => pair.split("=")[0] ?? "")
    .map((name) => (/^[a-z_]{1,30}$/.test(name) ? name : "…"));
  return names.length === 0 ? shown : `${shown}?${[...new Set(names)].join("&")}`;
}

/** Makes quoted text safe: no control characters, and one line. */
const plain = (text: string) =>
  stripVTControlCharacters(text)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out.
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, " ")
    .trim();

const clock = (now: Date) =>
  [now.getHours(), now.getMinutes(), now.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
