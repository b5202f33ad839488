/** A running run with `concurrency: "auto"`. */
interface Going {
  runUid: string;
  /** The most slots that it may have. */
  most: number;
  /** Items that have not ended. */
  left: number;
}

/**
 * A run's share of the slots of all runs on auto: the same for each, except that a run that can use fewer leaves the
 * rest to the others. Each share is rounded by itself, so that older runs have no advantage; each run has at least one
 * slot.
 */
export function partOf(runUid: string, runs: readonly Going[], total: number): number {
  const wants = runs
    .map((run) => ({ ...run, want: Math.max(1, Math.min(run.most, run.left)) }))
    .toSorted((a, b) => a.want - b.want);
  const mine = wants.find((run) => run.runUid === runUid)?.want ?? total;
  let rest = total;
  for (const [i, { want }] of wants.entries()) {
    const even = rest / (wants.length - i);
    if (want > even) return Math.max(1, Math.min(mine, Math.round(even)));
    rest -= want;
  }
  return mine;
}
