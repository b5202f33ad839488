import { and, lt, type SQL, sql } from "drizzle-orm";
import * as Probe from "#core/breaker/probe";
import { from } from "#core/error";
import * as Claim from "#core/extraction/claim";
import { storedBefore } from "#core/extraction/conclude";
import { extractTable } from "#core/extraction/extract.sql";
import * as Remove from "#core/extraction/remove";
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

/** Uploads that a step removes; what is left is for the next step. */
const uploadsAtOnce = 200;

/** What reconcile found and mended; all zero in a healthy system. */
interface Repairs {
  interrupted: number;
  requeued: number;
  stored: number;
  inputs: number;
  /** Removals that were cut off. */
  deleted: number;
  probes: number;
}

/**
 * Mends what crashes left: work whose lease ran out, queued work without a message, artifacts that wait in their
 * rows, inputs of ended extracts, a probe message that was lost. In bounded steps; the next minute does the rest.
 */
export async function reconcile(services: Stores, log: Log): Promise<Repairs> {
  const repairs: Repairs = { interrupted: 0, requeued: 0, stored: 0, inputs: 0, deleted: 0, probes: 0 };
  const { db, times } = services;
  const now = Date.now();
  const before = (ms: number) => new Date(now - ms);
  const select = (where: SQL | undefined) => Send.seen(db, where);

  const weather: (Error | undefined)[] = [];
  /** None keeps another from being mended; weather is told of in the end. */
  const each = async (where: SQL | undefined, repair: (row: Claim.Row) => Promise<void>) => {
    const ids = ({ keyId, requestId }: Send.Seen) => ({ key_id: keyId, extract_id: requestId });
    const whole = async (found: Send.Seen) => {
      const row = await Claim.find(db, found.keyId, found.requestId);
      // It has gone on meanwhile.
      if (row?.status === found.status && row.token === found.token) await repair(row);
    };
    weather.push(await Repair.each(await select(where), ids, log, whole));
  };

  const over = and(sql`status = 'running'`, lt(extractTable.leaseUntil, before(times.leaseGraceMs)));
  await each(over, async (row) => {
    if (row.input === null) repairs.interrupted += (await endInterrupted(services, log, row)) ? 1 : 0;
    else if (
      await Claim.requeue(db, row, {
        countAttempt: false,
        suspect: false,
        notBefore: null,
        waitingFor: null,
        keepClaims: true,
      })
    ) {
      repairs.requeued += await Send.sendRows(services, [row], log);
    }
  });
  const mine = sql`${Send.queued} AND waiting_for IS NULL`;
  const unsent = and(
    sql`${mine} AND sent_at IS NULL`,
    lt(extractTable.leaseUntil, before(times.unsentGraceMs)),
  );
  repairs.requeued += await Send.sendRows(services, await select(unsent), log);
  const old = await select(and(mine, lt(extractTable.sentAt, before(times.lostMessageMs))));
  if (old.length > 0) {
    // In line is not lost: what is sent again would stand behind itself, and in everybody's way.
    const queue = await Looks.open(services)("single");
    const overdue = Looks.overdueBefore(queue, functions.single.timeoutMs, times.lostMessageMs);
    const gone = lt(extractTable.sentAt, queue.lostBefore > overdue ? queue.lostBefore : overdue);
    repairs.requeued += await Send.sendRows(services, await select(and(mine, gone)), log);
  }
  // Nobody can work on what has no picture; it must not be "running" for ever.
  await each(sql`${Send.queued} AND input IS NULL`, async (row) => {
    repairs.interrupted += (await endInterrupted(services, log, row)) ? 1 : 0;
  });
  await each(sql`status = 'retryable' AND pending_artifact IS NOT NULL`, async (row) => {
    repairs.stored += (await storePending(services, log, row)) ? 1 : 0;
  });
  const endedWithInput = and(
    sql`input IS NOT NULL AND status IN ('succeeded', 'failed', 'retryable')`,
    lt(extractTable.endedAt, before(times.unsentGraceMs)),
  );
  await each(endedWithInput, async (row) => {
    await discardInput(services, log, row);
    repairs.inputs += 1;
  });
  const cutOff = and(sql`status = 'deleting'`, lt(extractTable.endedAt, before(times.unsentGraceMs)));
  await each(cutOff, async (row) => {
    await Remove.finish(services, log, row);
    repairs.deleted += 1;
  });
  await each(sql`status = 'deleted' AND not_before IS NOT NULL AND not_before < ${now}`, (row) =>
    Remove.lookAgain(services, log, row),
  );
  if ((await select(Send.waiting)).length > 0) repairs.probes += (await Probe.ensure(services, log)) ? 1 : 0;
  // Housekeeping, not repair: what has lived its time.
  const swept = await sweep(services, log, uploadsAtOnce);
  await Idempotency.sweep(db);
  log.info("reconciled", { ...repairs, uploads_swept: swept });
  const away = weather.find((error) => error !== undefined);
  if (away !== undefined) throw away;
  return repairs;
}

/** A call whose instance died: its artifact decides, else it is free for a repeat. */
async function endInterrupted(services: Stores, log: Log, row: Claim.Row): Promise<boolean> {
  try {
    // An artifact may lie there even at the first token: the death came between the put and the row.
    if ((await storedBefore(services, log, row, { evenIfNew: true })) !== undefined) return true;
  } catch (thrown) {
    const error = from(thrown);
    if (error.retry) throw error;
    return true;
  }
  return Claim.release(services.db, row, Claim.interrupted());
}

async function storePending(services: Stores, log: Log, row: Claim.Row): Promise<boolean> {
  try {
    return (await storedBefore(services, log, row)) !== undefined;
  } catch (thrown) {
    const error = from(thrown);
    log.warn("pending_artifact_waits", { code: error.code });
    return !error.retry;
  }
}
