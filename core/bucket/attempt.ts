import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as SdkError from "#core/sdk-error";
import { limited } from "./limited.ts";

/** A call to the bucket: its time limit, and its name in the log. */
interface About {
  bucket: { timeoutMs: number };
  log: Log;
  operation: string;
}

/** What every answer of the SDK has. */
interface Answer {
  $metadata: { attempts?: number | undefined };
}

/**
 * One call within its time limit; retries inside the SDK are logged.
 * @throws AppError `storage_unavailable`.
 */
export async function attempt<T extends Answer | undefined>(
  { bucket, log, operation }: About,
  call: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  const startedAt = Date.now();
  try {
    const answer = await limited(bucket.timeoutMs, call);
    noteRetries(log, operation, answer);
    return answer;
  } catch (thrown) {
    throw unavailable(log, operation, thrown, startedAt);
  }
}

/**
 * The same, for calls in which some statuses are results: undefined for one of `statuses`.
 * @throws AppError `storage_unavailable`.
 */
export function attemptUnless<T extends Answer>(
  statuses: readonly number[],
  about: About,
  call: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  return attempt(about, async (abortSignal) => {
    try {
      return await call(abortSignal);
    } catch (thrown) {
      if (statuses.includes(SdkError.statusOf(thrown) ?? 0)) return undefined;
      throw thrown;
    }
  });
}

/** Logs that the SDK needed more than one try. */
export function noteRetries(log: Log, operation: string, answer: Answer | undefined): void {
  const attempts = answer?.$metadata.attempts ?? 1;
  if (attempts > 1) log.warn("s3_retry", { operation, attempts });
}

/** Logs a failed call and returns its error. The caller cannot fix the cause, wrong credentials included. */
export function unavailable(log: Log, operation: string, thrown: unknown, startedAt: number): AppError {
  log.warn("s3_retry", {
    operation,
    gave_up: true,
    status: SdkError.statusOf(thrown),
    error: thrown instanceof Error ? thrown.name : "unknown",
    duration_ms: Date.now() - startedAt,
  });
  return new AppError("storage_unavailable", "the bucket cannot be reached right now", {
    cause: thrown,
    retryAfterS: 2,
  });
}
