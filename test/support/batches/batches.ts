/**
 * A loop with a scripted model server for tests of runs: pictures in the bucket, runs through the API or directly
 * into the database, and what must hold at the end of every run.
 */

import { SQSClient } from "@aws-sdk/client-sqs";
import { createClient } from "@libsql/client";
import { eq } from "drizzle-orm";
import { expect, vi } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import * as Record from "#core/reading/record";
import * as Order from "#core/run/dispatch/order";
import { type ItemRow, itemTable, type RunRow, runTable } from "#core/run/run.sql";
import type { Run } from "#core/run/schema";
import * as Client from "#local/queue/client";
import { startLoop, type TestLoop, type TestLoopOptions } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";

export const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

export class Batches {
  readonly loop: TestLoop;
  readonly model: ModelServer.ModelServer;
  readonly db: Database.Db;
  readonly bucket: Bucket.Bucket;

  constructor(loop: TestLoop, model: ModelServer.ModelServer) {
    this.loop = loop;
    this.model = model;
    this.db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
    this.bucket = Bucket.open(Config.bucketOf(loop.env), 10_000);
  }

  /** Keys for `image_key` of `n` different pictures. */
  async keys(n: number): Promise<string[]> {
    const keys = Array.from({ length: n }, (_, i) => `shared/test/${i}.jpg`);
    for (const [i, key] of keys.entries())
      await Bucket.replace(this.bucket, silent, `data/${key}`, {
        body: await picture(i + 1),
        contentType: "image/jpeg",
      });
    return keys;
  }

  /** `POST /v1/batch_extract` with one item for each key; its answer must be a 202. */
  create({ keys, ...json }: { keys: string[] } & Record<string, unknown>): Promise<Run> {
    return this.made({ manifest: keys.map((image_key) => ({ image_key })), ...json });
  }

  /**
   * `POST /v1/batch_extract`, repeated after a 503 until it is a 202, as callers do: a bucket with a thirtieth of its
   * time is too slow for a cold start on a busy machine.
   */
  async made(json: Record<string, unknown>): Promise<Run> {
    let answered = await this.loop.call("/v1/batch_extract", { json });
    for (let tries = 1; answered.status === 503 && tries < 5; tries += 1)
      answered = await this.loop.call("/v1/batch_extract", { json });
    expect(answered.status, answered.text).toBe(202);
    return answered.body as Run;
  }

  /** A run of `total` items over one picture, directly into the database, and the order to its planner. */
  async seed(run: { runId: string; total: number; concurrency: number; key: string }): Promise<void> {
    await seed(this.db, run);
    await Order.order({ queues: queuesOf(this.loop) }, await this.row(run.runId), "plan", silent);
  }

  async run(runId: string): Promise<Run> {
    const got = await this.loop.call(`/v1/runs/${runId}`);
    expect(got.status, got.text).toBe(200);
    return got.body as Run;
  }

  async row(runId: string): Promise<RunRow> {
    const [row] = await this.db.query.select().from(runTable).where(eq(runTable.runId, runId));
    if (row === undefined) throw new Error(`there is no run ${runId}`);
    return row;
  }

  async items(runId: string): Promise<ItemRow[]> {
    const { runUid } = await this.row(runId);
    const items = this.db.query.select().from(itemTable).where(eq(itemTable.runUid, runUid));
    return items.orderBy(itemTable.index);
  }

  /** Waits until the run has ended. */
  async ended(runId: string, timeoutMs = 25_000): Promise<Run> {
    // Directly in the file: a call of the API takes ten times the work and slows the run down.
    await vi.waitFor(
      async () => {
        const row = await this.row(runId);
        expect(["succeeded", "failed", "canceled"], JSON.stringify(row)).toContain(row.state);
      },
      { timeout: timeoutMs, interval: 50 },
    );
    return this.run(runId);
  }

  /** Checks what must hold for an ended run. @returns its items. */
  async verify(runId: string): Promise<ItemRow[]> {
    return verify(this.bucket, await this.row(runId), await this.items(runId));
  }

  async close(): Promise<void> {
    this.db.client.close();
    await this.loop.close();
    await this.model.close();
  }
}

/** The default answer of the model server in tests. */
export const answer = (delayMs = 0): ModelServer.Behavior =>
  ModelServer.json(
    {
      ...{ total: "12.00", subtotal: null, tax: null, service: null },
      ...{ discount: null, cash: null, card: null, change: null },
    },
    delayMs === 0 ? {} : { delayMs },
  );

const keyId = "local-admin";

/** Starts both. `options.env` adds to the environment. */
export async function open(
  options: TestLoopOptions & { model?: ModelServer.Options } = {},
): Promise<Batches> {
  const { model: modelOptions, ...loopOptions } = options;
  const model = await ModelServer.start({ model: "scripted", respond: () => answer(), ...modelOptions });
  const loop = await startLoop({
    ...loopOptions,
    env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", ...loopOptions.env },
  }).catch(async (error: unknown) => {
    await model.close();
    throw error;
  });
  return new Batches(loop, model);
}

