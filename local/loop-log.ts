import type { Home } from "#local/home";
import * as LogFile from "#local/lambda/log-file";
import type { Invocation } from "#local/lambda/pool";

export interface Log {
  /** Where the lines go; undefined when a function takes them. */
  readonly path: string | undefined;
  /** A line as a function printed it. */
  functionLine(functionName: string, line: string): void;
  /** What only Lambda knows: a crash, a kill at the timeout. */
  outcome(invocation: Invocation): void;
  /** A line of the loop itself. */
  event(level: "INFO" | "WARN" | "ERROR", event: string, fields?: Record<string, string | number>): void;
  close(): void;
}

export interface LogOptions {
  readonly log?: "file" | ((line: string) => void);
  readonly warn?: (line: string) => void;
}

/**
 * The functions' log: JSON lines in `log/ocrlty.log` of the folder. Lines that are no JSON (a stack trace of a
 * crash) are wrapped, so that the file can be read by a program. Warnings and errors are told to `warn` in short.
 */
export function open({ log = "file", warn = () => undefined }: LogOptions, home: Home): Log {
  const file = log === "file" ? LogFile.open(home.file("log")) : undefined;
  const write = log === "file" ? (line: string) => file?.write(line) : log;
  const event: Log["event"] = (level, name, fields = {}) => {
    write(JSON.stringify({ time: new Date().toISOString(), level, event: name, ...fields }));
    if (level !== "INFO") warn(short(level, name, fields));
  };
  return {
    path: file?.path,
    functionLine: (functionName, line) => {
      const parsed = parse(line);
      if (parsed === undefined) {
        write(JSON.stringify({ time: new Date().toISOString(), function: functionName, text: line }));
        return;
      }
      write(line);
      const { level, event: name } = parsed;
      if (level === "WARN" || level === "ERROR")
        warn(short(level, String(name), { function: functionName, ...parsed }));
    },
    outcome: (invocation) => {
      if (invocation.type === "result") return;
      event("ERROR", invocation.type === "timeout" ? "function_timeout" : "function_error", {
        function: invocation.functionName,
        lambda_request_id: invocation.requestId,
        // The message may quote what the function choked on.
        ...(invocation.type === "error" ? { error_type: invocation.error.errorType } : {}),
        duration_ms: Math.round(invocation.durationMs),
      });
    },
    event,
    close: () => file?.close(),
  };
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const shown = ["function", "route", "status", "code", "error_type", "errorType", "request_id", "duration_ms"];

function short(level: string, event: string, fields: Record<string, unknown>): string {
  const pairs = shown.flatMap((name) =>
    fields[name] === undefined ? [] : [`${name}=${String(fields[name])}`],
  );
  return [level, event, ...pairs].join(" ");
}
