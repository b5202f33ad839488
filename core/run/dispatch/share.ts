/*
 * The runs of a key share the key's `max_in_flight`. Otherwise a key with a hundred runs would have a hundred times
 * the message groups of another key, and as large a part of the workers.
 */

/** The part of a running run that its share depends on. */
interface Going {
  runUid: string;
  concurrency: number;
  /** Items that have not ended. */
  left: number;
}

/**
 * Divides the key's slots among its runs: each run in turn gets one more, as long as there are slots left and the run
 * can use them. Each run has at least one, so that it goes on and asks again; a key has at most `max_in_flight` runs
 * at once (begin.ts). All workers compute the same result.
 * @param runs - the key's running runs, oldest first.
 * @param most - the slots of all of them together.
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
