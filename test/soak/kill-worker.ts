import { createClient } from "@libsql/client";
import { expect } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { extractTable } from "#core/extraction/extract.sql";
import { product } from "#local/app";
import * as Functions from "#spec/functions";
import { bucketOf, reader, totalOf } from "#test/soak/parallel";
import { startLoop, type TestLoop } from "#test/support/loop";
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

/** A loop whose queue worker can be killed at any of its steps. */
export interface Victim {
  readonly loop: TestLoop;
  readonly model: ModelServer.ModelServer;
  /**
   * Hands one extract to the queue and kills the worker's process the first `kills` times that it reaches `window`.
   * @returns how often the model was asked, and the row after the extract has ended.
   */
  run(window: Window, kills?: number): Promise<{ asked: number; row: Row }>;
  close(): Promise<void>;
}
type Row = typeof extractTable.$inferSelect;

/** Starts the loop with a short timeout of the worker; everything else is the product's own. */
export async function start(): Promise<Victim> {
  const model = await ModelServer.start({ model: "scripted" });
  let at: (window: Window) => boolean = () => false;
  // The call's own commit looks the same on the wire; the worker's follows its put.
  let hasPut = false;
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
    onRequest: {
      s3: ({ operation, key }) => {
        const window =
          operation === "PutObject" && key.startsWith("extracts/")
            ? "put"
            : operation === "DeleteObject"
              ? "input delete"
              : undefined;
        if (window !== undefined && at(window)) return { status: 0 };
        hasPut ||= window === "put";
        return undefined;
      },
      sql: ({ statements }) => {
        const window =
          statements === claimStatements
            ? "claim"
            : statements === commitStatements && hasPut
              ? "commit"
              : undefined;
        if (window !== undefined && at(window)) throw new Error("the caller is dead");
      },
    },
  });
  const db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
  const bucket = bucketOf(loop);
  let count = 0;

  /** True when a worker was there and is dead now. */
  const kill = () => {
    const busy = loop.lambda
      .instances()
      .find(({ functionName, state }) => functionName === "single" && state === "busy");
    return busy !== undefined && loop.lambda.killInstance(busy.pid);
  };

  return {
    loop,
    model,
    run: async (window, kills = 1) => {
      count += 1;
      const id = `worker-${window.replace(" ", "-")}-${count}`;
      const picture = await base64(5_000 + count);
      const before = model.requests.length;
      let killed = 0;
      hasPut = false;
      at = (step) => {
        if (step !== window || killed >= kills || !kill()) return false;
        killed += 1;
        return true;
      };
      model.respond = (request, n) => {
        if (at("model")) return { kind: "hang" };
        return reader(20)(request, n);
      };
      try {
        const answer = await loop.call("/v1/extract", {
          // The look is off, because it would only take time on a busy machine; the test kills the work of the queue.
          json: { image_base64: picture, request_id: id, look: false },
          headers: { prefer: "respond-async" },
        });
        expect(answer.status, answer.text).toBe(202);
        const row = async () => {
          const [found] = (await db.query.select().from(extractTable)).filter((one) => one.requestId === id);
          return found;
        };
        const status = async () => {
          const now = await row();
          return now?.status !== "queued" && now?.status !== "running" && now?.input === null;
        };
        await expect.poll(status, { timeout: 40_000 + kills * 20_000, interval: 100 }).toBe(true);
        expect(killed).toBe(kills);
        const ended = await row();
        if (ended === undefined) throw new Error("the row is gone");
        const keys = await Bucket.list(bucket, silent, { prefix: "" });
        const own = keys.objects.map(({ rel }) => rel).filter((rel) => rel.includes(id));
        if (ended.status === "succeeded") {
          // One artifact at the extract's own key, and no copy of the picture. The record of an attempt that ran out
          // of time on a busy machine is kept beside it.
          expect(own.filter((rel) => !rel.includes("~attempt-"))).toEqual([ended.artifactRel]);
          expect((await loop.call(`/v1/extracts/${id}`)).body).toMatchObject({
            request_id: id,
            status: "succeeded",
            result: { total: totalOf(Buffer.from(picture, "base64")) },
          });
        }
        expect(own.filter((rel) => rel.startsWith("inputs/"))).toEqual([]);
        return { asked: model.requests.length - before, row: ended };
      } finally {
        at = () => false;
      }
    },
    close: async () => {
      bucket.client.destroy();
      db.client.close();
      await loop.close();
      await model.close();
    },
  };
}
