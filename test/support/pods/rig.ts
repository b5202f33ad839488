import { and, eq, sql } from "drizzle-orm";
import * as Address from "#core/breaker/address";
import * as Breaker from "#core/breaker/breaker";
import type * as Config from "#core/config";
import { podSessionTable } from "#core/cost/pod-session.sql";
import * as Database from "#core/db/database";
import { extractTable as extract } from "#core/extraction/extract.sql";
import type { Fields, Log } from "#core/log";
import type { Manager } from "#core/pod/manager";
import { tick } from "#core/pod/manager";
import { podTable } from "#core/pod/pod.sql";
import * as Runpod from "#core/pod/runpod";
import type { PodManager } from "#core/pod/settings";
import * as Usage from "#core/usage/usage";
import { probe } from "#core/vision/probe";
import * as Limits from "#spec/limits";
import * as RunStores from "#test/support/run-stores";
import * as Cloud from "./cloud.ts";

/*
 * The manager of the pod with a database, queues, RunPod and model servers of its own, all over their real protocols, and
 * with extracts as its work. Its clock is the cloud's, which only `turn` turns: the manager is called as each minute's
 * function calls it, and four workers take what waits while the breaker lets them.
 */

const second = 1_000;
export const minute = 60 * second;
export const hour = 60 * minute;
const slots = 4;

export interface Rig {
  cloud: Cloud.Cloud;
  manager: Manager;
  db: RunStores.Stores["services"]["db"];
  /** Lines of the log. */
  events: { event: string; [field: string]: unknown }[];
  /** What must never happen, and did. */
  faults: string[];
  /** Extracts that wait for the model server. */
  arrive(items: number, itemMs?: number): Promise<void>;
  turn(ms: number): Promise<void>;
  /** Turns until the condition holds, for `mostMs` at most. */
  until(is: () => boolean | Promise<boolean>, mostMs?: number): Promise<void>;
  row(): Promise<typeof podTable.$inferSelect | undefined>;
  state(): Promise<string | undefined>;
  sessions(): Promise<(typeof podSessionTable.$inferSelect)[]>;
  left(): number;
  check(): Promise<void>;
  alarms(): string[];
  close(): Promise<void>;
}

interface Flight {
  requestId: string;
  endsAt: number;
  pod: string;
}

export async function open(pods: string[] = ["a"], more: Partial<PodManager> = {}): Promise<Rig> {
  const [stores, cloud] = await Promise.all([RunStores.open(), Cloud.start({ pods })]);
  const events: Rig["events"] = [];
  const settings: PodManager = {
    ...{ provider: "runpod", apiKey: Cloud.apiKey, apiUrl: cloud.apiUrl, podIds: pods },
    ...{ idleStopMs: 15 * minute, maxHoursPerDay: undefined, maxDollarsPerDay: undefined },
    keepWarm: undefined,
    ...more,
  };
  const write = (event: string, fields: Fields = {}) => void events.push({ ...fields, event });
  const log: Log = { info: write, warn: write, error: write, child: () => log };
  const manager: Manager = {
    ...{ settings, log, costPerHour: undefined, model: modelOf(), times: Limits.times() },
    ...{ db: stores.services.db, queues: stores.services.queues },
    provider: proxied(cloud, settings),
    now: () => cloud.now,
  };
  const world = new World(manager, cloud);
  cloud.onOrder = (verb, id) => world.onOrder(verb, id);
  return {
    ...{ cloud, manager, events, faults: world.faults, db: manager.db },
    arrive: (items, itemMs = 20 * second) => world.arrive(items, itemMs),
    turn: (ms) => world.turn(ms),
    until: (is, mostMs = 6 * hour) => world.until(is, mostMs),
    row: () => world.row(),
    state: async () => (await world.row())?.state,
    sessions: () => manager.db.query.select().from(podSessionTable).orderBy(podSessionTable.startedAt),
    left: () => world.left(),
    check: () => world.check(),
    alarms: () => events.filter(({ event }) => event === "pod_alarm").map(({ alarm }) => String(alarm)),
    close: async () => {
      Address.note(undefined);
      await Promise.all([stores.close(), cloud.close()]);
    },
  };
}

/** RunPod's own, but a pod's model server is on this machine. */
function proxied(cloud: Cloud.Cloud, { apiUrl, apiKey }: PodManager): Manager["provider"] {
  const provider = Runpod.provider({ apiUrl, apiKey, timeoutMs: 2_000 });
  return {
    ...provider,
    look: async (id) => ({ ...(await provider.look(id)), address: cloud.addressOf(id) }),
  };
}

const modelOf = (): Config.Model => ({
  ...{ baseUrl: "http://pod.invalid/v1", managed: true, apiKey: undefined, model: "scripted-model" },
  ...{ maxModelLen: undefined, maxTokens: undefined, maxPixels: undefined, profile: undefined },
  ...{ maxImages: 4, look: false, connectTimeoutMs: 500, readTimeoutMs: 2_000 },
});

class World {
  readonly faults: string[] = [];
  readonly #manager: Manager;
  readonly #cloud: Cloud.Cloud;
  #flights: Flight[] = [];
  readonly #itemMs = new Map<string, number>();
  #waiting: string[] = [];
  #next = 0;
  #startsOfOutage = 0;
  #steps = 0;

  constructor(manager: Manager, cloud: Cloud.Cloud) {
    this.#manager = manager;
    this.#cloud = cloud;
  }

