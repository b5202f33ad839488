import { afterAll, beforeAll, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Claim from "#core/extraction/claim";
import { groundTruthTable } from "#core/ground-truth/ground-truth.sql";
import * as Key from "#core/key/key";
import * as Due from "#core/run/notify/due";
import { webhookHostTable } from "#core/run/notify/due.sql";
import * as Create from "#core/run/source/create";
import * as Upload from "#core/upload/upload";
import * as Allowance from "#core/usage/allowance";
import * as Storage from "#core/usage/storage";
import { noLimits } from "#spec/key-limits";
import * as RunStores from "#test/support/run-stores";
import { counters, openUntil, purge } from "./purge.ts";

const { silent, client, callerOf } = RunStores;
let stores: RunStores.Stores;
beforeAll(async () => {
  stores = await RunStores.open();
});
afterAll(() => stores.close());

/** A key with rows and objects of every kind. */
async function filled(keyId: string) {
  const { services, bucket } = stores;
  const { db } = services;
  await Key.create(db, "pepper-of-the-purge-tests", { keyId, role: "client" });
  for (const rel of [
    `extracts/2026-11-29/${keyId}/a.json`,
    `extracts/2026-11-30/${keyId}/r~0.json`,
    `batches/2026-11-30/${keyId}/r.json`,
    `evals/2026-11-30/${keyId}/e.json`,
    `data/${keyId}/x/1.png`,
    `inputs/tmp/${keyId}/a~1`,
    `inputs/manifests/${keyId}/m.jsonl`,
    `backups/${keyId}/b.tar.gz`,
    `ground_truths/${keyId}/g.jsonl`,
  ])
    await bucket.put(rel, "something");
  const ref = await stores.upload("picture", { keyId });
  const manifest = [{ image_ref: ref }, { image_key: `${keyId}/x/1.png` }];
  const body = { task_id: "receipt_fields_v1", run_id: "r", manifest };
  await Create.create(services, silent, Create.parse(body), callerOf(client(keyId), "a key"));
  const files = [{ name: "a.jpg", mimeType: "image/jpeg", bytes: Buffer.from("a") }];
  const form = { task_id: "receipt_fields_v1", concurrency: 1, persist_inputs: true, run_id: "f", files };
  await Create.receive(services, silent, form, callerOf(client(keyId)));
  await db.query.insert(groundTruthTable).values({
    ...{ gtId: `g of ${keyId}`, keyId, name: "n", sha256: "s", records: 1, bytes: 2, imageKey: "file" },
    ...{ objectKey: `ground_truths/${keyId}/g.jsonl`, createdAt: new Date() },
  });
  const wish = { keyId, requestId: "a", taskId: "receipt_fields_v1", payloadHash: "p" };
  const leaseUntil = new Date(Date.now() + 1_000);
  await Claim.claim(db, { ...wish, leaseUntil }, { mustBeNew: true, handoverWindowMs: 1, limits: noLimits });
  await Allowance.countRequest(db, { keyId, limits: { ...noLimits, requestsPerMinute: 5 } }, new Date());
  await Storage.announce(db, { keyId, limits: noLimits }, { bytes: 1, objects: 1 });
  await Due.heard(services, { keyId, webhookUrl: "https://hooks.example/" }, false);
  await Upload.create(services, Upload.UploadRequest.parse({ bytes: 9 }), {
    keyId,
    idempotencyKey: undefined,
  });
}

test("a URL that was signed just before the key was refused everywhere is still valid for its whole time", () => {
  const revokedAt = "2026-11-30T12:00:00.000Z";
  const until = new Date("2026-11-30T12:16:00.000Z");
  const time = { presignTtlS: 900, keyCacheMs: 60_000 };
  expect(openUntil(revokedAt, time, until.getTime() - 1)).toEqual(until);
  expect(openUntil(revokedAt, time, until.getTime())).toBeUndefined();
});

/** Tables that have a column for the key. */
async function owned(): Promise<string[]> {
  const found = await stores.services.db.client.execute(
    "SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c ON c.name = 'key_id' WHERE m.type = 'table'",
  );
  return found.rows.map(({ name }) => String(name)).toSorted();
}

test("every table with a column for the key is purged", async () => {
  const others = ["extract", "key", "key_secret", "model_time", "run", "upload"];
  expect(await owned()).toEqual([...others, ...counters].toSorted());
});

/** Everything in the bucket and the database that names the key. */
async function left(keyId: string) {
  const { objects } = await Bucket.list(stores.services.bucket, silent, { prefix: "" });
  const { client: database } = stores.services.db;
  const counts = await Promise.all(
    (await owned()).map(async (name) => {
      const found = await database.execute({
        sql: `SELECT 1 FROM "${name}" WHERE key_id = ?`,
        args: [keyId],
      });
      return [name, found.rows.length] as const;
    }),
  );
  const items = await database.execute({
    sql: "SELECT 1 FROM item WHERE run_uid NOT IN (SELECT run_uid FROM run)",
    args: [],
  });
  return {
    objects: objects.map(({ rel }) => rel).filter((rel) => rel.split("/").includes(keyId)),
    rows: Object.fromEntries(counts.filter(([, n]) => n > 0)),
    items: items.rows.length,
  };
}

test("a purge leaves only the tenant's id, changes no other key's data, and goes on after an interruption", async () => {
  await filled("leaves-1");
  await filled("leaves-10");
  const neighbor = await left("leaves-10");
  expect(Object.keys((await left("leaves-1")).rows).toSorted()).toEqual([
    "extract",
    "ground_truth",
    "idempotency",
    "key",
    "key_secret",
    "request_count",
    "run",
    "storage",
    "upload",
    "usage",
  ]);
  let deletions = 0;
  stores.bucket.hook.answer = ({ operation }) => {
    if (operation !== "DeleteObject") return undefined;
    deletions += 1;
    return deletions > 3 ? { status: 403 } : undefined;
  };
  const { services } = stores;
  await expect(purge(services, silent, "leaves-1")).rejects.toMatchObject({ code: "storage_unavailable" });
  stores.bucket.hook.answer = () => undefined;
  const hosts = async () =>
    (await services.db.query.select().from(webhookHostTable)).map(({ host }) => host).toSorted();
  expect(await hosts()).toEqual(["leaves-1 hooks.example", "leaves-10 hooks.example"]);
  expect(await purge(services, silent, "leaves-1")).toMatchObject({
    runs: 2,
    items: 3,
    extracts: 1,
    uploads: 2,
  });
  expect(await hosts()).toEqual(["leaves-10 hooks.example"]);
  expect(await left("leaves-1")).toEqual({ objects: [], rows: { key: 1 }, items: 0 });
  expect(await left("leaves-10")).toEqual(neighbor);
  await expect(
    Key.create(services.db, "pepper-of-the-purge-tests", { keyId: "leaves-1", role: "client" }),
  ).rejects.toMatchObject({ code: "conflict" });
});
