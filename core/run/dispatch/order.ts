import * as z from "zod";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Queue from "#core/queue/queue";
import type { RunRow } from "#core/run/run.sql";

/** Short orders, which must not wait behind steps of two minutes: they have a queue and workers of their own. */
const urgentKinds = ["refill", "sweep"] as const;
export type Urgent = (typeof urgentKinds)[number];

/**
 * What the planner can be ordered to do. The run is the message group, so each queue has one order of a run at a
 * time.
 */
const kinds = ["plan", ...urgentKinds, "finish", "delete"] as const;
export type Kind = (typeof kinds)[number];

export const isUrgent = (kind: Kind): kind is Urgent => urgentKinds.some((each) => each === kind);

/** The body of a message in the `plan` queue. */
export const PlanMessage = z.object({ kind: z.enum(kinds), run_uid: z.string() });
export type PlanMessage = z.output<typeof PlanMessage>;

/** The body of a planner's message in the `urgent` queue. */
export const UrgentMessage = z.object({ kind: z.enum(urgentKinds), run_uid: z.string() });

/**
 * Orders the planner. Two orders of the same kind and `planN` count as one: the planner raises the number before it
 * reads anything, so it sees every change that was made under the old number.
 * @throws AppError `storage_unavailable`; reconcile orders again.
 */
export async function order(
  services: { queues: Queue.Queues },
  run: Pick<RunRow, "runUid" | "epoch" | "planN">,
  kind: Kind,
  log: Log,
): Promise<void> {
  const body: PlanMessage = { kind, run_uid: run.runUid };
  const message = {
    body,
    group: run.runUid,
    deduplicationId: `${run.runUid}.${run.epoch}.${kind}.${run.planN}`,
  };
  const queue = isUrgent(kind) ? "urgent" : "plan";
  const taken = await Queue.sendFifo(services.queues, queue, [message], log);
  if (taken.size === 0)
    throw new AppError("storage_unavailable", "the queue did not take the order", { retryAfterS: 2 });
}
