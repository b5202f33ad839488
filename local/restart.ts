/**
 * Cleans up after a loop that ended or was killed. When the next one starts in the folder, nothing can be in flight, so
 * no work has to wait until leases and visibilities end.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createClient } from "@libsql/client/http";
import { and, isNotNull, isNull, sql } from "drizzle-orm";
import { breakerTable } from "#core/breaker/breaker.sql";
import * as Probe from "#core/breaker/probe";
import * as Database from "#core/db/database";
import * as Wire from "#core/db/wire";
import * as Reconcile from "#core/evaluation/job/reconcile";
import { extractTable as extract } from "#core/extraction/extract.sql";
import * as Send from "#core/extraction/send";
import type { Log } from "#core/log";
import type { Queues } from "#core/queue/queue";
import * as Order from "#core/run/dispatch/order";
import * as Pause from "#core/run/dispatch/pause";
import * as Due from "#core/run/notify/due";
import { webhookDueTable } from "#core/run/notify/due.sql";
import { itemTable as item, runTable as run, type State } from "#core/run/run.sql";
import * as Client from "#local/queue/client";
import type { QueueServer } from "#local/queue/server";
import { type Times, times as timesAt } from "#spec/limits";

/*
 * forget(…)   before the queues start: removes their messages, except those that have no row
 * resume(…)   before any worker starts: sends new messages from the rows
 */

/**
 * Empties the queues in the emulator's folder. Backups exist only as messages, so those stay, and one that was in
 * flight is visible again at once.
 * @returns false if there are no queues, because no loop has run here.
 */
export function forget(dir: string): boolean {
  const file = join(dir, "fauxqs.db");
  if (!fs.existsSync(file)) return false;
  const db = new DatabaseSync(file);
  try {
    const { n } = db.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'sqs_messages'").get() as {
      n: number;
    };
    // Killed before it had made its tables.
    if (n === 0) return true;
    db.exec(`BEGIN;
      DELETE FROM sqs_messages WHERE queue_name NOT IN ('ocrlty-later', 'ocrlty-later-dead')
        OR json_extract(body, '$.kind') IN ('probe', 'webhook', 'evaluation');
      UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL;
      COMMIT`);
    return true;
  } finally {
    db.close();
  }
}

/** The order to the planner for a run in this state. */
const orders = {
  planning: "plan",
  running: "refill",
  canceling: "sweep",
  finishing: "finish",
  deleting: "delete",
} as const satisfies Partial<Record<State, Order.Kind>>;

/**
 * Sends again all work that was with a worker or in a queue. Messages get a higher epoch and rows a higher token, so a
 * remaining process of the killed loop can change nothing. If this is killed too, it is repeated at the next start.
 * Claims stay counted, so that a picture that crashes the whole loop cannot do so forever.
 * @returns how many runs and extracts go on.
 * @throws AppError `storage_unavailable`.
 */
export async function resume(
  access: { url: string; authToken: string | undefined },
  server: Pick<QueueServer, "client" | "queues">,
  timeScale: number,
): Promise<{ runs: number; extracts: number }> {
  const { url, authToken } = access;
  const db = Database.wrap(
    createClient({ url, fetch: Wire.fetcher(undefined), ...(authToken === undefined ? {} : { authToken }) }),
  );
  const times = timesAt(timeScale);
  const urls = Object.fromEntries(Object.entries(server.queues).map(([name, queue]) => [name, queue.url]));
  const queues = {
    client: Client.through(server.client),
    urls: urls as unknown as Queues["urls"],
    timeoutMs: times.queueTimeoutMs,
  };
  const services = { db, queues, times };
  try {
    await rows(db, times);
    const going = await runs(services);
    const extracts = await Send.sendQueued(services, silent);
    await Due.all(services);
    await Reconcile.resume(services);
    const waiting = sql`status = 'queued' AND waiting_for = 'model_server'`;
    const some = await Database.read(db.query.select().from(extract).where(waiting).limit(1));
    if (some.length > 0 || (await Pause.anyWaits(db))) await Probe.ensure(services, silent);
    return { runs: going, extracts };
  } finally {
    db.client.close();
  }
}

/** The counts, which the loop logs in one line. */
const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

async function rows(db: Database.Db, times: Times): Promise<void> {
  const over = new Date(Date.now() - times.leaseGraceMs - 1);
  const goesOn = sql`EXISTS (SELECT 1 FROM ${run} WHERE ${run.runUid} = ${item.runUid} AND ${run.state} = 'running')`;
  await Database.batch(db, [
    // A call whose caller got no answer: a repeat of the call takes it over.
    db.query
      .update(extract)
      .set({ leaseUntil: over })
      .where(and(sql`${extract.status} = 'running'`, isNull(extract.input))),
    db.query
      .update(extract)
      .set({ status: "queued", token: sql`${extract.token} + 1`, leaseUntil: over })
      .where(and(sql`${extract.status} = 'running'`, isNotNull(extract.input))),
    db.query
      .update(extract)
      // The message held the pause before the next attempt; the restart replaces that pause.
      .set({ sentAt: null, notBefore: null })
      .where(and(sql`${extract.status} = 'queued'`, isNull(extract.waitingFor))),
    db.query
      .update(item)
      .set({
        status: "queued",
        token: sql`${item.token} + 1`,
        leaseUntil: null,
        sendSeq: sql`${item.sendSeq} + 1`,
        sentEpoch: 0,
      })
      .where(and(sql`status = 'running'`, goesOn)),
    // For canceled runs: reconcile checks whether they have an artifact.
    db.query.update(item).set({ leaseUntil: over }).where(sql`status = 'running'`),
    db.query.update(webhookDueTable).set({ sentUntil: null }),
    db.query.update(breakerTable).set({ messageUntil: null, messageChain: null, probeUntil: null }),
  ]);
}

async function runs(services: { db: Database.Db; queues: Queues }): Promise<number> {
  const open = sql`${run.state} IN ('planning', 'running', 'canceling', 'finishing', 'deleting')`;
  const [result] = await Database.batch(services.db, [
    services.db.query
      .update(run)
      .set({ epoch: sql`${run.epoch} + 1`, planN: sql`${run.planN} + 1`, touchedAt: new Date() })
      .where(and(open, isNull(run.waitingFor)))
      .returning(),
  ]);
  for (const row of Database.rows(run, result)) {
    const kind = row.state in orders ? orders[row.state as keyof typeof orders] : undefined;
    // Files that were being received will not arrive any more: reconcile ends the run.
    if (kind === undefined || row.planning?.phase === "receiving") continue;
    await Order.order(services, row, kind, silent);
  }
  return result?.rows.length ?? 0;
}
