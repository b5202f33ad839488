import { sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { noLimits } from "#spec/key-limits";
import { callerOf, client, failure, open, type Stores, silent } from "#test/support/run-stores";
import { type ItemRow, itemTable, runTable } from "../run.sql.ts";
import { RerunRequest } from "../schema.ts";
import * as Check from "./check.ts";
import * as Create from "./create.ts";
import * as Hosts from "./hosts.ts";
import { keptKey } from "./kept.ts";
import * as Rerun from "./rerun.ts";

let stores: Stores;
beforeAll(async () => {
  stores = await open();
});
afterAll(() => stores?.close());

const create = (body: object, caller = callerOf()) =>
  Create.create(stores.services, silent, Create.parse(body), caller);
const step = (row: Create.Created["run"]) =>
  Check.step(stores.services, row, { deadline: Date.now() + 20_000 }, silent);

const etagOf = async (rel: string) =>
  (await Bucket.head(stores.services.bucket, silent, rel))?.etag ?? "there is nothing";
const replace = (rel: string, body: string) =>
  Bucket.replace(stores.services.bucket, silent, rel, { body, contentType: "image/png" });

describe("files that come with the call", () => {
  const file = (name: string, body = name): Create.ReceiveInput["files"][number] => ({
    name,
    mimeType: "image/png",
    bytes: Buffer.from(body),
  });
  const receive = (
    files: Create.ReceiveInput["files"],
    more: Partial<Create.ReceiveInput> = {},
    caller = callerOf(),
    services = stores.services,
  ) =>
    Create.receive(
      services,
      silent,
      { task_id: "receipt_fields_v1", concurrency: 4, persist_inputs: false, files, ...more },
      caller,
    );

  test("become a running run whose pictures lie in its own place", async () => {
    const { run, replayed } = await receive([file("a.png"), file("b.png")], { run_id: "received" });
    expect(replayed).toBe(false);
    expect(run).toMatchObject({ state: "running", total: 2, source: "upload", planning: null });
    const items = await stores.items(run.runUid);
    expect(items).toMatchObject([
      {
        file: "a.png",
        sourceKind: "run",
        objectKey: keptKey(run, 0),
        kept: false,
        declaredMimeType: "image/png",
      },
      { file: "b.png", objectKey: keptKey(run, 1) },
    ]);
    const stored = await Bucket.get(stores.services.bucket, silent, keptKey(run, 1));
    expect(Buffer.from(stored ?? []).toString()).toBe("b.png");
    const again = await receive([file("a.png"), file("b.png")], { run_id: "received" });
    expect(again).toMatchObject({ replayed: true, run: { runUid: run.runUid } });
    const other = receive([file("a.png"), file("b.png", "other")], { run_id: "received" });
    expect((await failure(other)).code).toBe("conflict");
  });

  test.each([
    ["a path", [file("../x.png")]],
    ["a folder", [file("a/b.png")]],
    ["a drive", [file("C:\\x.png")]],
    ["a control character", [file("a\u0000.png")]],
    ["no name", [file("", "x")]],
    ["an empty file", [file("a.png", "")]],
    ["a name twice", [file("a.png"), file("a.png", "x")]],
    ["no file", []],
  ])("%s is refused, and nothing is left", async (_what, files) => {
    const runs = (await stores.runs()).length;
    const error = await failure(receive(files));
    expect(error).toMatchObject({ code: "invalid_request", details: { issues: [{ path: "files" }] } });
    expect(await stores.runs()).toHaveLength(runs);
  });

  test("leave neither run nor object when the bucket fails in the middle, and the same call works later", async () => {
    let puts = 0;
    stores.bucket.hook.answer = ({ operation }) => {
      if (operation !== "PutObject") return undefined;
      puts += 1;
      return puts > 3 ? { status: 403 } : undefined;
    };
    const files = Array.from({ length: 6 }, (_, i) => file(`${i}.png`));
    const before = await stores.below("inputs/runs/");
    try {
      expect((await failure(receive(files, { run_id: "unlucky" }))).code).toBe("storage_unavailable");
    } finally {
      stores.bucket.hook.answer = () => undefined;
    }
    expect(await stores.below("inputs/runs/")).toEqual(before);
    expect((await stores.runs()).some(({ runId }) => runId === "unlucky")).toBe(false);
    expect((await receive(files, { run_id: "unlucky" })).run).toMatchObject({ state: "running", total: 6 });
  });

  test("of a call that was killed while it stored them are stored again by a repeat", async () => {
    const { run } = await receive([file("a.png")], { run_id: "killed" });
    // A killed call leaves only a row.
    const { db } = stores.services;
    await Database.batch(db, [
      Database.statement(sql`DELETE FROM item WHERE run_uid = ${run.runUid}`),
      db.query
        .update(runTable)
        .set({ state: "planning", planning: { phase: "receiving" }, total: 0, startedAt: null })
        .where(sql`run_uid = ${run.runUid}`),
    ]);
    expect(await step(await stores.run("killed"))).toBe("done");
    const again = await receive([file("a.png")], { run_id: "killed" });
    expect(again.run).toMatchObject({ runUid: run.runUid, state: "running", total: 1 });
    expect(await stores.items(run.runUid)).toHaveLength(1);
  });

  test("twenty calls with one id make one run; above the key's limit there is none", async () => {
    const made = await Promise.all(
      Array.from({ length: 20 }, () => receive([file("a.png")], { run_id: "many" })),
    );
    expect(new Set(made.map(({ run }) => run.runUid)).size).toBe(1);
    expect(await stores.items((await stores.run("many")).runUid)).toHaveLength(1);
    const caller = callerOf(client("key-few", { limits: { ...noLimits, itemsPerDay: 1 } }));
    const error = await failure(receive([file("a.png"), file("b.png")], {}, caller));
    expect(error.code).toBe("forbidden");
    expect(await stores.below("inputs/runs/key-few/")).toHaveLength(0);
    expect((await stores.runs()).some(({ keyId }) => keyId === "key-few")).toBe(false);
  });
});

describe("a rerun", () => {
  const rerun = (body: object, caller = callerOf()) =>
    Rerun.rerun(stores.services, silent, RerunRequest.parse(body), caller);
  /** An ended run with the given items. */
  async function ended(
    run_id: string,
    manifest: object[],
    items: Record<number, Partial<Record<"status" | "kept" | "source_kind", string | number>>>,
    more: object = {},
  ) {
    const { run } = await create({ run_id, manifest, concurrency: 9, task_id: "receipt_v1", ...more });
    const { db } = stores.services;
    const sets = Object.entries(items).flatMap(([index, columns]) =>
      Object.entries(columns).map(([column, value]) =>
        Database.statement(
          sql`UPDATE item SET ${sql.identifier(column)} = ${value} WHERE run_uid = ${run.runUid} AND idx = ${Number(index)}`,
        ),
      ),
    );
    await Database.batch(db, [
      ...sets,
      db.query.update(runTable).set({ state: "succeeded" }).where(sql`run_uid = ${run.runUid}`),
    ]);
    return run;
  }
  const names = (items: ItemRow[]) => items.map(({ customId }) => customId);
  const data = (i: number) => ({
    ...{ custom_id: `c${i}`, file: `f${i}`, image_key: "shared/a.png", tags: { store: String(i) } },
  });
  beforeAll(() => stores.bucket.put("data/shared/a.png", "a"));

  test("takes over the names and inputs of all items, or of exactly those that failed", async () => {
    const source = await ended("source", [data(0), data(1), data(2)], {
      0: { status: "succeeded" },
      1: { status: "failed" },
      2: { status: "failed", kept: 1, source_kind: "url" },
    });
    await stores.bucket.put(keptKey(source, 2), "kept");
    const { run } = await rerun({ source_run_id: "source", only: "failed" });
    expect(run).toMatchObject({
      state: "running",
      total: 2,
      taskId: "receipt_v1",
      concurrency: 9,
      source: "rerun",
      sourceRunId: "source",
    });
    const items = await stores.items(run.runUid);
    expect(items).toMatchObject([
      {
        index: 0,
        customId: "c1",
        file: "f1",
        tags: { store: "1" },
        sourceKind: "data",
        objectKey: "data/shared/a.png",
        status: "queued",
      },
      {
        index: 1,
        customId: "c2",
        sourceKind: "data",
        objectKey: keptKey(source, 2),
        etag: await etagOf(keptKey(source, 2)),
        kept: false,
      },
    ]);
    const all = await rerun({ source_run_id: "source", task_id: "payment_v1", concurrency: 1 });
    expect(all.run).toMatchObject({ total: 3, taskId: "payment_v1", concurrency: 1 });
    expect(names(await stores.items(all.run.runUid))).toEqual(["c0", "c1", "c2"]);
  });

  test("is refused by name: unknown, another key's, still running, nothing to do, inputs not kept", async () => {
    const refusal = async (body: object, caller = callerOf()) => {
      const { code, details } = await failure(rerun(body, caller));
      return [code, details?.reason];
    };
    await create({ run_id: "going", manifest: [data(0)] });
    expect(await refusal({ source_run_id: "unknown" })).toEqual(["not_found", undefined]);
    expect(await refusal({ source_run_id: "going" }, callerOf(client("key-2")))).toEqual([
      "not_found",
      undefined,
    ]);
    expect(await refusal({ source_run_id: "going" })).toEqual(["conflict", "run_active"]);
    await ended("all-good", [data(0)], { 0: { status: "succeeded" } });
    expect(await refusal({ source_run_id: "all-good", only: "failed" })).toEqual([
      "conflict",
      "nothing_to_rerun",
    ]);
    await ended("with-url", [{ image_url: "https://b.s3.amazonaws.com/x" }], {});
    expect(await refusal({ source_run_id: "with-url" })).toEqual(["conflict", "inputs_not_kept"]);
    const ref = await stores.upload("one");
    await ended("with-upload", [{ image_ref: ref }], {});
    expect((await rerun({ source_run_id: "with-upload" })).run.total).toBe(1);
    await stores.swap(ref, "two");
    expect(await refusal({ source_run_id: "with-upload" })).toEqual(["conflict", "inputs_not_kept"]);
  });

  test("does not begin when pictures are gone or replaced, and the error has their number", async () => {
    const refused = async (body: object) => {
      const runs = (await stores.runs()).length;
      const error = await failure(rerun(body));
      expect(await stores.runs()).toHaveLength(runs);
      expect(error.code).toBe("conflict");
      return error.details;
    };
    const reason = "inputs_not_kept";
    for (const name of ["gone", "changed"]) await stores.bucket.put(`data/shared/${name}.png`, name);
    const lines = ["a", "gone", "gone", "changed"].map((name) => ({ image_key: `shared/${name}.png` }));
    await ended("from-folder", lines, { 0: { status: "failed" } });
    expect((await rerun({ source_run_id: "from-folder" })).run.total).toBe(4);
    await Bucket.remove(stores.services.bucket, silent, "data/shared/gone.png");
    expect(await refused({ source_run_id: "from-folder" })).toEqual({ reason, missing: 2, checked: 4 });
    await replace("data/shared/changed.png", "another");
    expect(await refused({ source_run_id: "from-folder" })).toEqual({ reason, missing: 3, checked: 4 });
    expect((await rerun({ source_run_id: "from-folder", only: "failed" })).run.total).toBe(1);

    const copies = { 0: { kept: 1 }, 1: { kept: 1 } };
    const source = await ended("from-copies", [data(0), data(1)], copies);
    await stores.bucket.put(keptKey(source, 0), "copy");
    expect(await refused({ source_run_id: "from-copies" })).toEqual({ reason, missing: 1, checked: 2 });
    await stores.bucket.put(keptKey(source, 1), "copy");
    expect((await rerun({ source_run_id: "from-copies" })).run.total).toBe(2);
  });

  test("of a rerun does not begin while the run whose copies it uses is being deleted", async () => {
    const { db } = stores.services;
    const first = await ended("copies-1", [data(0)], { 0: { kept: 1 } });
    await stores.bucket.put(keptKey(first, 0), "copy");
    const { run: second } = await rerun({ run_id: "copies-2", source_run_id: "copies-1" });
    await db.query.update(runTable).set({ state: "succeeded" }).where(sql`run_uid = ${second.runUid}`);
    const third = await rerun({ run_id: "copies-3", source_run_id: "copies-2" });
    expect((await stores.items(third.run.runUid))[0]?.objectKey).toBe(keptKey(first, 0));
    for (const state of ["deleting", "deleted"] as const) {
      await db.query.update(runTable).set({ state }).where(sql`run_uid = ${first.runUid}`);
      expect(await failure(rerun({ source_run_id: "copies-2" }))).toMatchObject({
        code: "conflict",
        details: { reason: "inputs_not_kept", missing: 1, checked: 1 },
      });
    }
    // The run has its own copy now.
    await db.query.update(itemTable).set({ kept: true }).where(sql`run_uid = ${second.runUid}`);
    await stores.bucket.put(keptKey(second, 0), "copy");
    const again = await rerun({ source_run_id: "copies-2" });
    expect((await stores.items(again.run.runUid))[0]?.objectKey).toBe(keptKey(second, 0));
  });

  test("of more than 1,000 items is taken over by the planner, in order, once", async () => {
    const source = await ended("large-source", [data(0)], {});
    const list = JSON.stringify(Array.from({ length: 2_500 }, (_, i) => i + 1));
    await Database.batch(stores.services.db, [
      Database.statement(sql`INSERT INTO item (run_uid, idx, custom_id, source_kind, object_key, status)
        SELECT ${source.runUid}, value, 'x' || value, 'data', 'data/shared/a.png', CASE WHEN value % 2 THEN 'failed' ELSE 'succeeded' END FROM json_each(${list})`),
    ]);
    const { run } = await rerun({ source_run_id: "large-source", only: "failed" });
    expect(run).toMatchObject({ state: "planning", planning: { phase: "rerun" } });
    const chunk = { ...Check.sizes, taken: 300 };
    const past = { deadline: Date.now() - 1, chunk };
    expect(await Check.step(stores.services, run, past, silent)).toBe("more");
    const time = { deadline: Date.now() + 20_000, chunk };
    await Promise.all([
      Check.step(stores.services, run, time, silent),
      Check.step(stores.services, run, time, silent),
    ]);
    expect(await stores.run(run.runId)).toMatchObject({ state: "running", total: 1_250 });
    const items = await stores.items(run.runUid);
    expect(names(items)).toEqual(Array.from({ length: 1_250 }, (_, i) => `x${2 * i + 1}`));
    expect(items.map(({ index }) => index)).toEqual(items.map((_, i) => i));
    const etag = await etagOf("data/shared/a.png");
    expect(items.filter((each) => each.etag === etag)).toHaveLength(1_250);

    await Database.batch(stores.services.db, [
      Database.statement(
        sql`UPDATE item SET object_key = 'data/shared/none.png' WHERE run_uid = ${source.runUid} AND idx = 2001`,
      ),
    ]);
    const { run: doomed } = await rerun({ source_run_id: "large-source" });
    expect(await Check.step(stores.services, doomed, time, silent)).toBe("failed");
    expect(await stores.run(doomed.runId)).toMatchObject({
      state: "failed",
      total: 0,
      errorCode: "conflict",
      errorDetails: { reason: "inputs_not_kept", missing: 1, checked: 300 },
    });
    expect(await stores.items(doomed.runUid)).toEqual([]);
  });
});

describe("hosts of addresses", () => {
  const allows = (host: string, patterns = Hosts.defaults) => Hosts.allows(host, patterns);

  test("by default are buckets of the large clouds, and never a whole cloud", () => {
    for (const host of [
      "bucket.s3.amazonaws.com",
      "bucket.s3.eu-west-1.amazonaws.com",
      "s3.us-east-1.amazonaws.com",
      "account.r2.cloudflarestorage.com",
      "bucket.account.eu.r2.cloudflarestorage.com",
      "storage.googleapis.com",
      "account.blob.core.windows.net",
    ])
      expect(allows(host), host).toBe(true);
    for (const host of [
      "amazonaws.com",
      "ec2-1-2-3-4.compute.amazonaws.com",
      "x.execute-api.eu-west-1.amazonaws.com",
      "s3.amazonaws.com.evil.example",
      "evils3.amazonaws.com",
      "www.googleapis.com",
      "x.azurewebsites.net",
      "10.0.0.1",
      "[::1]",
    ])
      expect(allows(host), host).toBe(false);
  });

  test("a star is one label or a part of it; alone it is any public host", () => {
    expect(allows("img-7.example.com", ["img-*.example.com"])).toBe(true);
    expect(allows("a.img-7.example.com", ["img-*.example.com"])).toBe(false);
    expect(allows("a.b.example.com", ["*.example.com"])).toBe(false);
    expect(allows("example.org", ["*"])).toBe(true);
    expect(allows("93.184.216.34", ["*"])).toBe(true);
    for (const private_ of ["127.0.0.1", "10.1.2.3", "169.254.169.254", "[::ffff:10.0.0.1]"])
      expect(allows(private_, ["*"]), private_).toBe(false);
    // Other notations of an address are the same address.
    expect(Hosts.check("https://0x7f.1/x", ["*"])).toHaveProperty("problem");
    expect(Hosts.check("https://example.org:8443/x", ["*"])).toHaveProperty("problem");
  });
});
