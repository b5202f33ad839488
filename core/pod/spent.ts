import type { PodSessionRow } from "#core/cost/pod-session.sql";

const hour = 3_600_000;

/** The beginning of a time's UTC day, in epoch milliseconds. */
export function dayOf(now: number): number {
  return Math.floor(now / (24 * hour)) * 24 * hour;
}

/**
 * Hours and dollars of this UTC day until now.
 * @param rate - USD an hour where the provider named none.
 */
export function spentOf(
  sessions: readonly PodSessionRow[],
  now: number,
  rate: number | undefined,
): { hours: number; dollars: number } {
  const day = dayOf(now);
  const spans = sessions.map(({ startedAt, endedAt, ratePerHour }) => {
    const until = Math.min(endedAt?.getTime() ?? now, now);
    const hours = Math.max(0, until - Math.max(startedAt.getTime(), day)) / hour;
    return { hours, dollars: hours * (ratePerHour ?? rate ?? 0) };
  });
  const sum = (of: "hours" | "dollars") => spans.reduce((total, span) => total + span[of], 0);
  return { hours: sum("hours"), dollars: sum("dollars") };
}
