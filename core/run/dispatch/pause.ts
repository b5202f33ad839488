import { sql } from "drizzle-orm";
import * as Probe from "#core/breaker/probe";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import { type RunRow, runTable as run, runsBy } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import * as Order from "./order.ts";
import { nextNumber } from "./raise.ts";

/**
 * The statement that pauses a run for an outage. Its messages belong to an old epoch then, so they are dropped when
 * they are received. If several workers see the outage, one of them pauses the run.
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

/** Pauses the run and starts the probe of the model server. @throws AppError `storage_unavailable`. */
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

/** True if a run waits for the model server. */
export async function anyWaits(db: Database.Db): Promise<boolean> {
  const query = Database.statement(sql`SELECT 1 ${waitingRuns} LIMIT 1`);
  const [found] = await Database.batch(db, [query], "read");
  return (found?.rows.length ?? 0) > 0;
}

const chunk = 100;

/**
 * Resumes every run that waits for the model server. If a crash loses the order of a resumed run, reconcile orders it
 * again.
 * @returns the number of runs.
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
