import { and, asc, eq, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import * as Looks from "#core/queue/looks";
import * as Order from "#core/run/dispatch/order";
import { nextNumber } from "#core/run/dispatch/raise";
import * as Window from "#core/run/dispatch/window";
import { isOpen, itemTable as item, type RunRow, runTable as run, runsBy } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import { functions } from "#spec/functions";

/*
 * Runs that were not touched for a long time. Their messages may wait for hours behind those of other runs; sent
 * anew, they would move to the end of the queue each time.
 * messages(…)  for a running run with messages in the queue, none of which was received
 * step(…)      for a run that waits for its planner
 * anew(…)      for a run whose messages are lost
 */

/**
 * Sends lost messages anew. In a queue that never empties a loss cannot be seen. There a copy of the run's oldest
 * message is sent once everything before it must be done. The copy keeps its number, so no message loses its place.
 * If the copy is received first, the other messages are lost (`anew`).
 * @throws AppError `storage_unavailable`.
 */
export async function messages(
  services: RunStores,
  row: RunRow,
  looks: Looks.Looks,
  log: Log,
): Promise<"anew" | "again" | "in_line"> {
  const seen = await looks("item");
  if (Looks.lost(seen, row.touchedAt)) return (await anew(services, row, log)) ? "anew" : "in_line";
  const least = services.times.runStalledMs;
  if (row.touchedAt >= Looks.overdueBefore(seen, 0, least)) return "in_line";
  const messageMs = await pictureMs(services.db);
  if (row.touchedAt >= Looks.overdueBefore(seen, messageMs, least)) return "in_line";
  return (await oldestAgain(services, row, log)) ? "again" : "in_line";
}

/** How long a picture occupies a worker, on average over the open runs; the maximum if there is no average. */
async function pictureMs(db: Database.Db): Promise<number> {
  const query = sql`SELECT sum(${run.modelMs}) AS ms, sum(${run.modelCalls}) AS calls
    FROM ${runsBy("run_open")} WHERE ${sql.raw(isOpen)} AND ${run.state} = 'running'`;
  const [result] = await Database.batch(db, [Database.statement(query)], "read");
  const found = result?.rows[0];
  const calls = Number(found?.calls ?? 0);
  return calls > 0 ? Number(found?.ms) / calls : functions.item.timeoutMs;
}

async function oldestAgain(services: RunStores, row: RunRow, log: Log): Promise<boolean> {
  const [oldest] = await Database.read(
    services.db.query
      .select()
      .from(item)
      .where(and(eq(item.runUid, row.runUid), eq(item.status, "queued"), eq(item.sentEpoch, row.epoch)))
      .orderBy(asc(item.index))
      .limit(1),
  );
  if (oldest === undefined || oldest.slot === null || !(await touch(services.db, row))) return false;
  const { index, sendSeq: seq, slot, objectKey: key, etag } = oldest;
  const picture = key === null ? undefined : { key, etag };
  await Window.send(
    services,
    [{ run_uid: row.runUid, epoch: row.epoch, index, seq, slot, picture, again: true }],
    log,
  );
  log.warn("item_sent_again", { run_id: row.runId, index });
  return true;
}

/**
 * Orders the planner again under the same number if it has been silent for too long. If the first order is still in
 * the queue, SQS drops this one or the second step finds no work. The order waits while steps of other runs, two
 * minutes each, may be before it.
 * @returns true if it was ordered.
 * @throws AppError `storage_unavailable`.
 */
export async function step(
  services: RunStores,
  row: RunRow,
  { kind, looks }: { kind: Order.Kind; looks: Looks.Looks },
  log: Log,
): Promise<boolean> {
  const queue = Order.isUrgent(kind) ? "urgent" : "plan";
  const before = Looks.overdueBefore(
    await looks(queue),
    functions[queue].timeoutMs,
    services.times.stepLostMs,
  );
  if (row.touchedAt >= before || !(await touch(services.db, row))) return false;
  await Order.order(services, row, kind, log);
  return true;
}

/** Sets `touched_at`, so that of several callers only one acts, and the new order has time to take effect. */
async function touch(db: Database.Db, row: RunRow): Promise<boolean> {
  const seen = and(
    eq(run.runUid, row.runUid),
    eq(run.epoch, row.epoch),
    eq(run.state, row.state),
    eq(run.touchedAt, row.touchedAt),
  );
  const [result] = await Database.batch(db, [
    db.query.update(run).set({ touchedAt: new Date() }).where(seen),
  ]);
  return result?.rowsAffected === 1;
}

/**
 * Starts a new epoch: lost messages are sent again, and have no effect if they still arrive.
 * @returns false if the run has changed since it was read.
 * @throws AppError `storage_unavailable`.
 */
export async function anew(
  services: Pick<RunStores, "db" | "queues">,
  row: Pick<RunRow, "runUid" | "runId" | "epoch">,
  log: Log,
): Promise<boolean> {
  const [result] = await Database.batch(services.db, [
    services.db.query
      .update(run)
      .set({ planN: nextNumber, epoch: row.epoch + 1, touchedAt: new Date() })
      .where(and(eq(run.runUid, row.runUid), eq(run.epoch, row.epoch), eq(run.state, "running")))
      .returning(),
  ]);
  const now = Database.rows(run, result)[0];
  if (now === undefined) return false;
  log.warn("run_renumbered", { run_id: row.runId });
  await Order.order(services, now, "refill", log);
  return true;
}
