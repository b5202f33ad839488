/*
 * What a key may have at work at once (`max_in_flight`) is shared by its runs: else a key with a hundred runs had a hundred
 * times as many message groups as a neighbor, and of the workers that all have together as large a part.
 */

/** A run that is going, as far as its share matters. */
interface Going {
  runUid: string;
  concurrency: number;
  /** Items that have not ended. */
  left: number;
}

/**
 * How many slots a run has of its key's: one after the other each of the key's runs gets one more, as long as there are some
 * and it has use for it. At least one, so that each goes on and asks anew; a key has no more runs at once than it may have
 * in flight (begin.ts). Every worker computes the same.
 * @param runs - those of the key that are running, oldest first.
 * @param most - of them all together.
 */
export function slotsOf(
  run: { runUid: string; concurrency: number },
  runs: readonly Going[],
  most: number,
): number {
  const wants = runs.map(({ concurrency, left }) => Math.max(1, Math.min(concurrency, left)));
  const shares = runs.map(() => 0);
  let given = 0;
  for (let before = -1; given < most && given !== before; ) {
    before = given;
    for (const [i, want] of wants.entries())
      if (given < most && (shares[i] ?? 0) < want) {
        shares[i] = (shares[i] ?? 0) + 1;
        given += 1;
      }
  }
  const share = shares[runs.findIndex(({ runUid }) => runUid === run.runUid)] ?? most;
  return Math.max(1, Math.min(share, run.concurrency));
}
