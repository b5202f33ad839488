import { sql } from "drizzle-orm";
import * as Probe from "#core/breaker/probe";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import { type RunRow, runTable as run, runsBy } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import * as Order from "./order.ts";
import { nextNumber } from "./raise.ts";

/**
 * The statement by which a run begins to wait for the model server: its messages lose their epoch, so that nothing
 * of it is in the queue but what is dropped when it comes up. Of many workers that saw the outage one pauses it.
 */
export function pauseStatement(
  db: Database.Db,
  row: Pick<RunRow, "runUid">,
  epoch: number,
): Database.Statement {
  return db.query
    .update(run)
    .set({ waitingFor: "model_server", epoch: sql`${run.epoch} + 1`, touchedAt: new Date() })
    .where(sql`${run.runUid} = ${row.runUid} AND ${run.epoch} = ${epoch} AND ${run.state} = 'running'`);
}

/** Pauses the run and makes sure that the model server is looked for. @throws AppError `storage_unavailable`. */
export async function pause(
  services: Pick<RunStores, "db" | "queues" | "times">,
  row: RunRow,
  log: Log,
): Promise<void> {
  await Database.batch(services.db, [pauseStatement(services.db, row, row.epoch)]);
  log.info("run_waiting", { run_id: row.runId, waiting_for: "model_server" });
  await Probe.ensure(services, log);
}

const waitingRuns = sql`FROM ${runsBy("run_waiting")} WHERE state = 'running' AND waiting_for = 'model_server'`;

/** Whether any run waits. */
export async function anyWaits(db: Database.Db): Promise<boolean> {
  const query = Database.statement(sql`SELECT 1 ${waitingRuns} LIMIT 1`);
  const [found] = await Database.batch(db, [query], "read");
  return (found?.rows.length ?? 0) > 0;
}

const chunk = 100;

/**
 * Sends every run on its way that waits for the model server. A run that was resumed without its order (a crash in
 * between) is found by reconcile.
 * @returns how many.
 */
export async function resume(services: Pick<RunStores, "db" | "queues">, log: Log): Promise<number> {
  let resumed = 0;
  for (;;) {
    const [result] = await Database.batch(services.db, [
      services.db.query
        .update(run)
        .set({
          waitingFor: null,
          epoch: sql`${run.epoch} + 1`,
          planN: nextNumber,
          touchedAt: new Date(),
        })
        .where(sql`${run.runUid} IN (SELECT run_uid ${waitingRuns} LIMIT ${chunk})`)
        .returning(),
    ]);
    const rows = Database.rows(run, result);
    for (const row of rows) await Order.order(services, row, "refill", log);
    resumed += rows.length;
    if (rows.length < chunk) return resumed;
  }
}
