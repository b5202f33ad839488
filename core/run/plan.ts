import { eq, sql } from "drizzle-orm";
import * as Database from "#core/db/client";
import type { Log } from "#core/log";
import * as Cancel from "./cancel.ts";
import * as Check from "./check.ts";
import * as Finish from "./finish.ts";
import * as Order from "./order.ts";
import * as Outlooks from "./outlook.ts";
import * as Remove from "./remove.ts";
import { type RunRow, runTable as run } from "./run.sql.ts";
import type { RunStores } from "./services.ts";
import * as Window from "./window.ts";

/**
 * One step of a run's planner. Steps are repeatable, look at the run instead of trusting the order, and hand over to
 * themselves before their time is over.
 * @throws AppError `storage_unavailable`: the message must come back.
 */
export async function plan(
  services: RunStores,
  message: Order.PlanMessage,
  time: { deadline: number },
  log: Log,
): Promise<void> {
  const { kind, run_uid: runUid } = message;
  if (kind === "plan" || kind === "refill") return fill(services, runUid, time, log);
  const row = await raise(services.db, runUid);
  if (row === undefined || row.state === "deleted") return;
  const outcome =
    kind === "sweep"
      ? await Cancel.sweep(services, runUid, time, log)
      : kind === "finish"
        ? await Finish.step(services, row, time, log)
        : await Remove.step(services, row, time, log);
  // Numbered higher than what this step was ordered with.
  if (outcome === "more") await Order.order(services, row, kind, log);
}

/** Checks what is not checked, then fills the window. */
async function fill(
  services: RunStores,
  runUid: string,
  time: { deadline: number },
  log: Log,
): Promise<void> {
  let row = await Window.fill(services, runUid, log);
  if (row?.state === "planning" && row.planning !== null) {
    const outcome = await Check.step(services, row, time, log);
    if (outcome === "more") return Order.order(services, row, "plan", log);
    if (outcome === "failed") return;
    row = await Window.fill(services, runUid, log);
  }
  if (row === undefined) return;
  // A run that was canceled, or whose last item ended while nobody could order anything.
  const outlook = await Outlooks.read(services.db, runUid);
  if (outlook !== undefined && outlook.inFlight === 0 && !outlook.unsent)
    await Outlooks.duties(services, outlook, log);
}

/** The planner's number goes up before anything else is read: see `Order.order`. */
async function raise(db: Database.Db, runUid: string): Promise<RunRow | undefined> {
  const [result] = await Database.batch(db, [
    db.query
      .update(run)
      .set({ planN: sql`${run.planN} + 1`, touchedAt: new Date() })
      .where(eq(run.runUid, runUid))
      .returning(),
  ]);
  return Database.rows(run, result)[0];
}