/** The loop's queues, for tests that speak to them. */
export function queuesOf(loop: TestLoop) {
  const values = Config.parse("queues", { ...loop.env });
  const client = new SQSClient({
    endpoint: loop.env.AWS_ENDPOINT_URL_SQS ?? "",
    region: loop.env.AWS_REGION ?? "us-east-1",
    credentials: {
      accessKeyId: loop.env.AWS_ACCESS_KEY_ID ?? "test",
      secretAccessKey: loop.env.AWS_SECRET_ACCESS_KEY ?? "test",
    },
  });
  return {
    client: Client.through(client),
    /** The SDK's own, for what the product never asks. */
    sqs: client,
    timeoutMs: 5_000,
    urls: {
      plan: values.PLAN_QUEUE_URL,
      item: values.ITEM_QUEUE_URL,
      single: values.SINGLE_QUEUE_URL,
      later: values.LATER_QUEUE_URL,
      urgent: values.URGENT_QUEUE_URL,
    },
  };
}

/** Rows as the API would have made them, thousands at a time. */
export async function seed(
  db: Database.Db,
  run: { runId: string; total: number; concurrency: number; key: string },
): Promise<void> {
  const now = new Date();
  const runUid = `seed_${run.runId}`;
  await db.query.insert(runTable).values({
    ...{ runUid, keyId, runId: run.runId, taskId: "receipt_fields_v1", payloadHash: "seed" },
    ...{ principalRole: "admin", state: "running", epoch: 7, concurrency: run.concurrency },
    ...{ source: "manifest", persistInputs: false, total: run.total },
    ...{ createdAt: now, startedAt: now, touchedAt: now },
  });
  await db.client.execute({
    sql: `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
      INSERT INTO item (run_uid, idx, source_kind, object_key, status) SELECT ?, i, 'data', ?, 'queued' FROM n`,
    args: [run.total, runUid, `data/${run.key}`],
  });
}

/**
 * Every item ended exactly once, the counters equal the rows, and each succeeded item has exactly one artifact, which
 * agrees with it.
 */
async function verify(bucket: Bucket.Bucket, row: RunRow, items: ItemRow[]): Promise<ItemRow[]> {
  const of = (status: ItemRow["status"]) => items.filter((each) => each.status === status).length;
  expect({ total: row.total, ...counts(row) }).toEqual({
    total: items.length,
    ...{ succeeded: of("succeeded"), failed: of("failed"), canceled: of("canceled") },
  });
  expect(of("queued") + of("running"), "items that have not ended").toBe(0);
  expect(row.schemaOk).toBe(items.filter((each) => each.schemaOk === true).length);
  expect(row.finishing).toBeNull();
  const stored = new Set<string>();
  for (let token: string | undefined, first = true; first || token !== undefined; first = false) {
    const day = row.createdAt.toISOString().slice(0, 10);
    const prefix = `extracts/${day}/${row.keyId}/${row.runId}~`;
    const page = await Bucket.list(bucket, silent, { prefix, token });
    for (const { rel } of page.objects) if (!rel.includes("~attempt-")) stored.add(rel);
    token = page.next;
  }
  const rels = items.filter((each) => each.artifactRel !== null).map((each) => each.artifactRel as string);
  expect([...stored].sort()).toEqual([...rels].sort());
  const sample =
    items.length <= 100 ? items : items.filter((_, i) => i % Math.ceil(items.length / 100) === 0);
  for (const each of sample) {
    if (each.status === "canceled") continue;
    const artifact = await Record.get(bucket, silent, each.artifactRel ?? "");
    expect(artifact?.status).toBe(each.status);
    expect(artifact?.run).toEqual({ run_id: row.runId, run_uid: row.runUid, index: each.index });
    // A file of several documents has a result for each of them, and none of its own.
    const result = artifact?.result && JSON.stringify(artifact.result);
    if (each.status === "succeeded") expect(result).toBe(each.result);
  }
  return items;
}

const counts = ({ succeeded, failed, canceled }: RunRow) => ({ succeeded, failed, canceled });

/** The most of these requests that were at the model server at one time; for one run by its items' ids. */
export function mostInFlight(requests: readonly ModelServer.Received[], runId?: string): number {
  const changes = requests
    .filter((each) => runId === undefined || String(each.headers["x-request-id"]).startsWith(`${runId}~`))
    .flatMap(({ at, endedAt = Number.POSITIVE_INFINITY }): [number, number][] => [
      [at, 1],
      [endedAt, -1],
    ]);
  // At the same millisecond an end counts first, because it allowed the next request.
  changes.sort(([a, up], [b, down]) => a - b || up - down);
  let now = 0;
  return changes.reduce((most, [, change]) => {
    now += change;
    return Math.max(most, now);
  }, 0);
}
