import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eq } from "drizzle-orm";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import type * as Database from "#core/db/database";
import { type ItemRow, itemTable, type RunRow, runTable } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import { uploadTable } from "#core/upload/upload.sql";
import * as Client from "#local/queue/client";
import * as QueueServer from "#local/queue/server";
import * as Limits from "#spec/limits";
import { queues as queueSpecs } from "#spec/queues";
import { queueUrls } from "./queue-urls.ts";
import * as TestBucket from "./test-bucket.ts";
import * as TestDatabase from "./test-database.ts";

export type NewItem = Partial<typeof itemTable.$inferInsert>;
export type NewRun = Partial<typeof runTable.$inferInsert>;

/** Stores for tests of runs whose items have ended, and rows to put into them. */
export async function start() {
  const dir = await mkdtemp(join(tmpdir(), "ocrlty-run-"));
  const database = await TestDatabase.start();
  const store = await TestBucket.start();
  const { later, plan } = queueSpecs;
  const queueServer = await QueueServer.start({
    dir,
    queues: { later, plan },
    timeScale: 1,
    region: "us-east-1",
  });
  const urls = queueUrls(queueServer);
  const { db } = database;
  const services: RunStores = {
    db,
    bucket: store.bucket,
    queues: {
      client: Client.through(queueServer.client),
      urls,
      timeoutMs: 5_000,
    },
    times: Limits.times(1),
    version: "test",
    debugMode: false,
    ...{ imageUrlHosts: [], itemConcurrency: 16 },
  };

  return {
    db,
    store,
    services,
    sentTo: (name: "later" | "plan") => queueServer.counts(urls[name]).ready,
    rels: async (prefix = "") => {
      const { objects } = await Bucket.list(store.bucket, TestBucket.silent, { prefix });
      return objects.map(({ rel }) => rel).toSorted();
    },
    text: async (rel: string) => {
      const bytes = await Bucket.get(store.bucket, TestBucket.silent, rel);
      return bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8");
    },
    reload: async (run: RunRow): Promise<RunRow> => {
      const rows = await db.query.select().from(runTable).where(eq(runTable.runUid, run.runUid));
      if (rows[0] === undefined) throw new Error("the run's row is gone");
      return rows[0];
    },
    items: (run: RunRow): Promise<ItemRow[]> =>
      db.query.select().from(itemTable).where(eq(itemTable.runUid, run.runUid)),
    insert: (run: NewRun, items: NewItem[]) => insert(db, run, items),
    succeeded: (run: { keyId?: string; runId: string }, index: number, result: object) =>
      succeeded(store, run, index, result),
    upload: (name: string, keyId?: string) => upload({ db, store }, name, keyId),
    uploads: async () => (await db.query.select().from(uploadTable)).map(({ ref }) => ref).toSorted(),
    async close() {
      await queueServer.close();
      await store.close();
      await database.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
export type Stores = Awaited<ReturnType<typeof start>>;

/** A run with these items, and counters that fit them. */
async function insert(db: Database.Db, run: NewRun, items: NewItem[]): Promise<RunRow> {
  const count = (status: ItemRow["status"]) =>
    items.filter((item) => (item.status ?? "succeeded") === status).length;
  const createdAt = new Date("2026-11-23T23:59:50.000Z");
  const values: typeof runTable.$inferInsert = {
    runUid: randomUUID(),
    keyId: "alice",
    runId: `run-${randomUUID().slice(0, 8)}`,
    taskId: "items_light_v1",
    payloadHash: "0",
    principalRole: "client",
    state: "running",
    epoch: 7,
    concurrency: 4,
    source: "manifest",
    persistInputs: false,
    total: items.length,
    succeeded: count("succeeded"),
    failed: count("failed"),
    canceled: count("canceled"),
    createdAt,
    startedAt: new Date(createdAt.getTime() + 1_000),
    touchedAt: createdAt,
    ...run,
  };
  const [row] = await db.query.insert(runTable).values(values).returning();
  if (row === undefined) throw new Error("the run was not inserted");
  for (let i = 0; i < items.length; i += 200) {
    const some = items.slice(i, i + 200).map((item, j) => ({
      runUid: row.runUid,
      index: i + j,
      sourceKind: "data" as const,
      objectKey: `data/shared/${i + j}.png`,
      status: "succeeded" as const,
      ...item,
    }));
    await db.query.insert(itemTable).values(some);
  }
  return row;
}

/** A succeeded item with this result; above 16 KiB it is in its artifact only. */
async function succeeded(
  store: TestBucket.TestBucket,
  run: { keyId?: string; runId: string },
  index: number,
  result: object,
): Promise<NewItem> {
  const createdAt = new Date("2026-11-23T23:59:50.000Z");
  const rel = Place.extractKey(run.keyId ?? "alice", `${run.runId}~${index}`, createdAt);
  const written = JSON.stringify(result);
  const isLarge = Buffer.byteLength(written) > Limits.sizes.rowResultBytes;
  if (isLarge) {
    const about = {
      request_id: `${run.runId}~${index}`,
      payload_hash: "0",
      principal: { key_id: "alice" },
    };
    await store.put(rel, JSON.stringify({ ...about, result }));
  }
  return {
    status: "succeeded",
    customId: `c-${index}`,
    file: `f ${index}.png`,
    artifactRel: rel,
    result: isLarge ? null : written,
    schemaOk: true,
    promptTokens: 10,
    completionTokens: 5,
    modelCalls: 1,
  };
}

/** An uploaded picture: its object, its row, and the columns of an item. */
async function upload(
  { db, store }: { db: Database.Db; store: TestBucket.TestBucket },
  name: string,
  keyId = "alice",
): Promise<NewItem & { objectKey: string }> {
  const objectKey = `inputs/uploads/${keyId}/${name}`;
  await store.put(objectKey, "a picture");
  const now = new Date();
  await db.query.insert(uploadTable).values({
    ref: `upload_${name}`,
    keyId,
    kind: "image",
    objectKey,
    mimeType: "image/png",
    bytes: 9,
    createdAt: now,
    keepUntil: new Date(now.getTime() + 60_000),
  });
  return { sourceKind: "upload", objectKey, status: "succeeded", result: "{}", schemaOk: true };
}
