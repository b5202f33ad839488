import { createClient } from "@libsql/client";
import { expect } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { extractTable } from "#core/extraction/extract.sql";
import { product } from "#local/app";
import * as Functions from "#spec/functions";
import { bucketOf, reader, totalOf } from "#test/soak/parallel";
import { startLoop, type TestLoop, type TestLoopOptions } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";
import { silent } from "#test/support/test-bucket";

/**
 * The worker's 20 s are 5 s here; a killed one's message comes back after 7.5 s, and reconcile runs every 15 s. A call
 * has 6 s: a busy machine may take 3 for the cold start of one.
 */
const timeScale = 1 / 4;
const workerTimeoutMs = 20_000;

/** Statements on the wire: libSQL's client wraps a batch in three of its own. */
const batchStatements = 3;
const claimStatements = 2 + batchStatements;
const commitStatements = 1 + batchStatements;

/** The steps of the worker; it is killed at one of them. */
export const windows = ["claim", "model", "put", "commit", "input delete"] as const;
export type Window = (typeof windows)[number];

type Row = typeof extractTable.$inferSelect;
type Requests = Required<NonNullable<TestLoopOptions["onRequest"]>>;

/** Says when the worker's next step is one at which it dies. */
class Killer {
  #window: Window | undefined;
  #left = 0;
  #kill: () => boolean = () => false;
  // The call's own commit looks the same on the wire; the worker's follows its put.
  #hasPut = false;
  killed = 0;

  /** @param kill - false when there is no worker that could be killed. */
  arm(window: Window, kills: number, kill: () => boolean): void {
    this.#window = window;
    this.#left = kills;
    this.#kill = kill;
    this.#hasPut = false;
    this.killed = 0;
  }

  disarm(): void {
    this.#window = undefined;
  }

  /** True when a worker was there and is dead now. */
  at(window: Window): boolean {
    if (window !== this.#window || this.killed >= this.#left || !this.#kill()) return false;
    this.killed += 1;
    return true;
  }

  readonly onS3: Requests["s3"] = ({ operation, key }) => {
    const isPut = operation === "PutObject" && key.startsWith("extracts/");
    const window = isPut ? "put" : operation === "DeleteObject" ? "input delete" : undefined;
    if (window !== undefined && this.at(window)) return { status: 0 };
    this.#hasPut ||= isPut;
    return undefined;
  };

  readonly onSql: Requests["sql"] = ({ statements }) => {
    const isCommit = statements === commitStatements && this.#hasPut;
    const window = statements === claimStatements ? "claim" : isCommit ? "commit" : undefined;
    if (window !== undefined && this.at(window)) throw new Error("the caller is dead");
  };
}

/** A loop whose queue worker can be killed at any of its steps. */
export class Victim {
  readonly loop: TestLoop;
  readonly model: ModelServer.ModelServer;
  readonly #killer: Killer;
  readonly #db: Database.Db;
  readonly #bucket: Bucket.Bucket;
  #count = 0;

  constructor(loop: TestLoop, model: ModelServer.ModelServer, killer: Killer) {
    this.loop = loop;
    this.model = model;
    this.#killer = killer;
    this.#db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
    this.#bucket = bucketOf(loop);
  }

  /**
   * Hands one extract to the queue and kills the worker's process the first `kills` times that it reaches `window`.
   * @returns how often the model was asked, and the row after the extract has ended.
   */
  async run(window: Window, kills = 1): Promise<{ asked: number; row: Row }> {
    this.#count += 1;
    const id = `worker-${window.replace(" ", "-")}-${this.#count}`;
    const picture = await base64(5_000 + this.#count);
    const before = this.model.requests.length;
    this.#killer.arm(window, kills, () => this.#kill());
    this.model.respond = (request, n) => {
      if (this.#killer.at("model")) return { kind: "hang" };
      return reader(20)(request, n);
    };
    try {
      const answer = await this.loop.call("/v1/extract", {
        // The look is off, because it would only take time on a busy machine; the test kills the work of the queue.
        json: { image_base64: picture, request_id: id, look: false },
        headers: { prefer: "respond-async" },
      });
      expect(answer.status, answer.text).toBe(202);
      const status = async () => {
        const now = await this.#row(id);
        return now?.status !== "queued" && now?.status !== "running" && now?.input === null;
      };
      await expect.poll(status, { timeout: 40_000 + kills * 20_000, interval: 100 }).toBe(true);
      expect(this.#killer.killed).toBe(kills);
      const row = await this.#row(id);
      if (row === undefined) throw new Error("the row is gone");
      await this.#expectStored(row, totalOf(Buffer.from(picture, "base64")));
      return { asked: this.model.requests.length - before, row };
    } finally {
      this.#killer.disarm();
    }
  }

  async close(): Promise<void> {
    this.#bucket.client.destroy();
    this.#db.client.close();
    await this.loop.close();
    await this.model.close();
  }

  /** True when a worker was there and is dead now. */
  #kill(): boolean {
    const busy = this.loop.lambda
      .instances()
      .find(({ functionName, state }) => functionName === "single" && state === "busy");
    return busy !== undefined && this.loop.lambda.killInstance(busy.pid);
  }

  async #row(id: string): Promise<Row | undefined> {
    return (await this.#db.query.select().from(extractTable)).find((one) => one.requestId === id);
  }

  /**
   * One artifact at the extract's own key, and no copy of the picture. The record of an attempt that ran out of time
   * on a busy machine is kept beside it.
   */
  async #expectStored({ requestId: id, status, artifactRel }: Row, total: string): Promise<void> {
    const keys = await Bucket.list(this.#bucket, silent, { prefix: "" });
    const own = keys.objects.map(({ rel }) => rel).filter((rel) => rel.includes(id));
    if (status === "succeeded") {
      expect(own.filter((rel) => !rel.includes("~attempt-"))).toEqual([artifactRel]);
      expect((await this.loop.call(`/v1/extracts/${id}`)).body).toMatchObject({
        request_id: id,
        status: "succeeded",
        result: { total },
      });
    }
    expect(own.filter((rel) => rel.startsWith("inputs/"))).toEqual([]);
  }
}

/** Starts the loop with a short timeout of the worker; everything else is the product's own. */
export async function start(): Promise<Victim> {
  const model = await ModelServer.start({ model: "scripted" });
  const killer = new Killer();
  const loop = await startLoop({
    timeScale,
    env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" },
    app: {
      ...product,
      functions: {
        ...Functions.functions,
        single: { ...Functions.functions.single, timeoutMs: workerTimeoutMs },
      },
    },
    onRequest: { s3: killer.onS3, sql: killer.onSql },
  });
  return new Victim(loop, model, killer);
}
