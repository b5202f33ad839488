import * as z from "zod";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import { AppError, from } from "#core/error";
import type { Log } from "#core/log";

/*
 * The calls about a long document, stored one after the other beside its artifact, so that interrupted work continues
 * after the last of them (docs/architecture.md, "Documents in steps"). Each object is put only if there is none, so
 * that of two workers one stores the call. The objects together are the work so far.
 *
 * open(…)    what earlier workers stored
 * next(…)    the outcome of a call that was made before
 * add(…)     a call that was made now
 * flush(…)   stores it; called before the next call is made, so that a crash loses one call at most
 * remove(…)  the work has ended
 */

/** The owner of the steps. */
export interface Identity {
  keyId: string;
  requestId: string;
  createdAt: Date;
  /** The fencing token. */
  token: number;
  payloadHash: string;
}

/** How long one invocation works before it hands over to the next. */
export interface Limits {
  calls: number;
  /** Epoch milliseconds after which no call begins; a call that has begun may finish. */
  until: number;
}

/** Thrown in place of the next call: the worker hands over to itself. */
export class StepOver extends Error {
  override readonly name = "StepOver";
}

/** Another worker stored a call in place of ours. This worker starts its step again, from the stored calls. */
export class Overtaken extends AppError {
  constructor() {
    super("storage_unavailable", "another worker has gone on with this document", { retryAfterS: 2 });
  }
}

/** The version of a stored object; objects of another version are ignored. */
const version = 1;

interface Step<Call, Plan> {
  version: typeof version;
  payload_hash: string;
  token: number;
  /** How many calls were stored before. */
  after: number;
  /** What is to be asked for, one part per call; stored with the first call. */
  plan?: Plan;
  calls: Call[];
}

const Recognized = z.looseObject({
  version: z.literal(version),
  payload_hash: z.string(),
  token: z.int(),
  after: z.int(),
  calls: z.array(z.looseObject({})).min(1),
});

/** `Call`: what is stored of a call; `Plan`: what is to be asked for. Both as JSON. */
export class Steps<Call extends { imageMs: number; inferenceMs: number }, Plan> {
  /** Undefined until the first call was stored. */
  plan: Plan | undefined;
  readonly #bucket: Bucket.Bucket;
  readonly #log: Log;
  readonly #identity: Identity;
  readonly #limits: Limits | undefined;
  /** Stored calls of earlier workers, which are reused in order. */
  #known: Call[] = [];
  /** How many of these were reused. */
  #taken = 0;
  /** Calls of this worker that are not stored yet. */
  #pending: Call[] = [];
  #stored = 0;
  /** The number of calls that this worker made. */
  #made = 0;
  #isUsable = true;

  private constructor(bucket: Bucket.Bucket, log: Log, identity: Identity, limits: Limits | undefined) {
    this.#bucket = bucket;
    this.#log = log;
    this.#identity = identity;
    this.#limits = limits;
  }

  /**
   * @param limits - undefined: the worker does not hand over to itself.
   * @throws AppError `storage_unavailable`.
   */
  static async open<Call extends { imageMs: number; inferenceMs: number }, Plan>(
    bucket: Bucket.Bucket,
    log: Log,
    identity: Identity,
    limits: Limits | undefined,
  ): Promise<Steps<Call, Plan>> {
    const steps = new Steps<Call, Plan>(bucket, log, identity, limits);
    // With the first token no worker had the document before.
    if (identity.token > 1) await steps.#load();
    return steps;
  }

  /** How many calls are stored; the calls of an attempt have the numbers up to this. */
  get stored(): number {
    return this.#stored;
  }

  /** The time of calls that other workers made. */
  get earlierMs(): number {
    return this.#known.reduce((sum, { imageMs, inferenceMs }) => sum + imageMs + inferenceMs, 0);
  }

  /** The call that is to be taken up next. */
  get next(): Call | undefined {
    return this.#known[this.#taken];
  }

  take(): void {
    this.#taken += 1;
  }

