import { from } from "#core/error";
import type * as Lease from "#core/lease/lease";
import type { Log } from "#core/log";
import type { Times } from "#spec/limits";

/** A message that is worked on, and how long there is for it. */
export interface Job extends Lease.Held {
  /** Epoch milliseconds at which the model call is cut off. */
  deadline: number;
  receiveCount: number;
  /** Settled when the message stays invisible until the lease has ended, or for as long as the queue itself says. */
  held: Promise<void>;
  /** Keeps the message invisible for this long from now. */
  hold(ms: number): Promise<void>;
}

/**
 * Storage is away, which costs the work nothing: the claim is given back if that is possible, and the message waits, longer
 * at every receive.
 * @param unclaim - gives the claim back; false: it is not ours any more, and nothing is left to wait for.
 * @param event - logged when the claim cannot be given back: lease and visibility then last as long as they began with.
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
