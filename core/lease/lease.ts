import { AppError, from } from "#core/error";
import type { Log } from "#core/log";

/**
 * How a worker holds work after it received the message: by the row's lease and the message's invisibility. Both are
 * short, so that a kill costs no more than they last, and are renewed while the work goes on. Made by the receiver of
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
  /** Epoch milliseconds after which no renewal begins: the rest of the invocation is for storing the result. */
  lastAt: number;
  /** Until when a lease lasts that is renewed at `now`. Not beyond the invocation's end: then it is not renewed any more. */
  until(now: number): number;
  /** Keeps the message invisible until a little later than that. */
  hold(until: number): Promise<void>;
}

/**
 * Does `work` while its lease is renewed, row and message in parallel: one statement and one call to the queue every
 * `everyMs`, and none for work that ends before. When it returns or throws, no timer and no renewal is left: an
 * instance is frozen after its invocation, and would continue them in the next one.
 *
 * A failed renewal is tried again and ends nothing: only the row's lease decides, and it counts until its last known
 * end. Then, or if the row belongs to another worker, `work`'s signal aborts, and its result is ignored.
 * @param renew - extends the row's lease; false if the claim was lost.
 * @returns what `work` returns; undefined if another worker has the work.
 * @throws AppError `storage_unavailable` if the lease ended because it could not be renewed: the message must come
 *   back; and whatever `work` throws.
 */
export async function during<T extends object>(
  { startedAt, leaseUntil, renewal }: Held,
  renew: (until: Date) => Promise<boolean>,
  log: Log,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const lease = new Lease({ leaseUntil, renewal, renew, log });
  lease.begin(Math.max(0, startedAt + renewal.everyMs - Date.now()));
  let done: T | undefined;
  try {
    done = await work(lease.lost.signal);
  } catch (thrown) {
    if (lease.why === undefined) throw thrown;
  } finally {
    await lease.stop();
  }
  if (lease.why === "over")
    throw new AppError("storage_unavailable", "the lease of this work could not be renewed", {
      retryAfterS: 2,
    });
  return lease.why === undefined ? done : undefined;
}

/** The timers of one lease: the next renewal, and the lease's end. */
class Lease {
  readonly lost = new AbortController();
  /** Why the lease was lost: another worker has the work, or it ran out. */
  why: "taken" | "over" | undefined;
  readonly #renewal: Renewal;
  readonly #renew: (until: Date) => Promise<boolean>;
  readonly #log: Log;
  #until: number;
  #stopped = false;
  /** True if the message may become visible before the lease ends. */
  #behind = false;
  #next: NodeJS.Timeout | undefined;
  #end: NodeJS.Timeout | undefined;
  #renewing: Promise<void> | undefined;

  constructor(from: Omit<Held, "startedAt"> & { renew: (until: Date) => Promise<boolean>; log: Log }) {
    this.#renewal = from.renewal;
    this.#renew = from.renew;
    this.#log = from.log;
    this.#until = from.leaseUntil.getTime();
  }

  begin(firstMs: number): void {
    this.#watch();
    this.#plan(firstMs);
  }

  /** Resolves when no renewal is under way: a later one would undo what is written next. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#next);
    clearTimeout(this.#end);
    await this.#renewing;
  }

  #lose(reason: "taken" | "over"): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.why = reason;
    this.#log.warn("lease_lost", { reason });
    this.lost.abort(new Error(`the lease is ${reason}`));
  }

  #watch(): void {
    clearTimeout(this.#end);
    this.#end = setTimeout(() => this.#lose("over"), Math.max(0, this.#until - Date.now()));
  }

  #plan(ms: number): void {
    this.#next = setTimeout(() => {
      this.#renewing = this.#once();
    }, ms);
  }

  /** Never rejects. */
  async #once(): Promise<void> {
    const { until, lastAt, hold, everyMs, retryMs } = this.#renewal;
    const now = Date.now();
    const wanted = until(now);
    if (this.#stopped || now > lastAt || (wanted <= this.#until && !this.#behind)) return;
    const [row, message] = await Promise.allSettled([this.#renew(new Date(wanted)), hold(wanted)]);
    if (this.#stopped) return;
    if (row.status === "fulfilled") {
      if (!row.value) return this.#lose("taken");
      this.#until = wanted;
      this.#watch();
    }
    this.#behind = message.status === "rejected";
    const failed = [row, message].flatMap((each) => (each.status === "rejected" ? [from(each.reason)] : []));
    for (const error of failed) this.#log.warn("lease_not_renewed", { code: error.code });
    // Only an outage is worth a quick retry: a message that was delivered again has another handle, and the row
    // says which worker has the work.
    this.#plan(failed.some(({ code }) => code === "storage_unavailable") ? retryMs : everyMs);
  }
}
