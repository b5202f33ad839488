import type { Log } from "#core/log";

/** A log that drops everything. */
export const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
