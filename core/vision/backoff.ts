export interface Backoff {
  baseMs: number;
  maxMs: number;
}

const usual: Backoff = { baseMs: 250, maxMs: 8_000 };

/**
 * The pause before the next of `retries` (from 1 on): capped exponential back-off, half of it jitter, and at least as
 * long as the server asked for.
 * @param how.random - 0 up to 1.
 */
export function pauseMs(how: {
  retries: number;
  retryAfterMs: number | undefined;
  backoff?: Backoff | undefined;
  random?: (() => number) | undefined;
}): number {
  const { baseMs, maxMs } = how.backoff ?? usual;
  const random = how.random ?? Math.random;
  const growing = Math.min(maxMs, baseMs * 2 ** (how.retries - 1));
  return how.retryAfterMs === undefined
    ? growing * (0.5 + random() / 2)
    : how.retryAfterMs + (baseMs / 2) * random();
}
