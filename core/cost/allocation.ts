/*
 * Whose dollars a pod's were. A session is paid for from its start to its end, whether it reads or waits: each receipt
 * carries the part of it that its model seconds are of all of the session's, failed and repeated calls included. A session
 * without any is nobody's. So the receipts and what is unallocated always add up to the bill.
 */

const hourMs = 3_600_000;

/** A span that a pod was paid for (core/pod/pod.sql.ts). */
export interface Session {
  id: string;
  startedAt: Date;
  /** Null while the pod is up: what it costs is provisional then. */
  endedAt: Date | null;
  /** USD an hour; null: the provider did not say. */
  ratePerHour: number | null;
  /** How long work was seen under way in it, as the pod's manager saw it from minute to minute. */
  busyMs: number;
}

/** Model milliseconds in a session, of anything: a receipt, a run, a key's day. */
export interface Spent {
  sessionId: string;
  ms: number;
}

export interface Share {
  /** Null if any of its sessions has no known rate. */
  usd: number | null;
  /** The part of it that was paid while the pod waited for work; null as `usd`. */
  idleUsd: number | null;
  /** True while one of its sessions is open: the figure will change. */
  provisional: boolean;
}

/** How long a session was paid for, until its end or until now. */
function wallMs({ startedAt, endedAt }: Session, now: Date): number {
  return Math.max(0, (endedAt ?? now).getTime() - startedAt.getTime());
}

/** Dollars of a whole session until its end, or until now; null without a rate. */
function costOf(session: Session, now: Date): number | null {
  return session.ratePerHour === null ? null : (wallMs(session, now) / hourMs) * session.ratePerHour;
}

interface Entry {
  session: Session;
  usd: number | null;
  /** All model time in it. */
  ms: number;
  /** The share of its time in which it waited, 0 to 1. */
  idle: number;
}

/** The sessions with what each costs and all model time in it. */
export interface Ledger {
  sessions: ReadonlyMap<string, Entry>;
}

/** @param totals - all model time of each session, by session. */
export function ledgerOf(sessions: readonly Session[], totals: readonly Spent[], now: Date): Ledger {
  const ms = new Map<string, number>();
  for (const { sessionId, ms: more } of totals) ms.set(sessionId, (ms.get(sessionId) ?? 0) + more);
  return {
    sessions: new Map(
      sessions.map((session) => {
        const wall = wallMs(session, now);
        const idle = wall === 0 ? 0 : Math.max(0, 1 - session.busyMs / wall);
        return [session.id, { session, usd: costOf(session, now), ms: ms.get(session.id) ?? 0, idle }];
      }),
    ),
  };
}

/**
 * What these model milliseconds cost.
 * @returns null dollars if a session is not in the ledger or has no rate; no dollars for no time.
 */
export function shareOf({ sessions }: Ledger, spent: readonly Spent[]): Share {
  const entries = spent.map(({ sessionId, ms }) => ({ ms, entry: sessions.get(sessionId) }));
  const provisional = entries.some(({ entry }) => entry?.session.endedAt === null);
  let usd = 0;
  let idleUsd = 0;
  for (const { ms, entry } of entries) {
    if (entry === undefined || entry.usd === null) return { usd: null, idleUsd: null, provisional };
    const part = entry.ms > 0 ? entry.usd * (ms / entry.ms) : 0;
    usd += part;
    idleUsd += part * entry.idle;
  }
  return { usd, idleUsd, provisional };
}

/** Dollars of the sessions in which nothing was read: aborted starts, and waiting for work that did not come. */
export function unallocated({ sessions }: Ledger): Share {
  const idle = [...sessions.values()].filter(({ ms }) => ms === 0);
  const usd = idle.some((entry) => entry.usd === null)
    ? null
    : idle.reduce((sum, entry) => sum + (entry.usd ?? 0), 0);
  return { usd, idleUsd: usd, provisional: idle.some(({ session }) => session.endedAt === null) };
}

/** The bill: dollars of all sessions. */
export function billOf({ sessions }: Ledger): number | null {
  let sum = 0;
  for (const { usd } of sessions.values()) {
    if (usd === null) return null;
    sum += usd;
  }
  return sum;
}
