/** After this time, the total time can be estimated from the documents that were read. */
const measuredMs = 3_000;
/** A forecast may be this much too high: reading begins slowly. */
const slack = 1.5;

/**
 * True once it is clear that the remaining documents will not be read in time, so that a call can end early.
 * @param begunAt, deadline, now - epoch milliseconds. @param read, total - lines of both sides.
 */
export function isTooLong(
  { begunAt, deadline, total }: { begunAt: number; deadline: number; total: number },
  read: number,
  now: number,
): boolean {
  if (now > deadline) return true;
  const spentMs = now - begunAt;
  return spentMs > measuredMs && (spentMs * total) / Math.max(1, read) > slack * (deadline - begunAt);
}
