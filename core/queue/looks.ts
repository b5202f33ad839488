import { eq, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { QueueName } from "#spec/functions";
import type { Times } from "#spec/limits";
import { queues as specs } from "#spec/queues";
import { queueLookTable as look } from "./looks.sql.ts";
import * as Queue from "./queue.ts";

/*
 * Tells whether a message that no worker has received is in line or lost. A message in line must not be sent again,
 * however long it waits, because the new one would be last. open(…)     a reader that asks each queue once lost(…)
 * the message is neither in the queue nor with a worker overdue(…)  the queue is never empty, but all work before the
 * message should be done by now
 */

/** The state of a queue, and what follows for its messages. */
interface Seen extends Queue.Counts {
  name: QueueName;
  /** A message that was sent before this time and is not done is lost. */
  lostBefore: Date;
}

/**
 * The number of consecutive checks: SQS's counts are approximate and may be a minute old (API reference,
 * GetQueueAttributes).
 */
const looksNeeded = 3;

/**
 * The work before a message gets this many times the time that it needs, because message groups need not take turns.
 */
const patience = 4;

/** Asks each queue at most once; every reconcile makes a new one. */
export type Looks = (name: QueueName) => Promise<Seen>;

/** @throws AppError `storage_unavailable`, when the reader is called. */
export function open(services: { db: Database.Db; queues: Queue.Queues; times: Times }): Looks {
  const seen = new Map<QueueName, Promise<Seen>>();
  return (name) => {
    const known = seen.get(name) ?? see(services, name);
    seen.set(name, known);
    return known;
  };
}

/**
 * True if a message sent at `sentAt` is no longer in the queue: three checks since, a minute apart, found the queue
 * empty; or the message is too old.
 */
export const lost = (seen: Seen, sentAt: Date): boolean => sentAt < seen.lostBefore;

/**
 * The time before which a message must have been sent to be overdue: the work before it has had four times the time
 * that it needs, and at least `leastMs`.
 * @param messageMs - the time that one message occupies a worker.
 */
export function overdueBefore(seen: Seen, messageMs: number, leastMs: number): Date {
  const { maxConcurrency } = specs[seen.name].subscription;
  // A mapping may have received more messages than it has workers.
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
  // Two reconciles at once, or a repeated one, count as one check.
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
