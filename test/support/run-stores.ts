import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { and, eq } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import type { AppError } from "#core/error";
import type { Principal } from "#core/key/key";
import { type ItemRow, itemTable, type RunRow, runTable } from "#core/run/run.sql";
import type { RunStores } from "#core/run/services";
import * as Hosts from "#core/run/source/hosts";
import * as Upload from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
import * as Client from "#local/queue/client";
import * as QueueServer from "#local/queue/server";
import { noLimits } from "#spec/key-limits";
import * as Limits from "#spec/limits";
import { queues } from "#spec/queues";
import { queueUrls } from "./queue-urls.ts";
import * as TestBucket from "./test-bucket.ts";
import * as TestDatabase from "./test-database.ts";

/** The stores and queues that are used to make a run, over their real protocols. */
export interface Stores {
  services: RunStores;
  bucket: TestBucket.TestBucket;
  queue: QueueServer.QueueServer;
  /** Messages that the planner has waiting. */
  orders(): number;
  /** An upload that was announced and filled. */
  upload(body: string, options?: { keyId?: string; kind?: "image" | "manifest" }): Promise<string>;
  /** Replaces the object of an upload. */
  swap(ref: string, body: string): Promise<void>;
  runs(): Promise<RunRow[]>;
  run(runId: string, keyId?: string): Promise<RunRow>;
  items(runUid: string): Promise<ItemRow[]>;
  /** Relative keys of what lies below a prefix. */
  below(prefix: string): Promise<string[]>;
  close(): Promise<void>;
}

export const { silent } = TestBucket;

export const client = (keyId = "key-1", more: Partial<Principal> = {}): Principal => ({
  keyId,
  role: "client",
  scopes: ["extract:run"],
  limits: noLimits,
  ...more,
});

export const callerOf = (principal = client(), idempotencyKey?: string) => ({
  principal,
  idempotencyKey,
  deadline: Date.now() + 20_000,
});

export async function open(): Promise<Stores> {
  const dir = await mkdtemp(join(tmpdir(), "ocrlty-queues-"));
  const [bucket, database, queue] = await Promise.all([
    TestBucket.start(),
    TestDatabase.start(),
    QueueServer.start({ dir, queues, timeScale: 1, region: "us-east-1" }),
  ]);
  const { db } = database;
  const urls = queueUrls(queue);
  const services: RunStores = {
    db,
    bucket: bucket.bucket,
    queues: { client: Client.through(queue.client), urls, timeoutMs: 5_000 },
    times: Limits.times(),
    version: "0.0.0",
    debugMode: false,
    imageUrlHosts: Hosts.defaults,
    itemConcurrency: 16,
  };
  const runs = () => db.query.select().from(runTable);
  const objectOf = async (ref: string) => {
    const [row] = await db.query.select().from(uploadTable).where(eq(uploadTable.ref, ref));
    return row?.objectKey ?? "";
  };
  return {
    services,
    bucket,
    queue,
    orders: () => {
      const counts = [urls.plan, urls.urgent].map(queue.counts);
      return counts.reduce((sum, { ready, inFlight }) => sum + ready + inFlight, 0);
    },
    upload: async (body, { keyId = "key-1", kind = "image" } = {}) => {
      const mime_type = kind === "image" ? "image/png" : "application/x-ndjson";
      const request = { kind, mime_type, bytes: Buffer.byteLength(body) };
      const { upload } = await Upload.create(services, request, { keyId, idempotencyKey: undefined });
      const ref = upload.image_ref ?? upload.manifest_ref ?? "";
      await bucket.put(await objectOf(ref), body);
      return ref;
    },
    swap: async (ref, body) => {
      await Bucket.replace(bucket.bucket, silent, await objectOf(ref), { body, contentType: "image/png" });
    },
    runs,
    run: async (runId, keyId = "key-1") => {
      const mine = and(eq(runTable.runId, runId), eq(runTable.keyId, keyId));
      const [row] = await db.query.select().from(runTable).where(mine);
      if (row === undefined) throw new Error("there is no such run");
      return row;
    },
    items: (runUid) =>
      db.query.select().from(itemTable).where(eq(itemTable.runUid, runUid)).orderBy(itemTable.index),
    below: async (prefix) =>
      (await Bucket.list(bucket.bucket, silent, { prefix })).objects.map(({ rel }) => rel),
    close: async () => {
      await Promise.all([bucket.close(), database.close(), queue.close()]);
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** The error of a call. */
export async function failure(work: Promise<unknown>): Promise<AppError> {
  return work.then(
    () => {
      throw new Error("it succeeded");
    },
    (thrown: AppError) => thrown,
  );
}
