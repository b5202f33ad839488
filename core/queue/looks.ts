import { eq, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { QueueName } from "#spec/functions";
import type { Times } from "#spec/limits";
import { queues as specs } from "#spec/queues";
import { queueLookTable as look } from "./looks.sql.ts";
import * as Queue from "./queue.ts";

/*
 * Whether a message that no worker has taken is in line or lost. In line is not lost, however long it takes: sending
 * it again would put it at the end of the line.
 *
 * open(…)     a reader that asks each queue once
 * lost(…)     it is not in the queue any more, nor with a worker
 * overdue(…)  the queue never empties, and everything that was in front of it must be done by now
 */

/** A queue as it was found, and what that says of messages. */
interface Seen extends Queue.Counts {
  name: QueueName;
  /** What was sent before this, and is not done, is lost. */
  lostBefore: Date;
}

/** So many looks in a row: SQS's counts are approximate, and may be a minute behind (API reference, GetQueueAttributes). */
const looksNeeded = 3;

/** What is in front is given so many times the time that it needs: nothing promises that groups take turns. */
const patience = 4;

/** Asks each queue at most once; made anew by every reconcile. */
export type Looks = (name: QueueName) => Promise<Seen>;

/** @throws AppError `storage_unavailable`, from the reader. */
export function open(services: { db: Database.Db; queues: Queue.Queues; times: Times }): Looks {
  const seen = new Map<QueueName, Promise<Seen>>();
  return (name) => {
    const known = seen.get(name) ?? see(services, name);
    seen.set(name, known);
    return known;
  };
}

/** Sent at `sentAt`, not done, and in the queue no more: found empty three times since, a minute apart; or too old for it. */
export const lost = (seen: Seen, sentAt: Date): boolean => sentAt < seen.lostBefore;

/**
 * Until when a message must have been sent to be overdue, where it is not lost: what is in front has had four times the
 * time that it needs, and `leastMs` at least.
 * @param messageMs - what one message takes of a worker.
 */
export function overdueBefore(seen: Seen, messageMs: number, leastMs: number): Date {
  const { maxConcurrency } = specs[seen.name].subscription;
  // A mapping may have received more than it works on.
  const inFront = seen.visible + Math.max(0, seen.inFlight - maxConcurrency);
  const frontMs = (inFront * messageMs) / maxConcurrency;
  return new Date(Date.now() - Math.max(leastMs, patience * frontMs));
}

async function see(
  { db, queues, times }: { db: Database.Db; queues: Queue.Queues; times: Times },
  name: QueueName,
): Promise<Seen> {
  const counts = await Queue.counts(queues, name);
  const now = Date.now();
  const isEmpty = counts.visible + counts.inFlight + counts.delayed === 0;
  const first = isEmpty ? new Date(now) : null;
  // Two reconciles at once, or one that was repeated, are one look.
  const isNext = sql`${look.lookedAt} <= ${now - times.queueLookMs}`;
  const [, found] = await Database.batch(db, [
    db.query
      .insert(look)
      .values({ name, lookedAt: new Date(now), emptyLooks: isEmpty ? 1 : 0, emptySince: first })
      .onConflictDoUpdate({
        target: look.name,
        set: isEmpty
          ? {
              lookedAt: sql`CASE WHEN ${isNext} THEN ${now} ELSE ${look.lookedAt} END`,
              emptySince: sql`coalesce(${look.emptySince}, ${now})`,
              emptyLooks: sql`CASE WHEN ${look.emptyLooks} = 0 OR ${isNext} THEN ${look.emptyLooks} + 1 ELSE ${look.emptyLooks} END`,
            }
          : { lookedAt: new Date(now), emptySince: null, emptyLooks: 0 },
      }),
    db.query.select().from(look).where(eq(look.name, name)),
  ]);
  const row = Database.rows(look, found)[0];
  const retained = now - specs[name].retentionSeconds * 1000;
  const empty = (row?.emptyLooks ?? 0) >= looksNeeded ? (row?.emptySince?.getTime() ?? 0) : 0;
  return { ...counts, name, lostBefore: new Date(Math.max(retained, empty)) };
}
