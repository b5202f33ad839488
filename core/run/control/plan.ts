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
 * Does one step of a run's planner. A step may be repeated: it reads the run's state and does not trust the order.
 * Before its time is over it orders the next step.
 * @throws AppError `storage_unavailable`: the message must come back.
 */
export async function plan(
  services: RunStores,
  message: Order.PlanMessage,
  time: { deadline: number },
  log: Log,
): Promise<void> {
  const { kind, run_uid: runUid } = message;
  // An order from an earlier version, which had one queue for all orders.
  if (Order.isUrgent(kind)) {
    const { db, queues, times, itemConcurrency } = services;
    return urgent({ db, queues, times, itemConcurrency }, { kind, run_uid: runUid }, time, log);
  }
  const row = await raise(services.db, runUid);
  if (row === undefined || row.state === "deleted") return;
  if (kind === "plan") return check(services, row, time, log);
  const outcome =
    kind === "finish"
      ? await Finish.step(services, row, time, log)
      : await Remove.step(services, row, time, log);
  // Gets a higher number than the order of this step.
  if (outcome === "more") await Order.order(services, row, kind, log);
}

/** Checks the source if that is not done. If the run is running afterwards, another step fills its window. */
async function check(services: RunStores, row: RunRow, time: { deadline: number }, log: Log): Promise<void> {
  if (row.state === "planning" && row.planning !== null) {
    const outcome = await Check.step(services, row, time, log);
    if (outcome === "more") return Order.order(services, row, "plan", log);
    if (outcome === "failed") return;
  }
  const outlook = await Progress.read(services.db, row.runUid);
  if (outlook?.run.state === "running") return Order.order(services, outlook.run, "refill", log);
  // The run was canceled in the meantime.
  if (outlook !== undefined && outlook.inFlight === 0 && !outlook.unsent)
    await Progress.duties(services, outlook, log);
}
