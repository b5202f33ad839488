import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Place from "#core/artifact/place";
import * as Remove from "#core/input/remove";
import * as Extracts from "#core/reconcile/extracts";
import * as Create from "#core/run/source/create";
import * as Storage from "#core/usage/storage";
import * as RunStores from "#test/support/run-stores";
import * as Claim from "./claim.ts";
import { extractTable } from "./extract.sql.ts";
import { remove } from "./remove.ts";
import * as Row from "./row.ts";

const { silent, client, callerOf, failure } = RunStores;
let stores: RunStores.Stores;
beforeAll(async () => {
  stores = await RunStores.open();
});
afterAll(() => stores.close());

const createdAt = new Date();
const row = (requestId: string, more: Partial<typeof extractTable.$inferInsert> = {}) => ({
  ...{ keyId: "key-1", requestId, taskId: "receipt_fields_v1", payloadHash: "a hash", createdAt, token: 3 },
  ...{ status: "succeeded" as const, leaseUntil: createdAt, errorDetails: { reason: "some text" } },
  artifactRel: Place.extractKey("key-1", requestId, createdAt),
  ...more,
});
const temporary = (requestId: string) => ({
  ...{ source: "inline" as const, declaredMimeType: null, etag: null, debug: null },
  ...{ objectKey: `inputs/tmp/key-1/${requestId}~1`, temporary: true, principalRole: "client" },
});
/** An extract with every object that it may have in the bucket. */
async function made(requestId: string, more: Partial<typeof extractTable.$inferInsert> = {}) {
  await stores.services.db.query.insert(extractTable).values(row(requestId, more));
  await stores.bucket.put(Place.extractKey("key-1", requestId, createdAt), "an artifact");
  await stores.bucket.put(Place.attemptKey("key-1", requestId, createdAt, 2), "an attempt");
  await stores.bucket.put(Place.stepKey("key-1", requestId, createdAt, 1), "a step");
  if (more.input?.temporary) await stores.bucket.put(more.input.objectKey, "a picture");
}
const gone = (requestId: string, principal = client(), keyId?: string) =>
  remove(stores.services, silent, { requestId, keyId, principal });
const left = async () => [...(await stores.below("extracts/")), ...(await stores.below("inputs/tmp/"))];
const find = (requestId: string) => Row.find(stores.services.db, "key-1", requestId);

