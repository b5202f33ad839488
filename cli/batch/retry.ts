/** Repeats calls while a temporary problem prevents an answer. */
import { setTimeout as sleep } from "node:timers/promises";
import { CallError } from "#cli/server/call-error";
import type { Context } from "#cli/terminal/context";

const firstPauseMs = 500;
const longestPauseMs = 15_000;
/** A daily limit asks for hours of waiting: then the user has to decide. */
const longestRetryAfterMs = 120_000;

/**
 * Repeats a call until it is answered or refused, for at most `limitMs` after the first failure, with growing pauses or
 * those that the server asks for. Throws CallError, and the signal's reason when it is aborted.
 */
export async function patiently<T>(
  context: Pick<Context, "say" | "signal">,
  limitMs: number,
  ask: () => Promise<T>,
): Promise<T> {
  let giveUpAt = Number.POSITIVE_INFINITY;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    try {
      return await ask();
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof CallError) || !error.passes) throw error;
      const isFirst = giveUpAt === Number.POSITIVE_INFINITY;
      if (isFirst) giveUpAt = performance.now() + limitMs;
      const waitMs = Math.max(error.retryAfterMs ?? 0, pauseMs * (0.75 + Math.random() / 2));
      if (waitMs > longestRetryAfterMs || performance.now() + waitMs > giveUpAt) throw error;
      if (isFirst) context.say(`${error.message}; trying again`);
      await sleep(waitMs, undefined, { signal: context.signal });
    }
  }
}

const repeatedMs = 10_000;

/** The same line from several calls at once is printed once. */
export function onceInAWhile(say: (line: string) => void): (line: string) => void {
  const saidAt = new Map<string, number>();
  return (line) => {
    const now = performance.now();
    if (now - (saidAt.get(line) ?? Number.NEGATIVE_INFINITY) < repeatedMs) return;
    saidAt.set(line, now);
    say(line);
  };
}
