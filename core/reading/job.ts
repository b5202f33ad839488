import { from } from "#core/error";
import type * as Lease from "#core/lease/lease";
import type { Log } from "#core/log";
import { documents, type Times } from "#spec/limits";
import type * as Steps from "./steps/steps.ts";

/** A message that is worked on, and its time limits. */
export interface Job extends Lease.Held {
  /** Epoch milliseconds at which the model call is cut off. */
  deadline: number;
  receiveCount: number;
  /** Settled when the message stays invisible until the lease ends, or for the queue's own visibility. */
  held: Promise<void>;
  /** Keeps the message invisible for this long from now. */
  hold(ms: number): Promise<void>;
}

/** How long one invocation works on a long document before it hands over to the next. */
export const stepLimits = (
  { stepMs }: Pick<Times, "stepMs">,
  { startedAt }: Pick<Job, "startedAt">,
): Steps.Limits => ({ calls: documents.stepCalls, until: startedAt + stepMs });

/**
 * Handles an outage of the storage, which costs the work nothing: the claim is undone if possible, and the message
 * waits, longer at every receive.
 * @param unclaim - undoes the claim; false if the claim was lost, so that there is nothing to wait for.
 * @param event - logged if the claim cannot be undone: lease and visibility then end as they were set.
 */
export async function waitForStorage(
  times: Pick<Times, "weatherHoldMs" | "weatherHoldMostMs">,
  log: Log,
  job: Pick<Job, "receiveCount" | "hold">,
  { unclaim, event }: { unclaim(): Promise<boolean>; event: string },
): Promise<void> {
  const { weatherHoldMs, weatherHoldMostMs } = times;
  try {
    if (!(await unclaim())) return;
    await job.hold(Math.min(weatherHoldMostMs, weatherHoldMs * 2 ** Math.min(10, job.receiveCount - 1)));
  } catch (thrown) {
    log.warn(event, { code: from(thrown).code });
  }
}
