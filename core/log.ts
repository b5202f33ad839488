import { LogFormatter, Logger, LogItem } from "@aws-lambda-powertools/logger";
import type { LogAttributes, UnformattedAttributes } from "@aws-lambda-powertools/logger/types";
import * as Config from "#core/config";

/**
 * Log lines contain names, numbers, ids and codes, and never pictures, recognized text, field values, prompts, keys,
 * addresses or signed URLs. So an error is logged by its name, code and stack frames, not by its message: messages of
 * parsers and clients quote their input.
 */
export type Fields = Record<
  string,
  string | number | boolean | null | undefined | readonly string[] | readonly number[]
>;

export interface Log {
  /** An event, named in snake_case. Fields are ids, names, numbers and codes (CONTRIBUTING.md, "House rules"). */
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  /** A log that adds these fields to every line. */
  child(fields: Fields): Log;
}

/** Powertools drops empty texts and nulls; a null is kept here because it means "none". */
class Item extends LogItem {
  override removeEmptyKeys(attributes: LogAttributes): LogAttributes {
    return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
  }
}

/** One flat JSON object per line, in the order in which a person reads it. */
class Line extends LogFormatter {
  override formatAttributes(attributes: UnformattedAttributes, additional: LogAttributes): LogItem {
    return new Item({
      attributes: {
        time: attributes.timestamp.toISOString(),
        level: attributes.logLevel,
        event: attributes.message,
        ...additional,
      },
    });
  }
}

let root: Logger | undefined;

function logger(): Logger {
  const { logLevel } = Config.app();
  root ??= new Logger({ serviceName: "ocrlty", logLevel, logFormatter: new Line() });
  return root;
}

/**
 * A log with fields of its own. All logs share Powertools' logger and pass the fields with every line: keys that were
 * added by `appendKeys` would outlive an invocation.
 */
export function create(fields: Fields = {}): Log {
  const write = (level: "INFO" | "WARN" | "ERROR", event: string, more: Fields = {}) => {
    const all = { ...fields, ...more };
    const method = level === "INFO" ? "info" : level === "WARN" ? "warn" : "error";
    logger()[method](event, all as LogAttributes);
  };
  return {
    info: (event, more) => write("INFO", event, more),
    warn: (event, more) => write("WARN", event, more),
    error: (event, more) => write("ERROR", event, more),
    child: (more) => create({ ...fields, ...more }),
  };
}

/** What may be logged of a thrown value: names and codes along its chain of causes, and the stack. */
export function describe(thrown: unknown): Fields {
  const names: string[] = [];
  let stack: string[] = [];
  let at: unknown = thrown;
  for (let depth = 0; depth < 5 && at instanceof Error; depth += 1) {
    // Names of settings are not secret; their values are.
    const { variables = [] } = at instanceof Config.ConfigError ? at : {};
    const code =
      "code" in at && typeof at.code === "string"
        ? `:${at.code}`
        : variables.map((name) => `:${name}`).join("");
    names.push(`${at.name}${code}`);
    const frames = (at.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
    // The stack of the innermost cause that has one.
    if (frames.length > 0) stack = frames;
    at = at.cause;
  }
  return {
    error_chain: names.length > 0 ? names : [typeof thrown],
    stack: stack.slice(0, 8).map((line) => line.trim()),
  };
}
