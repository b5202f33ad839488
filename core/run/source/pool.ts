import { AppError } from "#core/error";

/** Calls to the bucket that one invocation makes in parallel. */
const width = 32;

/**
 * Does the work for every entry, a bounded number in parallel, and returns the results in order. The first failure
 * ends it.
 * @throws what the work throws; AppError `storage_unavailable` if the deadline (epoch milliseconds) passes first.
 */
export async function each<T, R>(
  entries: readonly T[],
  deadline: number,
  work: (entry: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array<R>(entries.length);
  let next = 0;
  let failure: { thrown: unknown } | undefined;
  const worker = async () => {
    while (next < entries.length && failure === undefined) {
      if (Date.now() > deadline)
        throw new AppError("storage_unavailable", "the bucket answers too slowly right now", {
          retryAfterS: 2,
        });
      const index = next;
      next += 1;
      results[index] = await work(entries[index] as T, index);
    }
  };
  const guarded = () =>
    worker().catch((thrown: unknown) => {
      failure ??= { thrown };
    });
  // All calls have ended when it throws, so nothing is stored after the caller has cleaned up.
  await Promise.all(Array.from({ length: Math.min(width, entries.length) }, guarded));
  if (failure !== undefined) throw failure.thrown;
  return results;
}