  onOrder(verb: string, id: string): void {
    if (verb === "stop" && this.#flights.some(({ pod }) => pod === id))
      this.faults.push(`stop ${id} with work in flight`);
    if (verb === "stop") this.#startsOfOutage = 0;
    if (verb !== "start") return;
    const { status, starts } = this.#cloud.pod(id);
    if (status !== "EXITED") this.faults.push(`start ${id}, which is ${status}`);
    if (starts === "work") this.#startsOfOutage += 1;
    if (this.#startsOfOutage > 1) this.faults.push(`start ${this.#startsOfOutage} of one outage`);
  }

  async arrive(items: number, itemMs: number): Promise<void> {
    for (let i = 0; i < items; i += 1) {
      this.#next += 1;
      const requestId = `e${this.#next}`;
      this.#itemMs.set(requestId, itemMs);
      this.#waiting.push(requestId);
      await this.#manager.db.query.insert(extract).values({
        ...{ keyId: "key-1", requestId, taskId: "receipt_v1", payloadHash: "h", status: "queued" },
        ...{ createdAt: new Date(this.#cloud.now), leaseUntil: new Date(0), token: 1 },
        waitingFor: "model_server",
      });
    }
  }

  /** In steps of ten seconds, as the manager looks while something is going on; once a minute while nothing is. */
  async turn(ms: number): Promise<void> {
    for (const end = this.#cloud.now + ms; this.#cloud.now < end; this.#cloud.now += 10 * second) {
      await this.#manage();
      await this.#work();
      this.#steps += 1;
    }
  }

  #isBusy = true;
  async #manage(): Promise<void> {
    const inMinute = this.#steps % 6;
    if (inMinute > 3 || (inMinute > 0 && !this.#isBusy)) return;
    this.#isBusy = (await tick(this.#manager, "manager")) === "busy";
    if ((await this.row())?.state === "ready") this.#startsOfOutage = 0;
  }

  async until(is: () => boolean | Promise<boolean>, mostMs: number): Promise<void> {
    const end = this.#cloud.now + mostMs;
    while (!(await is())) {
      if (this.#cloud.now >= end) throw new Error(`not so after ${mostMs / minute} minutes`);
      await this.turn(10 * second);
    }
  }

  async row(): Promise<typeof podTable.$inferSelect | undefined> {
    const [row] = await this.#manager.db.query.select().from(podTable);
    return row;
  }

  left(): number {
    return this.#waiting.length + this.#flights.length;
  }

  /** Adds to the faults what happened to the rows that must not. */
  async check(): Promise<void> {
    const rows = await this.#manager.db.query.select().from(extract);
    for (const { attempts, status, requestId } of rows)
      if (attempts > 0 || status === "failed") this.faults.push(`${requestId} counted an attempt`);
    const left = rows.filter(({ status }) => status !== "succeeded").length;
    if (left !== this.left()) this.faults.push(`${left} rows are left, not ${this.left()}`);
  }

  #set(requestId: string, change: Partial<typeof extract.$inferInsert>) {
    const mine = and(eq(extract.keyId, "key-1"), eq(extract.requestId, requestId));
    return this.#manager.db.query.update(extract).set(change).where(mine);
  }

  async #work(): Promise<void> {
    const { now } = this.#cloud;
    for (const { requestId, pod, endsAt } of this.#flights) {
      const isUp = this.#cloud.pod(pod).status === "RUNNING" && this.#cloud.pod(pod).exists;
      if (!isUp) {
        await this.#set(requestId, { status: "queued" });
        this.#waiting.push(requestId);
      } else if (endsAt <= now) await this.#end(requestId);
      else continue;
      this.#flights = this.#flights.filter((one) => one.requestId !== requestId);
      if (!isUp) this.#startsOfOutage = 0;
    }
    if (this.#waiting.length > 0 && (await this.#isOpen())) await this.#claim();
  }

  async #end(requestId: string): Promise<void> {
    await this.#set(requestId, { status: "succeeded" });
    const what = { keyId: "key-1", taskId: "receipt_v1", now: new Date(this.#cloud.now) };
    const used = { promptTokens: 1, completionTokens: 1, modelCalls: 1, modelMs: 1, imageBytes: 1, pages: 1 };
    await Database.batch(this.#manager.db, [Usage.record({ ...what, ...used }, sql`true`)]);
  }

  /** A claim reads the breaker; one that may be closed is probed at the address that was read with it. */
  async #isOpen(): Promise<boolean> {
    const { db, model } = this.#manager;
    const { kind } = await Breaker.state(db);
    if (kind !== "due") return kind === "closed";
    if (!(await probe(Address.at(model))).ok) return false;
    return await Breaker.close(db);
  }

  async #claim(): Promise<void> {
    const { db, model } = this.#manager;
    while (this.#flights.length < slots) {
      const [requestId] = this.#waiting;
      if (requestId === undefined) return;
      const { baseUrl } = Address.at(model);
      const answer = await fetch(`${baseUrl}/chat/completions`, { method: "POST", body: "{}" }).catch(
        () => undefined,
      );
      if (answer?.status !== 200) return await Breaker.trip(db, second);
      this.#waiting.shift();
      const itemMs = this.#itemMs.get(requestId) ?? 0;
      await this.#set(requestId, {
        status: "running",
        leaseUntil: new Date(this.#cloud.now + itemMs + hour),
      });
      const pod = /proxy\/([^/]+)\//.exec(baseUrl)?.[1] ?? "";
      this.#flights.push({ requestId, pod, endsAt: this.#cloud.now + itemMs });
    }
  }
}