  /** The stored calls do not match the work: they cannot be reused, and no more are stored. */
  abandon(): void {
    if (!this.#isUsable) return;
    this.#log.warn("steps_abandoned", { calls: this.#known.length - this.#taken });
    this.#known.length = this.#taken;
    this.#isUsable = false;
  }

  add(call: Call): void {
    this.#pending.push(call);
    this.#made += 1;
  }

  /** True if the worker will hand over to itself before another call. */
  get isOver(): boolean {
    const { calls = Number.POSITIVE_INFINITY, until = Number.POSITIVE_INFINITY } = this.#limits ?? {};
    return this.#isUsable && this.#made > 0 && (this.#made >= calls || Date.now() >= until);
  }

  /** True if this is the last call of this worker. */
  get willBeOver(): boolean {
    return this.#isUsable && this.#made + 1 >= (this.#limits?.calls ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Stores the new calls, before another call is made. In an outage of the bucket the work continues, and they are
   * stored with the next call.
   * @throws StepOver if another worker is to make the next call; Overtaken.
   */
  async flush(plan: Plan): Promise<void> {
    if (this.#isUsable && this.#pending.length > 0) await this.#put(plan);
    if (this.isOver && this.#pending.length === 0) throw new StepOver();
  }

  async #put(plan: Plan): Promise<void> {
    const { payloadHash, token } = this.#identity;
    const after = this.#stored;
    const step: Step<Call, Plan> = {
      ...{ version, payload_hash: payloadHash, token, after },
      ...(after === 0 ? { plan } : {}),
      calls: this.#pending,
    };
    const rel = this.#relOf(after);
    try {
      const content = { body: JSON.stringify(step), contentType: "application/json" };
      if ((await Bucket.put(this.#bucket, this.#log, rel, content)) === "taken") await this.#judge(rel);
    } catch (thrown) {
      if (thrown instanceof Overtaken) throw thrown;
      this.#log.warn("step_not_stored", { code: from(thrown).code });
      return;
    }
    if (!this.#isUsable) return;
    this.#stored += this.#pending.length;
    this.#pending = [];
  }

  /** Who wrote the object at our key: a repeated put of our own, another worker, or a foreign writer. */
  async #judge(rel: string): Promise<void> {
    const step = await this.#read(rel);
    const { payloadHash, token } = this.#identity;
    if (step !== undefined && step.payload_hash === payloadHash) {
      if (step.token === token && step.calls.length === this.#pending.length) return;
      throw new Overtaken();
    }
    this.abandon();
  }

  #relOf(after: number): string {
    const { keyId, requestId, createdAt } = this.#identity;
    return Place.stepKey(keyId, requestId, createdAt, after + 1);
  }

  async #load(): Promise<void> {
    const found = await listed(this.#bucket, this.#log, this.#identity);
    for (const rel of found) {
      const step = await this.#read(rel);
      if (step === undefined || step.payload_hash !== this.#identity.payloadHash) {
        this.#isUsable = false;
        break;
      }
      if (step.after !== this.#known.length) break;
      this.plan ??= step.plan;
      this.#known.push(...step.calls);
    }
    this.#stored = this.#known.length;
    if (this.#stored > 0) this.#log.info("steps_taken_up", { calls: this.#stored });
  }

  /** Undefined for an object that is not a step of this version. @throws AppError `storage_unavailable`. */
  async #read(rel: string): Promise<Step<Call, Plan> | undefined> {
    const bytes = await Bucket.get(this.#bucket, this.#log, rel);
    try {
      const text = new TextDecoder().decode(bytes);
      return Recognized.parse(JSON.parse(text)) as unknown as Step<Call, Plan>;
    } catch {
      return undefined;
    }
  }
}

/**
 * Removes the steps of work that has ended. The census removes what is left after a failure or a crash.
 * @param which.token - the first claim has none, unless calls were stored since.
 */
export async function remove(
  bucket: Bucket.Bucket,
  log: Log,
  identity: Pick<Identity, "keyId" | "requestId" | "createdAt">,
): Promise<void> {
  try {
    const rels = await listed(bucket, log, identity);
    await Promise.all(rels.map((rel) => Bucket.remove(bucket, log, rel)));
  } catch (thrown) {
    log.warn("steps_not_removed", { code: from(thrown).code });
  }
}

/** In the order in which they were stored; at most one page of a listing, which no document has. */
async function listed(
  bucket: Bucket.Bucket,
  log: Log,
  { keyId, requestId, createdAt }: Pick<Identity, "keyId" | "requestId" | "createdAt">,
): Promise<string[]> {
  const prefix = Place.stepPrefix(keyId, requestId, createdAt);
  const { objects } = await Bucket.list(bucket, log, { prefix });
  return objects.map(({ rel }) => rel).sort();
}
