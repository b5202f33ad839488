import { and, lt, type SQL, sql } from "drizzle-orm";
import * as Probe from "#core/breaker/probe";
import { from } from "#core/error";
import { storedBefore } from "#core/extraction/conclude";
import { extractTable } from "#core/extraction/extract.sql";
import * as Remove from "#core/extraction/remove";
import * as Row from "#core/extraction/row";
import * as Send from "#core/extraction/send";
import { discardInput } from "#core/extraction/work";
import * as Idempotency from "#core/idempotency/idempotency";
import { sweep } from "#core/input/sweep";
import type { Log } from "#core/log";
import * as Looks from "#core/queue/looks";
import type { Services } from "#core/reading/services";
import * as Repair from "#core/repair";
import { functions } from "#spec/functions";

type Stores = Pick<Services, "db" | "queues" | "times" | "model" | "bucket">;

/** Uploads that one step removes; the next step continues. */
const uploadsAtOnce = 200;

/** What reconcile found and repaired; all zero in a healthy system. */
interface Repairs {
  interrupted: number;
  requeued: number;
  stored: number;
  inputs: number;
  /** Interrupted removals. */
  deleted: number;
  probes: number;
}

/** One round of repairs, and what it needs. */
interface Round {
  services: Stores;
  log: Log;
  now: number;
  repairs: Repairs;
  /** Outages of the storage, reported at the end, so that one failed repair does not prevent the others. */
  away: (Error | undefined)[];
}

/**
 * Repairs what crashes left behind: work whose lease ended, queued work without a message, artifacts that wait in
 * their rows, inputs of ended extracts, a lost probe message. Each call is bounded; the next minute continues.
 * @throws AppError `storage_unavailable`.
 */
export async function reconcile(services: Stores, log: Log): Promise<Repairs> {
  const repairs: Repairs = { interrupted: 0, requeued: 0, stored: 0, inputs: 0, deleted: 0, probes: 0 };
  const round: Round = { services, log, now: Date.now(), repairs, away: [] };
  await takeUpAbandoned(round);
  await sendUnsent(round);
  await endUnfinished(round);
  await removeLeftovers(round);
  if ((await Send.seen(services.db, Send.waiting)).length > 0)
    repairs.probes += (await Probe.ensure(services, log)) ? 1 : 0;
  // Regular removal of expired rows and objects; no repair.
  const swept = await sweep(services, log, uploadsAtOnce);
  await Idempotency.sweep(services.db);
  log.info("reconciled", { ...repairs, uploads_swept: swept });
  const away = round.away.find((error) => error !== undefined);
  if (away !== undefined) throw away;
  return repairs;
}

/** Repairs each row that matches, unless it has changed since it was read. */
async function each(
  { services, log, away }: Round,
  where: SQL | undefined,
  repair: (row: Row.Row) => Promise<void>,
): Promise<void> {
  const ids = ({ keyId, requestId }: Send.Seen) => ({ key_id: keyId, extract_id: requestId });
  const found = await Send.seen(services.db, where);
  const error = await Repair.each(found, ids, log, async (seen) => {
    const row = await Row.find(services.db, seen.keyId, seen.requestId);
    if (row?.status === seen.status && row.token === seen.token) await repair(row);
  });
  away.push(error);
}

const before = ({ now }: Round, ms: number) => new Date(now - ms);

/** Work whose lease ended. */
async function takeUpAbandoned(round: Round): Promise<void> {
  const { services, log, repairs } = round;
  const graceMs = services.times.leaseGraceMs;
  const over = and(sql`status = 'running'`, lt(extractTable.leaseUntil, before(round, graceMs)));
  await each(round, over, async (row) => {
    if (row.input === null) {
      repairs.interrupted += (await endInterrupted(services, log, row)) ? 1 : 0;
      return;
    }
    const how = { countAttempt: false, suspect: false, notBefore: null, waitingFor: null, keepClaims: true };
    if (await Row.requeue(services.db, row, how))
      repairs.requeued += await Send.sendRows(services, [row], log);
  });
}

/** Queued work whose message was never sent, or is lost. */
async function sendUnsent(round: Round): Promise<void> {
  const { services, log, repairs } = round;
  const { unsentGraceMs, lostMessageMs } = services.times;
  const send = async (where: SQL | undefined) => {
    repairs.requeued += await Send.sendRows(services, await Send.seen(services.db, where), log);
  };
  const mine = sql`${Send.queued} AND waiting_for IS NULL`;
  await send(
    and(sql`${mine} AND sent_at IS NULL`, lt(extractTable.leaseUntil, before(round, unsentGraceMs))),
  );
  const old = and(mine, lt(extractTable.sentAt, before(round, lostMessageMs)));
  if ((await Send.seen(services.db, old)).length === 0) return;
  // A message in line is not lost. A second one would come after it and delay others.
  const queue = await Looks.open(services)("single");
  const overdue = Looks.overdueBefore(queue, functions.single.timeoutMs, lostMessageMs);
  const lostBefore = queue.lostBefore > overdue ? queue.lostBefore : overdue;
  await send(and(mine, lt(extractTable.sentAt, lostBefore)));
}

/** Work that cannot continue, and answers that wait for the bucket. */
async function endUnfinished(round: Round): Promise<void> {
  const { services, log, repairs } = round;
  // Without a picture it cannot be worked on, and must not be "running" forever.
  await each(round, sql`${Send.queued} AND input IS NULL`, async (row) => {
    repairs.interrupted += (await endInterrupted(services, log, row)) ? 1 : 0;
  });
  await each(round, sql`status = 'retryable' AND pending_artifact IS NOT NULL`, async (row) => {
    repairs.stored += (await storePending(services, log, row)) ? 1 : 0;
  });
}

/** Inputs of ended extracts, and interrupted removals. */
async function removeLeftovers(round: Round): Promise<void> {
  const { services, log, now, repairs } = round;
  const ended = lt(extractTable.endedAt, before(round, services.times.unsentGraceMs));
  const hasInput = sql`input IS NOT NULL AND status IN ('succeeded', 'failed', 'retryable')`;
  await each(round, and(hasInput, ended), async (row) => {
    await discardInput(services, log, row);
    repairs.inputs += 1;
  });
  await each(round, and(sql`status = 'deleting'`, ended), async (row) => {
    await Remove.finish(services, log, row);
    repairs.deleted += 1;
  });
  await each(round, sql`status = 'deleted' AND not_before IS NOT NULL AND not_before < ${now}`, (row) =>
    Remove.lookAgain(services, log, row),
  );
}

/** The instance of a call died: its artifact decides; without one a repeat may claim the extract. */
async function endInterrupted(services: Stores, log: Log, row: Row.Row): Promise<boolean> {
  try {
    // An artifact may exist even at the first token, after a crash between the put and the row.
    if ((await storedBefore(services, log, row, { evenIfNew: true })) !== undefined) return true;
  } catch (thrown) {
    const error = from(thrown);
    if (error.retry) throw error;
    return true;
  }
  return Row.release(services.db, row, Row.interrupted());
}

async function storePending(services: Stores, log: Log, row: Row.Row): Promise<boolean> {
  try {
    return (await storedBefore(services, log, row)) !== undefined;
  } catch (thrown) {
    const error = from(thrown);
    log.warn("pending_artifact_waits", { code: error.code });
    return !error.retry;
  }
}
