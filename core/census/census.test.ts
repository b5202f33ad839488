import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import { settingTable } from "#core/db/setting.sql";
import { extractTable } from "#core/extraction/extract.sql";
import { groundTruthTable } from "#core/ground-truth/ground-truth.sql";
import { itemTable, runTable } from "#core/run/run.sql";
import * as Create from "#core/run/source/create";
import * as Upload from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
import * as Storage from "#core/usage/storage";
import { storageTable } from "#core/usage/usage.sql";
import { noLimits } from "#spec/key-limits";
import * as RunStores from "#test/support/run-stores";
import * as Census from "./census.ts";
import * as Orphans from "./orphans.ts";
import { ownerRel } from "./owner.ts";

const { silent, client, callerOf, failure } = RunStores;
let stores: RunStores.Stores;
beforeAll(async () => {
  stores = await RunStores.open();
});
afterAll(() => stores.close());
beforeEach(async () => {
  const { query } = stores.services.db;
  for (const table of [settingTable, storageTable, uploadTable, runTable, itemTable, extractTable])
    await query.delete(table);
  const { objects } = await Bucket.list(stores.services.bucket, silent, { prefix: "" });
  for (const { rel } of objects) await Bucket.remove(stores.services.bucket, silent, rel);
});

/** Treats all objects as old. */
const later = () => new Date(Date.now() + Orphans.youngMs + 60_000);
const step = (now = later()) => Census.step(stores.services, silent, now);
const pictures = async () => (await stores.below("inputs/")).toSorted();

test("pictures without a row are found by their keys and removed; those that are still needed stay", async () => {
  const { services, bucket } = stores;
  const put = (...rels: string[]) => Promise.all(rels.map((rel) => bucket.put(rel, "picture")));
  const ref = await stores.upload("picture");
  const files = [{ name: "a.jpg", mimeType: "image/jpeg", bytes: Buffer.from("a") }];
  const batch = { task_id: "receipt_fields_v1", concurrency: 1, files };
  const going = await Create.receive(
    services,
    silent,
    { ...batch, run_id: "going", persist_inputs: false },
    callerOf(),
  );
  const kept = await Create.receive(
    services,
    silent,
    { ...batch, run_id: "kept", persist_inputs: true },
    callerOf(),
  );
  await services.db.client.execute("UPDATE run SET state = 'succeeded' WHERE run_id = 'kept'");
  const now = new Date();
  const tmp = "inputs/tmp/key-1/waits~1";
  await services.db.query.insert(extractTable).values({
    ...{ keyId: "key-1", requestId: "waits", taskId: "t", payloadHash: "h", status: "queued", token: 2 },
    ...{ createdAt: now, leaseUntil: now },
  });
  await put(tmp, "data/key-1/x.png", "extracts/2026-11-30/key-1/x.json");
  const needed = await pictures();
  expect(needed).toHaveLength(4);
  await put(
    "inputs/uploads/key-1/nobody-announced-this",
    "inputs/runs/key-1/no-such-run/0",
    `inputs/runs/key-1/${kept.run.runUid}/7`,
    "inputs/manifests/key-1/torn.jsonl",
    "inputs/tmp/key-1/ended~1",
    "ground_truths/key-1/gt_without-a-row-of-24-chars-x.jsonl",
  );
  const labels = `gt_${"x".repeat(24)}`;
  const objectKey = `ground_truths/key-1/${labels}.jsonl`;
  await put(objectKey);
  await services.db.query.insert(groundTruthTable).values({
    ...{ gtId: labels, keyId: "key-1", name: "n", sha256: "s", records: 1, bytes: 2, imageKey: "file" },
    ...{ objectKey, createdAt: now },
  });
  // Young objects may still get their rows.
  expect(await step(new Date())).toMatchObject({ removed: 0, isOver: true });
  expect(await step()).toMatchObject({ removed: 6, isOver: true });
  expect(await pictures()).toEqual(needed);
  expect(await stores.below("data/")).toHaveLength(1);
  expect(await stores.below("ground_truths/")).toEqual([objectKey]);
  // An ended run removes its pictures, and so does one whose upload was deleted.
  await services.db.client.execute({
    sql: "UPDATE run SET state = 'canceled' WHERE run_uid = ?",
    args: [going.run.runUid],
  });
  await services.db.client.execute({ sql: "DELETE FROM upload WHERE ref = ?", args: [ref] });
  expect(await step(new Date(later().getTime() + 3_600_000))).toMatchObject({ removed: 2 });
  expect(await pictures()).toEqual([`inputs/runs/key-1/${kept.run.runUid}/0`, tmp]);
});

