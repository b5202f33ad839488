import type { Home } from "#local/home/home";
import * as LogFile from "#local/lambda/log-file";
import type { Invocation } from "#local/lambda/pool";
import * as LogText from "./log-text.ts";
import { type Level, severity } from "./terminal.ts";

export interface Log {
  /** Where the lines go; undefined when a function takes them. */
  readonly path: string | undefined;
  /** Takes a line as a function printed it. */
  functionLine(functionName: string, line: string): void;
  /** Events that only Lambda can report: a crash, a kill at the timeout. */
  outcome(invocation: Invocation): void;
  /** A line of the loop itself. */
  event(level: "INFO" | "WARN" | "ERROR", event: string, fields?: Record<string, string | number>): void;
  close(): void;
}

interface LogOptions {
  readonly log?: "file" | ((line: string) => void);
  readonly warn?: (line: string) => void;
}

/** `LOG_LEVEL` and `LOG_FORMAT`. */
interface LogSettings {
  readonly level: Level;
  readonly format: "json" | "text";
}

/**
 * The functions' log in `log/ocrlty.log` of the folder: JSON lines, or text (`LOG_FORMAT`). Functions write JSON in
 * either case, as deployed ones do. Other lines (a stack trace of a crash) are wrapped, so that a program can read
 * the file. `warn` gets warnings and errors in short form.
 */
export function open(
  { log = "file", warn = () => undefined }: LogOptions,
  home: Home,
  { level: least, format }: LogSettings = { level: "INFO", format: "json" },
): Log {
  const file = log === "file" ? LogFile.open(home.file("log")) : undefined;
  const write = (line: string, fields: Record<string, unknown> | undefined) => {
    if (log !== "file") log(line);
    else file?.write(format === "text" && fields !== undefined ? LogText.of(fields) : line);
  };
  const writeAll = (fields: Record<string, unknown>) => write(JSON.stringify(fields), fields);
  const event: Log["event"] = (level, name, fields = {}) => {
    if (severity[level] < severity[least]) return;
    writeAll({ time: new Date().toISOString(), level, event: name, ...fields });
    if (level !== "INFO") warn(short(level, name, fields));
  };
  return {
    path: file?.path,
    functionLine: (functionName, line) => {
      const parsed = LogText.parse(line);
      if (parsed === undefined) {
        // Lines that our log did not write come from Node or a package, usually during a crash.
        if (least !== "SILENT")
          writeAll({ time: new Date().toISOString(), function: functionName, text: line });
        return;
      }
      write(line, parsed);
      const { level, event: name } = parsed;
      if (level === "WARN" || level === "ERROR")
        warn(short(level, String(name), { function: functionName, ...parsed }));
    },
    outcome: (invocation) => {
      if (invocation.type === "result") return;
      event("ERROR", invocation.type === "timeout" ? "function_timeout" : "function_error", {
        function: invocation.functionName,
        lambda_request_id: invocation.requestId,
        // The message may quote the function's input.
        ...(invocation.type === "error" ? { error_type: invocation.error.errorType } : {}),
        duration_ms: Math.round(invocation.durationMs),
      });
    },
    event,
    close: () => file?.close(),
  };
}

const shown = [
  ...[
    "function",
    "route",
    "status",
    "code",
    "reason",
    "error_type",
    "errorType",
    "request_id",
    "duration_ms",
  ],
  ...["error_chain", "stack"],
];

/** With the cause: the names of the errors, the outermost first, and the place of the innermost. */
function short(level: string, event: string, fields: Record<string, unknown>): string {
  const pairs = shown.flatMap((name) => {
    const value = fields[name];
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) return [`${name}=${String(value)}`];
    if (name === "stack") return value.length > 0 ? [String(value[0])] : [];
    return [`cause=${value.join(" < ")}`];
  });
  return [level, event, ...pairs].join(" ");
}
