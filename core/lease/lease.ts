import { AppError, from } from "#core/error";
import type { Log } from "#core/log";

/**
 * How work is held whose message was received: a row's lease and the message's invisibility, both short, so that a kill
 * costs no more than they last; and renewed while the work goes on, so that it may take longer. Made by who received
 * the message (functions/worker.ts).
 */
export interface Held {
  startedAt: number;
  /** Until when the work cannot be taken over: what the claim writes into the row. */
  leaseUntil: Date;
  renewal: Renewal;
}

interface Renewal {
  /** The pause from one renewal to the next; work that is over by then renews nothing. */
  everyMs: number;
  /** The pause after one that failed. */
  retryMs: number;
  /** Epoch milliseconds after which none begins: what is left of the invocation is for writing down the end. */
  lastAt: number;
  /** Until when a lease lasts that is renewed at `now`. Not beyond the invocation's end: then it is not renewed any more. */
  until(now: number): number;
  /** Keeps the message invisible until a little later than that. */
  hold(until: number): Promise<void>;
}

/**
 * Does `work` while its lease is renewed, row and message beside each other: one statement and one call to the queue
 * each `everyMs`, and nothing at all for work that is done before. When it returns or throws, no timer and no renewal
 * is left behind: an instance is frozen after its invocation, and would go on with them in the next one.
 *
 * A renewal that fails is tried again and ends nothing: the row's lease alone decides, and it is believed in for as
 * long as it was last known to run. Then, or when the row says that it is not ours any more, `work`'s signal aborts,
 * and what it returns or throws after that counts for nothing.
 * @param renew - moves the end of the row's lease if it is still ours; false: it is not.
 * @returns what `work` returns; undefined when another worker has the work, and ends it.
 * @throws AppError `storage_unavailable` when the lease ran out because it could not be renewed: the message
 *   must come back; and whatever `work` throws.
 */
export async function during<T extends object>(
  { startedAt, leaseUntil, renewal }: Held,
  renew: (until: Date) => Promise<boolean>,
  log: Log,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const lost = new AbortController();
  let why: "taken" | "over" | undefined;
  let stopped = false;
  let until = leaseUntil.getTime();
  /** The message is not known to be invisible for as long as the lease runs. */
  let behind = false;
  let next: NodeJS.Timeout | undefined;
  let end: NodeJS.Timeout | undefined;
  let renewing: Promise<void> | undefined;

  const lose = (reason: NonNullable<typeof why>) => {
    if (stopped) return;
    stopped = true;
    why = reason;
    log.warn("lease_lost", { reason });
    lost.abort(new Error(`the lease is ${reason}`));
  };
  const watch = () => {
    clearTimeout(end);
    end = setTimeout(() => lose("over"), Math.max(0, until - Date.now()));
  };
  const plan = (ms: number) => {
    next = setTimeout(() => {
      renewing = once();
    }, ms);
  };
  /** Never rejects. */
  const once = async () => {
    const now = Date.now();
    const wanted = renewal.until(now);
    if (stopped || now > renewal.lastAt || (wanted <= until && !behind)) return;
    const [row, message] = await Promise.allSettled([renew(new Date(wanted)), renewal.hold(wanted)]);
    if (stopped) return;
    if (row.status === "fulfilled") {
      if (!row.value) return lose("taken");
      until = wanted;
      watch();
    }
    behind = message.status === "rejected";
    const failed = [row, message].flatMap((each) => (each.status === "rejected" ? [from(each.reason)] : []));
    for (const error of failed) log.warn("lease_not_renewed", { code: error.code });
    // Only an outage passes: a message that was delivered again has another handle, and the row says
    // whose work it is.
    plan(failed.some(({ code }) => code === "storage_unavailable") ? renewal.retryMs : renewal.everyMs);
  };

  watch();
  plan(Math.max(0, startedAt + renewal.everyMs - Date.now()));
  let done: T | undefined;
  try {
    done = await work(lost.signal);
  } catch (thrown) {
    if (why === undefined) throw thrown;
  } finally {
    stopped = true;
    clearTimeout(next);
    clearTimeout(end);
    // It must not end after something that is written next, and undo it.
    await renewing;
  }
  if (why === "over")
    throw new AppError("storage_unavailable", "the lease of this work could not be renewed", {
      retryAfterS: 2,
    });
  return why === undefined ? done : undefined;
}
