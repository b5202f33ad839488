import { and, lt, type SQL, sql } from "drizzle-orm";
import * as Breaker from "#core/breaker/breaker";
import * as Database from "#core/db/database";
import { from } from "#core/error";
import type { Log } from "#core/log";
import * as Metrics from "#core/metrics/metrics";
import * as Looks from "#core/queue/looks";
import * as Queue from "#core/queue/queue";
import type { Services } from "#core/reading/services";
import * as Repair from "#core/repair";
import * as Pause from "#core/run/dispatch/pause";
import * as Upload from "#core/upload/upload";
import { probe as probeModel } from "#core/vision/probe";
import { functions } from "#spec/functions";
import * as Claim from "./claim.ts";
import { storedBefore } from "./conclude.ts";
import { extractTable, idempotencyTable } from "./extract.sql.ts";
import { ensureProbe, type ProbeMessage, type SingleMessage, sendProbe } from "./handover.ts";
import * as Remove from "./remove.ts";
import { discardInput } from "./work.ts";

type Stores = Pick<Services, "db" | "queues" | "times" | "model" | "bucket">;

/** So many looks at the first pace: ten minutes, within which a pod is loaded and a restart is over. */
const probesFirst = 120;

/** Rows a step looks at; what is left is for the next step. */
const chunk = 200;
/** Small rows that a sweep removes at once. */
const sweptAtOnce = 5_000;

/**
 * One look at the model server (`kind: "probe"` in the `urgent` queue). When it is back, everything that waits for it
 * goes on; else the next look is ordered: after 5 s for ten minutes, later 30 s.
 */
export async function probe(
  services: Omit<Stores, "bucket">,
  { n, chain }: Pick<ProbeMessage, "n" | "chain">,
  log: Log,
): Promise<void> {
  const { db, times } = services;
  if ((await Breaker.state(db)).kind !== "closed") {
    const seen = await probeModel(services.model, undefined, times.probeTimeoutMs);
    log.info("breaker_probe", { ok: seen.ok, n, duration_ms: seen.latencyMs });
    if (!seen.ok) {
      Metrics.modelAway();
      const delayMs = n < probesFirst ? times.probeFirstDelayMs : times.probeLaterDelayMs;
      await Breaker.trip(db, times.breakerRetryMs);
      // One chain of looks goes on. This one was in line for so long that another was begun: it was worth its look.
      if (!(await Breaker.stillMessage(db, chain, delayMs + times.probeMessageMs))) return;
      await sendProbe(services.queues, { n: n + 1, chain }, delayMs, log);
      return;
    }
    await Breaker.close(db);
  }
  await Breaker.messageDone(db);
  const resumed = await resumeWaiting(services, log);
  const runs = await Pause.resume(services, log);
  log.info("model_server_back", { resumed, runs });
}

/*
 * Literals, as in the partial indexes (extract.sql.ts): with parameters SQLite would not use those, and each of these
 * questions would go through all extracts there ever were.
 */
const queued = sql`status = 'queued'`;
const waiting = sql`${queued} AND waiting_for = 'model_server'`;

/** Which rows they are, and no more: two hundred whole ones, with answers that wait in them, are more than a server answers. */
type Seen = Pick<Claim.Row, "keyId" | "requestId" | "status" | "token">;
const { keyId, requestId, status, token } = extractTable;

/** The next rows of which this is true. @throws AppError `storage_unavailable`. */
function seen(db: Database.Db, where: SQL | undefined): Promise<Seen[]> {
  return Database.read(
    db.query.select({ keyId, requestId, status, token }).from(extractTable).where(where).limit(chunk),
  );
}

/** Sends every extract on its way that waits for the model server. @returns how many. */
async function resumeWaiting(services: Pick<Stores, "db" | "queues">, log: Log): Promise<number> {
  let resumed = 0;
  for (;;) {
    const rows = await seen(services.db, waiting);
    if (rows.length === 0) return resumed;
    const sent = await sendRows(services, rows, log);
    if (sent === 0) return resumed;
    resumed += sent;
  }
}

/** Sends every queued extract on its way that waits for nothing and has no message. @returns how many. */
export async function sendQueued(services: Pick<Stores, "db" | "queues">, log: Log): Promise<number> {
  let sent = 0;
  for (;;) {
    const unsent = sql`${queued} AND waiting_for IS NULL AND sent_at IS NULL AND input IS NOT NULL`;
    const rows = await seen(services.db, unsent);
    const taken = rows.length === 0 ? 0 : await sendRows(services, rows, log);
    if (taken === 0) return sent;
    sent += taken;
  }
}

/** Sends the rows' messages; what was taken is marked. */
async function sendRows(services: Pick<Stores, "db" | "queues">, rows: Seen[], log: Log): Promise<number> {
  const bodies: SingleMessage[] = rows.map((row) => ({ key_id: row.keyId, request_id: row.requestId }));
  const taken = await Queue.sendAll(services.queues, "single", bodies, log);
  const sent = rows.filter((_, i) => taken.has(i));
  if (sent.length > 0) await Claim.markSent(services.db, sent);
  return sent.length;
}

/** What reconcile found and mended; all zero in a healthy system. */
export interface Repairs {
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
  const select = (where: SQL | undefined) => seen(db, where);

  const weather: (Error | undefined)[] = [];
  /** None keeps another from being mended; weather is told of in the end. */
  const each = async (where: SQL | undefined, repair: (row: Claim.Row) => Promise<void>) => {
    const ids = ({ keyId, requestId }: Seen) => ({ key_id: keyId, extract_id: requestId });
    const whole = async (found: Seen) => {
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
      repairs.requeued += await sendRows(services, [row], log);
    }
  });
  const mine = sql`${queued} AND waiting_for IS NULL`;
  const unsent = and(
    sql`${mine} AND sent_at IS NULL`,
    lt(extractTable.leaseUntil, before(times.unsentGraceMs)),
  );
  repairs.requeued += await sendRows(services, await select(unsent), log);
  const old = await select(and(mine, lt(extractTable.sentAt, before(times.lostMessageMs))));
  if (old.length > 0) {
    // In line is not lost: what is sent again would stand behind itself, and in everybody's way.
    const queue = await Looks.open(services)("single");
    const overdue = Looks.overdueBefore(queue, functions.single.timeoutMs, times.lostMessageMs);
    const gone = lt(extractTable.sentAt, queue.lostBefore > overdue ? queue.lostBefore : overdue);
    repairs.requeued += await sendRows(services, await select(and(mine, gone)), log);
  }
  // Nobody can work on what has no picture; it must not be "running" for ever.
  await each(sql`${queued} AND input IS NULL`, async (row) => {
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
  if ((await select(waiting)).length > 0) repairs.probes += (await ensureProbe(services, log)) ? 1 : 0;
  // Housekeeping, not repair: what has lived its time.
  const swept = await Upload.sweep(services, log, chunk);
  await Database.batch(db, [
    Database.statement(sql`DELETE FROM ${idempotencyTable} WHERE rowid IN
      (SELECT rowid FROM ${idempotencyTable} WHERE expires_at < ${now} LIMIT ${sweptAtOnce})`),
  ]);
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
