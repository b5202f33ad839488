/** Times in which a store is unavailable. */
import { setTimeout as sleep } from "node:timers/promises";

type Store = "database" | "bucket" | "deletes";

interface Outage {
  readonly hit: PromiseWithResolvers<void>;
  begun: boolean;
}

export class Outages {
  readonly #outages = new Map<Store, Outage>();

  /** Starts with a commit, put or delete, because a fault that affects no request would prove nothing. */
  async take(store: Store, ms: number): Promise<void> {
    const outage = { hit: Promise.withResolvers<void>(), begun: false };
    this.#outages.set(store, outage);
    await outage.hit.promise;
    await sleep(ms);
    this.#outages.delete(store);
  }

  /** True during the outage, which begins with the first request that matters. */
  isAway(store: Store, matters: boolean): boolean {
    const outage = this.#outages.get(store);
    if (outage === undefined) return false;
    if (matters && !outage.begun) {
      outage.begun = true;
      outage.hit.resolve();
    }
    return outage.begun;
  }
}
