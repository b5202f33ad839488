/** Log lines for people: `LOG_FORMAT=text`, and what `ocrlty logs` shows. */

/** The fields of a line of JSON; undefined for anything else. */
export function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/**
 * One line: time, level and event, then `name=value` in the order of the log call. A value with blanks is quoted as
 * in JSON, so that a line can be split at its blanks; values other than text are JSON.
 */
export function of({ time, level, event, ...fields }: Record<string, unknown>): string {
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === "string" && /^[^\s"]*$/.test(value) ? value : JSON.stringify(value)}`,
    );
  return [time, String(level ?? "-").padEnd(5), event ?? "-", ...pairs].join(" ");
}
