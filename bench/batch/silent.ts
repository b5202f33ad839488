import type { Log } from "#core/log";

/** A log that says nothing. */
export const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
