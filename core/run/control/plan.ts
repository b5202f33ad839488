import type { Log } from "#core/log";
import * as Order from "#core/run/dispatch/order";
import * as Progress from "#core/run/dispatch/progress";
import { raise } from "#core/run/dispatch/raise";
import * as Finish from "#core/run/results/finish";
import type { RunRow } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import * as Check from "#core/run/source/check";
import * as Remove from "./remove.ts";
import { urgent } from "./urgent.ts";

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
  // Orders of a version that had one queue for all of them.
  if (Order.isUrgent(kind)) return urgent(services, { kind, run_uid: runUid }, time, log);
  const row = await raise(services.db, runUid);
  if (row === undefined || row.state === "deleted") return;
  if (kind === "plan") return check(services, row, time, log);
  const outcome =
    kind === "finish"
      ? await Finish.step(services, row, time, log)
      : await Remove.step(services, row, time, log);
  // Numbered higher than what this step was ordered with.
  if (outcome === "more") await Order.order(services, row, kind, log);
}

/** Checks what is not checked; the window of a run that is running then is filled elsewhere. */
async function check(services: RunStores, row: RunRow, time: { deadline: number }, log: Log): Promise<void> {
  if (row.state === "planning" && row.planning !== null) {
    const outcome = await Check.step(services, row, time, log);
    if (outcome === "more") return Order.order(services, row, "plan", log);
    if (outcome === "failed") return;
  }
  const outlook = await Progress.read(services.db, row.runUid);
  if (outlook?.run.state === "running") return Order.order(services, outlook.run, "refill", log);
  // A run that was canceled meanwhile.
  if (outlook !== undefined && outlook.inFlight === 0 && !outlook.unsent)
    await Progress.duties(services, outlook, log);
}
