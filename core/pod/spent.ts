import type { PodSessionRow } from "#core/cost/pod-session.sql";

const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

/** The beginning of a time's UTC day, in epoch milliseconds. */
export function dayOf(now: number): number {
  return Math.floor(now / dayMs) * dayMs;
}

interface Spent {
  hours: number;
  dollars: number;
}

/**
 * Hours and dollars of sessions within a span of time, in epoch milliseconds; a session that is open counts until the span's end.
 * @param rate - USD an hour where the provider named none; undefined: nothing.
 */
export function spentWithin(
  sessions: readonly PodSessionRow[],
  { from, to }: { from: number; to: number },
  rate: number | undefined,
): Spent {
  const spans = sessions.map(({ startedAt, endedAt, ratePerHour }) => {
    const until = Math.min(endedAt?.getTime() ?? to, to);
    const hours = Math.max(0, until - Math.max(startedAt.getTime(), from)) / hourMs;
    return { hours, dollars: hours * (ratePerHour ?? rate ?? 0) };
  });
  const sum = (of: keyof Spent) => spans.reduce((total, span) => total + span[of], 0);
  return { hours: sum("hours"), dollars: sum("dollars") };
}

/** The same of this UTC day until now. */
export function spentOf(sessions: readonly PodSessionRow[], now: number, rate: number | undefined): Spent {
  return spentWithin(sessions, { from: dayOf(now), to: now }, rate);
}