test("steps of documents that are no longer read are removed; those of extracts and items in progress stay", async () => {
  const { services, bucket } = stores;
  const folder = "extracts/2026-11-30/key-1";
  const at = new Date();
  const extracts = [
    ...[["going", "running"] as const, ["waits", "queued"] as const, ["again", "retryable"] as const],
    ...[["done", "succeeded"] as const, ["gone", "deleted"] as const],
  ];
  for (const [requestId, status] of extracts)
    await services.db.query.insert(extractTable).values({
      ...{ keyId: "key-1", requestId, taskId: "t", payloadHash: "h", status, token: 1 },
      ...{ createdAt: at, leaseUntil: at },
    });
  await services.db.query.insert(runTable).values({
    ...{
      runUid: "uid",
      keyId: "key-1",
      runId: "run",
      taskId: "t",
      payloadHash: "h",
      principalRole: "client",
    },
    ...{ state: "running", epoch: 1, concurrency: 1, source: "manifest", persistInputs: false },
    ...{ createdAt: at, touchedAt: at },
  });
  for (const [index, status] of (["succeeded", "queued", "running"] as const).entries())
    await services.db.query.insert(itemTable).values({ runUid: "uid", index, sourceKind: "data", status });
  const open = [
    "again~step-0001",
    "going~step-0001",
    "run~1~step-0005",
    "run~2~step-0001",
    "waits~step-0009",
  ];
  const over = ["done~step-0001", "gone~step-0001", "run~0~step-0001", "run~7~step-0001", "nobody~step-0001"];
  for (const name of [...open, ...over, "done.json"]) await bucket.put(`${folder}/${name}`, "a step");
  expect(await step(new Date())).toMatchObject({ removed: 0 });
  expect(await step()).toMatchObject({ removed: over.length });
  const left = [...open, "done.json"].map((name) => `${folder}/${name}`);
  expect((await stores.below("extracts/")).toSorted()).toEqual(left.toSorted());
});

test("stored objects are counted by key once an hour, also by two steps at the same time; announced uploads count at once", async () => {
  const { services, bucket } = stores;
  for (const rel of [
    "extracts/2026-11-30/key-1/a.json",
    "batches/2026-11-30/key-1/r.json",
    "data/key-1/x.png",
    "data/shared/y.png",
    "backups/key-2/b.tar.gz",
  ])
    await bucket.put(rel, "0123456789");
  const now = new Date();
  await Promise.all([step(now), step(now)]);
  expect(await step(now)).toBeUndefined();
  expect(await Storage.read(services.db, "key-1")).toEqual({
    bytes: 30,
    objects: 3,
    measured_at: now.toISOString(),
  });
  expect(await Storage.read(services.db, "key-2")).toMatchObject({ bytes: 10, objects: 1 });
  const limits = { ...noLimits, maxStoredBytes: 100, maxStoredObjects: 5 };
  const announce = (bytes: number, more: object = {}) =>
    Upload.create(services, Upload.UploadRequest.parse({ bytes, ...more }), {
      keyId: "key-1",
      limits,
      idempotencyKey: undefined,
    });
  await announce(60);
  expect(await failure(announce(11))).toMatchObject({
    code: "forbidden",
    details: { limit: "max_stored_bytes", allowed: 100, used: 90, requested: 11 },
  });
  await announce(1, { kind: "data", path: "y.png" });
  expect(await failure(announce(1, { kind: "data", path: "z.png" }))).toMatchObject({
    details: { limit: "max_stored_objects", allowed: 5, used: 5, requested: 1 },
  });
  const files = [{ name: "a.jpg", mimeType: "image/jpeg", bytes: Buffer.alloc(20) }];
  const batch = { task_id: "receipt_fields_v1", concurrency: 1, persist_inputs: false, files };
  const caller = callerOf(client("key-1", { limits }));
  expect((await failure(Create.receive(services, silent, batch, caller))).code).toBe("forbidden");
  expect(await stores.runs()).toEqual([]);
  // No upload was announced for it. The walk after the next removes it, because the walk in between began before.
  await step(new Date(now.getTime() + 3_600_001));
  expect(await Storage.read(services.db, "key-1")).toMatchObject({ bytes: 30, objects: 3 });
});

test("a database that does not own the bucket removes nothing from it: a new database with an old bucket, or another stage's", async () => {
  const { services, bucket } = stores;
  const kept = "inputs/runs/key-1/a-run-of-yesterday/0";
  await bucket.put(kept, "picture");
  const logged: string[] = [];
  const log = { ...silent, error: (event: string) => logged.push(event) };
  // The bucket has old objects, and this database has never walked through it.
  const walk = (hours: number) => Census.step(services, log, new Date(later().getTime() + hours * 3_600_001));
  for (const hours of [0, 1]) expect(await walk(hours)).toMatchObject({ removed: 0, isOver: true });
  expect(logged).toEqual(["bucket_of_another_database", "bucket_of_another_database"]);
  // The bucket also has an owner.
  await bucket.put(ownerRel, "another database");
  expect(await walk(2)).toMatchObject({ removed: 0 });
  expect(await pictures()).toEqual([kept]);
  expect(await Storage.read(services.db, "key-1")).toMatchObject({ objects: 1 });
  // The operator confirms that the bucket belongs to this database.
  const [row] = await services.db.query
    .select()
    .from(settingTable)
    .where(eq(settingTable.name, "bucket_owner"));
  await Bucket.replace(services.bucket, silent, ownerRel, {
    body: row?.value ?? "",
    contentType: "text/plain",
  });
  expect(await walk(3)).toMatchObject({ removed: 1 });
});

test("an orphan that cannot be removed does not stop the walk", async () => {
  const { services, bucket } = stores;
  await step(new Date());
  await Promise.all(["held", "loose"].map((name) => bucket.put(`inputs/uploads/key-1/${name}`, "picture")));
  bucket.hook.answer = ({ operation, key }) =>
    operation === "DeleteObject" && key?.endsWith("/held") ? { status: 403 } : undefined;
  try {
    expect(await step()).toMatchObject({ removed: 1, isOver: true });
  } finally {
    bucket.hook.answer = () => undefined;
  }
  expect(await pictures()).toEqual(["inputs/uploads/key-1/held"]);
  expect(await Storage.read(services.db, "key-1")).toMatchObject({ objects: 1 });
});
