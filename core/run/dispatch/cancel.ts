import { and, eq, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError, from } from "#core/error";
import type { Log } from "#core/log";
import * as Order from "#core/run/dispatch/order";
import * as Progress from "#core/run/dispatch/progress";
import { itemTable as item, type RunRow, runTable as run } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import { nextNumber } from "./raise.ts";

/** Rows that one step of the sweep ends. */
const chunk = 5_000;

/**
 * Cancels a run by changing its state and epoch. From then on its messages have no effect and no further ones are
 * sent. The planner ends the items that have not begun; items in flight end normally. A repeat has no effect.
 * @throws AppError `conflict` if the run has ended otherwise, `storage_unavailable`.
 */
export async function cancel(
  services: Pick<RunStores, "db" | "queues">,
  runRow: RunRow,
  log: Log,
): Promise<RunRow> {
  const results = await Database.batch(services.db, [
    services.db.query
      .update(run)
      .set({
        state: "canceling",
        epoch: sql`${run.epoch} + 1`,
        planN: nextNumber,
        waitingFor: null,
        touchedAt: new Date(),
      })
      .where(and(eq(run.runUid, runRow.runUid), sql`${run.state} IN ('planning', 'running')`)),
    services.db.query.select().from(run).where(eq(run.runUid, runRow.runUid)),
  ]);
  const now = Database.rows(run, results[1])[0];
  if (now === undefined) throw new AppError("not_found", "there is no run with this id");
  if (now.state === "canceling") {
    try {
      await Order.order(services, now, "sweep", log);
    } catch (thrown) {
      // It is already canceled, and reconcile completes it.
      log.warn("order_failed", { code: from(thrown).code });
    }
    return now;
  }
  if (now.state === "canceled" || now.state === "finishing") return now;
  throw new AppError("conflict", "this run has ended already", { details: { reason: "run_ended" } });
}

/**
 * Ends the queued items of a canceled run, in chunks. Reconcile ends items whose answer only waits for the bucket.
 * @returns true if there are more.
 */
export async function sweep(
  services: Pick<RunStores, "db" | "queues">,
  runUid: string,
  time: { deadline: number },
  log: Log,
): Promise<"done" | "more"> {
  const { db } = services;
  const open = sql`EXISTS (SELECT 1 FROM ${run} WHERE ${run.runUid} = ${runUid} AND ${run.state} = 'canceling')`;
  for (;;) {
    const now = new Date();
    const results = await Database.batch(db, [
      // A run that was canceled during planning has the items found so far.
      db.query
        .update(run)
        .set({ planning: null, total: sql`(SELECT count(*) FROM item WHERE run_uid = ${runUid})` })
        .where(and(eq(run.runUid, runUid), eq(run.state, "canceling"), sql`${run.planning} IS NOT NULL`)),
      db.query
        .update(item)
        .set({ status: "canceled", endedAt: now, notBefore: null })
        .where(
          and(
            eq(item.runUid, runUid),
            sql`${item.index} IN (SELECT idx FROM item WHERE run_uid = ${runUid} AND status = 'queued'
              AND pending_artifact IS NULL LIMIT ${chunk})`,
            open,
          ),
        ),
      Database.statement(
        sql`UPDATE ${run} SET canceled = canceled + changes(), touched_at = ${now.getTime()} WHERE run_uid = ${runUid}`,
      ),
      ...Progress.outlookStatements(db, runUid),
    ]);
    const outlook = Progress.outlookOf(results);
    if (outlook === undefined || outlook.run.state !== "canceling") return "done";
    if ((results[1]?.rowsAffected ?? 0) === 0) {
      await Progress.duties(services, outlook, log);
      return "done";
    }
    if (Date.now() > time.deadline) return "more";
  }
}
