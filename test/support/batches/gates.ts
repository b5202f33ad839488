/** Holds requests at named places until their processes are killed. */

/** A request that is held, and is the last one of its process. */
interface Gate {
  readonly filled: PromiseWithResolvers<void>;
  readonly released: PromiseWithResolvers<void>;
  taken: boolean;
}

export class Gates<Place> {
  readonly #gates = new Map<Place, Gate>();
  /** Where requests wait that came to the model server while all were held. */
  #gathered: PromiseWithResolvers<void> | undefined;
  #held = 0;

  /** Requests that wait at a gate or were gathered. */
  get held(): number {
    return this.#held;
  }

  /** Holds the next request of each place. @returns when all of them are held. */
  async hold(places: readonly Place[]): Promise<void> {
    for (const place of places)
      this.#gates.set(place, {
        filled: Promise.withResolvers(),
        released: Promise.withResolvers(),
        taken: false,
      });
    await Promise.all(places.map((place) => this.#gates.get(place)?.filled.promise));
  }

  /** From here on `waitIfGathered` holds. */
  gather(): void {
    this.#gathered = Promise.withResolvers();
  }

  /** True if the request was held at a gate; its process is dead by now. */
  async waitAt(place: Place): Promise<boolean> {
    const gate = this.#gates.get(place);
    if (gate === undefined || gate.taken) return false;
    gate.taken = true;
    gate.filled.resolve();
    await this.#hold(gate.released.promise);
    return true;
  }

  /** True if all requests were held; its process is dead by now. */
  async waitIfGathered(): Promise<boolean> {
    if (this.#gathered === undefined) return false;
    await this.#hold(this.#gathered.promise);
    return true;
  }

  /** Lets all requests go. @returns the places that had a gate. */
  release(): Place[] {
    const places = [...this.#gates.keys()];
    for (const { released } of this.#gates.values()) released.resolve();
    this.#gates.clear();
    this.#gathered?.resolve();
    this.#gathered = undefined;
    return places;
  }

  async #hold(released: Promise<void>): Promise<void> {
    this.#held += 1;
    await released;
    this.#held -= 1;
  }
}
