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
 * Runs without a sign of life for long. Their messages may be in line behind those of other runs, for hours: sent
 * anew they would go to the end of the line, again and again.
 *
 * messages(…)  a running run with messages in the queue, none of which was taken
 * step(…)      a run that waits for its planner
 * anew(…)      its messages are known to be lost
 */

/**
 * Messages that are lost are sent anew. Where the queue never empties nothing shows that; there the run's oldest message
 * goes again under its old number once everything in front of it must be done: no message loses its place by it, and should
 * that copy be the first to come up, the others are lost (`anew`).
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

/** What one picture takes of a worker, on average over the runs that go on; the most that it may where that is not known. */
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
 * A run whose planner has not been heard of gets its order again, under its old number: one that is still in line is
 * the same order, and the second of two finds nothing to do. Not while others' steps, which may take two minutes
 * each, are in front of it.
 * @returns whether it was ordered.
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

/** A sign of life, by the first of several who look: what was just ordered gets its time. */
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
 * A new epoch: the messages that were lost are sent again, and count no more should they turn up.
 * @returns false when the run has gone on since it was read.
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
