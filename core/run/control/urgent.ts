import type { Log } from "#core/log";
import * as Cancel from "#core/run/dispatch/cancel";
import * as Order from "#core/run/dispatch/order";
import * as Progress from "#core/run/dispatch/progress";
import { raise } from "#core/run/dispatch/raise";
import * as Window from "#core/run/dispatch/window";

type Stores = Parameters<typeof Window.fill>[0];

/**
 * Does the planner's short steps: the next part of a run's window, or of the sweep after a cancellation. Long steps
 * have their own worker (plan.ts); the two change different states of the run.
 * @throws AppError `storage_unavailable`: the message must come back.
 */
export async function urgent(
  services: Stores,
  { kind, run_uid: runUid }: { kind: Order.Urgent; run_uid: string },
  time: { deadline: number },
  log: Log,
): Promise<void> {
  if (kind === "sweep") {
    const row = await raise(services.db, runUid);
    if (row === undefined || row.state === "deleted") return;
    // Gets a higher number than the order of this step.
    if ((await Cancel.sweep(services, runUid, time, log)) === "more")
      await Order.order(services, row, kind, log);
    return;
  }
  const row = await Window.fill(services, runUid, log);
  if (row === undefined) return;
  // The run was canceled, or its last item ended while the queue accepted no orders.
  const outlook = await Progress.read(services.db, runUid);
  if (outlook !== undefined && outlook.inFlight === 0 && !outlook.unsent)
    await Progress.duties(services, outlook, log);
}