describe("an extract that is deleted", () => {
  test("keeps its id taken, and leaves nothing else", async () => {
    await made("neighbor");
    const before = await left();
    await made("a", { status: "queued", input: temporary("a") });
    expect(await gone("a")).toEqual({ extracts: 1, inputs: 1 });
    expect(await left()).toEqual(before);
    expect(await find("a")).toMatchObject({
      status: "deleted",
      payloadHash: "",
      errorDetails: null,
      input: null,
    });
    expect(JSON.stringify(await find("a"))).not.toMatch(/hash"|some text|inputs/);
    expect((await failure(gone("a"))).code).toBe("not_found");
    const wish = { keyId: "key-1", requestId: "a", taskId: "receipt_fields_v1", payloadHash: "a hash" };
    const claim = Claim.claim(
      stores.services.db,
      { ...wish, leaseUntil: new Date(Date.now() + 1_000) },
      { mustBeNew: false, handoverWindowMs: 1, limits: client().limits },
    );
    expect(await failure(claim)).toMatchObject({ code: "conflict", details: { reason: "extract_deleted" } });
    // The message that is still under way has nothing to do.
    const { row: taken } = await Claim.claimQueued(
      stores.services.db,
      { keyId: "key-1", requestId: "a" },
      new Date(Date.now() + 1_000),
    );
    expect(taken).toBeUndefined();
  });

  test("is refused while work on it goes on, for another key's extract, and for an item of a run", async () => {
    await made("b", { status: "running", leaseUntil: new Date(Date.now() + 60_000) });
    expect(await failure(gone("b"))).toMatchObject({
      code: "conflict",
      details: { reason: "extract_running" },
    });
    await made("c");
    expect((await failure(gone("c", client("key-2")))).code).toBe("not_found");
    expect((await failure(gone("c", client("key-2"), "key-1"))).code).toBe("not_found");
    const admin = client("boss", { scopes: ["extracts:delete", "admin:all_keys"] });
    expect(await gone("c", admin, "key-1")).toMatchObject({ extracts: 1 });
    await stores.bucket.put("data/shared/a.png", "a");
    const body = { task_id: "receipt_fields_v1", run_id: "r", manifest: [{ image_key: "shared/a.png" }] };
    await Create.create(stores.services, silent, Create.parse(body), callerOf());
    expect(await failure(gone("r~0"))).toMatchObject({
      code: "conflict",
      details: { reason: "item_of_run" },
    });
    expect((await failure(gone("r~7"))).code).toBe("not_found");
  });

  test("is gone in the end when the bucket failed in between, without a second call", async () => {
    await made("d", { input: temporary("d") });
    stores.bucket.hook.answer = ({ operation }) =>
      operation === "DeleteObject" ? { status: 403 } : undefined;
    expect((await failure(gone("d"))).code).toBe("storage_unavailable");
    stores.bucket.hook.answer = () => undefined;
    const times = { ...stores.services.times, unsentGraceMs: -1 };
    const services = { ...stores.services, times, model: undefined as never };
    expect(await Extracts.reconcile(services, silent)).toMatchObject({ deleted: 1 });
    expect((await left()).filter((rel) => rel.includes("/d"))).toEqual([]);
    expect((await find("d"))?.status).toBe("deleted");
  });
});

test("what a late worker writes of a deleted extract is removed, too, when no worker can be left", async () => {
  await made("late");
  await gone("late");
  await stores.bucket.put(Place.extractKey("key-1", "late", createdAt), "an artifact");
  await stores.bucket.put(Place.attemptKey("key-1", "late", createdAt, 9), "an attempt");
  await stores.bucket.put(Place.stepKey("key-1", "late", createdAt, 5), "a step");
  const late = async () => (await left()).filter((rel) => rel.includes("/late"));
  const services = { ...stores.services, model: undefined as never };
  // Not yet: a worker may still have it.
  await Extracts.reconcile(services, silent);
  expect(await late()).toHaveLength(3);
  await stores.services.db.client.execute("UPDATE extract SET not_before = 1 WHERE request_id = 'late'");
  await Extracts.reconcile(services, silent);
  expect(await late()).toEqual([]);
  expect(await find("late")).toMatchObject({ status: "deleted", notBefore: null });
});

describe("a picture that is deleted", () => {
  const drop = (ref: string, principal = client()) =>
    Remove.remove(stores.services, silent, { ref, keyId: undefined, principal });
  const dropData = (path: string, principal = client()) =>
    Remove.removeData(stores.services, silent, { path, keyId: undefined, principal }, Date.now() + 10_000);

  test("is an upload of the key's own that no queued work still has to read", async () => {
    const ref = await stores.upload("picture");
    expect((await failure(drop(ref, client("key-2")))).code).toBe("not_found");
    const body = { task_id: "receipt_fields_v1", run_id: "reads", manifest: [{ image_ref: ref }] };
    const { run } = await Create.create(stores.services, silent, Create.parse(body), callerOf());
    expect(await failure(drop(ref))).toMatchObject({
      code: "conflict",
      details: { reason: "upload_in_use" },
    });
    await stores.services.db.client.execute({
      sql: "UPDATE item SET status = 'succeeded' WHERE run_uid = ?",
      args: [run.runUid],
    });
    expect(await drop(ref)).toEqual({ inputs: 1 });
    expect(await stores.below("inputs/uploads/")).toEqual([]);
    expect((await failure(drop(ref))).code).toBe("not_found");
  });

  test("is a file or a folder of the key's own below the data root; shared/ is for admin:all_keys", async () => {
    for (const rel of [
      "key-1/a.png",
      "key-1/a.png.old",
      "key-1/b/1.png",
      "key-1/b/c/2.png",
      "key-2/a.png",
      "shared/x.png",
    ])
      await stores.bucket.put(`data/${rel}`, "picture");
    expect(await dropData("a.png")).toEqual({ inputs: 1, complete: true });
    expect(await dropData("b/")).toEqual({ inputs: 2, complete: true });
    expect(await stores.below("data/key-1/")).toEqual(["data/key-1/a.png.old"]);
    for (const path of ["b/", "a.png", "b"]) expect((await failure(dropData(path))).code).toBe("not_found");
    for (const path of ["../key-2/a.png", "/etc", "a//b"])
      expect((await failure(dropData(path))).code).toBe("invalid_request");
    expect((await failure(dropData("shared/x.png"))).code).toBe("forbidden");
    const admin = client("boss", { scopes: ["admin:all_keys"] });
    expect(await dropData("shared/x.png", admin)).toEqual({ inputs: 1, complete: true });
    expect(await stores.below("data/key-2/")).toEqual(["data/key-2/a.png"]);
  });

  test("is refused while an item has yet to read it, alone or in a folder, however it is named", async () => {
    for (const rel of ["shared/s/x.png", "key-1/r/1.png", "key-1/r/2.png", "key-1/r0.png"])
      await stores.bucket.put(`data/${rel}`, "picture");
    const manifest = [{ image_key: "key-1/r/1.png" }, { image_key: "shared/s/x.png" }];
    const body = { task_id: "receipt_fields_v1", run_id: "data", manifest };
    const { run } = await Create.create(stores.services, silent, Create.parse(body), callerOf());
    const inUse = { code: "conflict", details: { reason: "data_in_use" } };
    const admin = client("boss", { scopes: ["admin:all_keys"] });
    for (const path of ["r/1.png", "r/"]) expect(await failure(dropData(path))).toMatchObject(inUse);
    for (const path of ["shared/s/x.png", "shared/s/", "shared/"])
      expect(await failure(dropData(path, admin))).toMatchObject(inUse);
    for (const path of ["r/2.png", "r0.png"]) expect((await dropData(path)).inputs).toBe(1);
    await stores.services.db.client.execute({
      sql: "UPDATE item SET status = 'succeeded' WHERE run_uid = ?",
      args: [run.runUid],
    });
    expect((await dropData("r/")).inputs).toBe(1);
  });

  test("frees its space once, however many calls remove it at the same time", async () => {
    for (const name of ["1", "2", "3"]) await stores.bucket.put(`data/key-9/d/${name}.png`, "0123456789");
    await Storage.announce(stores.services.db, client("key-9"), { bytes: 30, objects: 3 });
    const drops = Array.from({ length: 4 }, () => dropData("d/", client("key-9")));
    await Promise.allSettled(drops);
    const { rows } = await stores.services.db.client.execute(
      "SELECT bytes + recent_bytes AS bytes, objects + recent_objects AS objects FROM storage WHERE key_id = 'key-9'",
    );
    expect(rows[0]).toMatchObject({ bytes: 0, objects: 0 });
  });
});
