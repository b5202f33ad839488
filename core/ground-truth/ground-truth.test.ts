import { gzipSync } from "node:zlib";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import type { AppError } from "#core/error";
import type { Principal } from "#core/key/key";
import * as Draft from "#core/run/results/draft";
import * as Finish from "#core/run/results/finish";
import * as Upload from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
import { storageTable } from "#core/usage/usage.sql";
import { noLimits } from "#spec/key-limits";
import * as EndedRun from "#test/support/ended-run";
import { silent } from "#test/support/test-bucket";
import * as Create from "./create.ts";
import { groundTruthTable } from "./ground-truth.sql.ts";
import * as GroundTruth from "./ground-truth.ts";
import * as Read from "./read.ts";
import * as GroundTruthRecord from "./record.ts";
import * as Remove from "./remove.ts";
import * as Source from "./source.ts";

let stores: EndedRun.Stores;
beforeAll(async () => {
  stores = await EndedRun.start();
});
afterAll(() => stores.close());

const client = (keyId = "alice", more: Partial<Principal> = {}): Principal => ({
  keyId,
  role: "client",
  scopes: ["extract:run", "debug:run"],
  limits: noLimits,
  ...more,
});
const admin = client("root", { role: "admin", scopes: ["debug:run", "admin:all_keys"] });

const keep = (name: string, content: unknown, principal = client(), idempotencyKey?: string) =>
  Create.create(
    stores.services,
    silent,
    { name, imageKey: "file", records: Read.ofValue(content) },
    { principal, idempotencyKey },
  );
const find = (gtId: string, principal = client(), keyId?: string) =>
  GroundTruth.find(stores.db, { gtId, keyId, principal, log: silent });
const kept = async (row: GroundTruth.Row) => {
  const all: unknown[] = [];
  for await (const { image, labels } of Source.kept(stores.store.bucket, silent, row))
    all.push([image, GroundTruthRecord.writtenMembers(labels)]);
  return all;
};
const failure = (work: Promise<unknown>): Promise<AppError> =>
  work.then(
    () => {
      throw new Error("it succeeded");
    },
    (thrown: AppError) => thrown,
  );
const names = async (query: Partial<Parameters<typeof GroundTruth.list>[1]> = {}) => {
  const { items, next_cursor } = await GroundTruth.list(stores.db, {
    ...{ principal: client(), log: silent, keyId: undefined, name: undefined, limit: 50, cursor: undefined },
    ...query,
  });
  return { names: items.map(({ key_id, name }) => `${key_id} ${name}`), next_cursor };
};

const two = [
  { file: "a.jpg", total: "1.00" },
  { file: "b.jpg", fields: { total: null, shop: "<script>alert(1)</script>" } },
];

describe("a ground truth", () => {
  test("is the same version however its labels are written down, and another one when they differ", async () => {
    const first = await keep("dev", two);
    expect(first).toMatchObject({ isNew: true, created: { records: 2, previous: null, duplicate_count: 0 } });
    const lines = `\n${two.map((each) => JSON.stringify(each, null, 1)).join("\n\n")}`;
    const again = await keep("dev", lines);
    expect(again).toMatchObject({ isNew: false, created: { gt_id: first.created.gt_id } });
    expect((await keep("dev", { items: two })).created.gt_id).toBe(first.created.gt_id);

    const next = await keep("dev", [{ ...two[0], total: "1.01" }, two[1]]);
    expect(next.isNew).toBe(true);
    expect(next.created.sha256).not.toBe(first.created.sha256);
    const { gt_id, sha256, created_at } = first.created;
    expect(next.created.previous).toEqual({ gt_id, sha256, created_at });
    // The first labels are a version once more.
    expect((await keep("dev", two)).created).toMatchObject({
      sha256,
      previous: { gt_id: next.created.gt_id },
    });
  });

  test("is read as it was given, and the answer lists the labels that will not be used", async () => {
    const given = [...two, { total: "2" }, { file: "x/c.jpg" }, { file: "./x/c.jpg#1", total: "3" }];
    const { created } = await keep("noted", given);
    expect(created).toMatchObject({ records: 5, unnamed: 1, duplicates: ["x/c.jpg"], duplicate_count: 1 });
    expect(await kept(await find(created.gt_id))).toEqual([
      ["a.jpg", { total: "1.00" }],
      ["b.jpg", { total: null, shop: "<script>alert(1)</script>" }],
      [undefined, { total: "2" }],
      ["x/c.jpg", {}],
      ["./x/c.jpg#1", { total: "3" }],
    ]);
  });

  test("is made once for one Idempotency-Key, and refused for other labels", async () => {
    const first = await keep("idem", two, client(), "key-1");
    await keep("idem", [{ file: "z.jpg", total: "1" }]);
    expect(await keep("idem", two, client(), "key-1")).toMatchObject({
      isNew: false,
      created: { gt_id: first.created.gt_id },
    });
    expect(await failure(keep("idem", [{ file: "y.jpg" }], client(), "key-1"))).toMatchObject({
      code: "conflict",
    });
  });

  test("belongs to its key: ids of other keys are unknown, and an admin names the key", async () => {
    const { created } = await keep("mine", two, client("bob"));
    const unknown = { code: "not_found", message: "there is no ground truth with this id" };
    for (const wrong of [() => find(created.gt_id), () => find("gt_none"), () => find(created.gt_id, admin)])
      expect(await failure(wrong())).toMatchObject(unknown);
    expect(await failure(find(created.gt_id, client(), "bob"))).toMatchObject({ code: "not_found" });
    expect((await find(created.gt_id, admin, "bob")).gtId).toBe(created.gt_id);
  });

  test("is listed newest first, by key, by name and by pages", async () => {
    for (const name of ["l1", "l2", "l2"])
      await keep(name, [{ file: "a", n: `${Math.random()}` }], client("lister"));
    await keep("l2", two, client("other-lister"));
    const principal = client("lister");
    expect((await names({ principal })).names).toEqual(["lister l2", "lister l2", "lister l1"]);
    expect((await names({ principal, name: "l2" })).names).toEqual(["lister l2", "lister l2"]);
    const page = await names({ principal, limit: 2 });
    expect((await names({ principal, limit: 2, cursor: page.next_cursor ?? "" })).names).toEqual([
      "lister l1",
    ]);
    expect((await names({ principal: admin })).names).toEqual(
      expect.arrayContaining(["other-lister l2", "lister l1"]),
    );
    expect((await names({ principal: admin, keyId: "other-lister" })).names).toEqual(["other-lister l2"]);
    expect(await failure(names({ principal, keyId: "other-lister" }))).toMatchObject({ code: "not_found" });
  });

  test("of many megabytes is stored in parts and read back whole", async () => {
    const record = (i: number) => ({ file: `${i}.jpg`, rows: [{ name: `${i} ${"é".repeat(900)}` }] });
    const many = Array.from({ length: 5_000 }, (_, i) => record(i));
    const { created } = await keep("large", many, client("large"));
    expect(created.bytes).toBeGreaterThan(8 * 1024 * 1024);
    let index = 0;
    const row = await find(created.gt_id, client("large"));
    for await (const each of Source.kept(stores.store.bucket, silent, row)) {
      expect(each.image).toBe(`${index}.jpg`);
      index += 1;
    }
    expect(index).toBe(5_000);
    // Counted as the key's, and given back with it.
    const stored = async () => {
      const [sums] = await stores.db.query.select().from(storageTable).where(eq(storageTable.keyId, "large"));
      return sums?.recentBytes;
    };
    expect(await stored()).toBe(created.bytes);
    await Remove.remove(stores.services, silent, row);
    expect(await stored()).toBe(0);
    expect(await stores.rels("ground_truths/large/")).toEqual([]);
    expect(await failure(find(created.gt_id, client("large")))).toMatchObject({ code: "not_found" });
    expect(await failure(kept(row))).toMatchObject({ details: { reason: "gt_deleted" } });
  });

  test("that is more than its key may keep, or wrong, leaves nothing behind", async () => {
    const limited = client("small", { limits: { ...noLimits, maxStoredBytes: 10 } });
    expect(await failure(keep("no", two, limited))).toMatchObject({
      code: "forbidden",
      details: { limit: "max_stored_bytes" },
    });
    expect(await failure(keep("no", [{ file: 1 }], client("small")))).toMatchObject({
      details: { reason: "gt_bad_records", issues: [{ path: "records.0.file" }] },
    });
    expect(await stores.rels("ground_truths/small/")).toEqual([]);
    const rows = stores.db.query.select().from(groundTruthTable).where(eq(groundTruthTable.keyId, "small"));
    expect(await rows).toEqual([]);
  });
});

describe("labels from an upload", () => {
  async function upload(
    body: Uint8Array | string | undefined,
    kind: Upload.UploadRequest["kind"] = "ground_truth",
  ) {
    const request = { kind, bytes: body?.length ?? 1 };
    const given = { keyId: "alice", idempotencyKey: undefined };
    const { upload } = await Upload.create(stores.services, request, given);
    const ref = upload.data_ref ?? upload.image_ref ?? "";
    const [row] = await stores.db.query.select().from(uploadTable).where(eq(uploadTable.ref, ref));
    if (body !== undefined) await stores.store.put(row?.objectKey ?? "", body as string);
    return {
      ref,
      swap: (body: string) =>
        Bucket.replace(stores.store.bucket, silent, row?.objectKey ?? "", {
          body,
          contentType: "text/plain",
        }),
    };
  }
  const records = async (ref: string, keyId = "alice") => {
    const all: unknown[] = [];
    for await (const { value } of Source.uploaded(stores.services, silent, { ref, keyId, imageKey: "file" }))
      all.push(value);
    return all;
  };

  test("are read packed or not", async () => {
    const text = JSON.stringify(two);
    expect(await records((await upload(text)).ref)).toEqual(two);
    expect(await records((await upload(gzipSync(text))).ref)).toEqual(two);
  });

  test("are refused by name: none there, another kind, another key's, replaced since", async () => {
    expect(await failure(records((await upload(undefined)).ref))).toMatchObject({
      details: { reason: "upload_missing" },
    });
    const picture = await upload("picture", "image");
    expect(await failure(records(picture.ref))).toMatchObject({
      message: /announce it with kind ground_truth/,
    });
    const mine = await upload(JSON.stringify(two));
    for (const [ref, keyId] of [
      [mine.ref, "bob"],
      ["upload_none", "alice"],
    ] as const)
      expect(await failure(records(ref, keyId))).toMatchObject({
        code: "invalid_request",
        message: "data_ref: there is no upload with this data_ref",
      });
    await records(mine.ref);
    await mine.swap("[]");
    expect(await failure(records(mine.ref))).toMatchObject({ details: { reason: "upload_replaced" } });
  });
});

describe("a draft from a run", () => {
  const finish = async (run: Parameters<typeof Finish.step>[1]) => {
    await Finish.step(stores.services, run, { deadline: Date.now() + 60_000 }, silent);
    return stores.reload(run);
  };

  test("has a record for each item: what was read, or why nothing was", async () => {
    const result = { items: [{ name: "TEA", quantity: "2", unit_price: null, price: "0,40" }] };
    const items = [
      stores.succeeded({ runId: "drafted" }, 0, result),
      { index: 1, status: "failed" as const, file: null, customId: "b", errorCode: "internal" as const },
    ];
    const run = await finish(await stores.insert({ runId: "drafted" }, await Promise.all(items)));
    const given = { name: "draft", imageKey: "file", fromRunId: run.runId };
    const { created } = await Create.create(
      stores.services,
      silent,
      { ...given, records: Draft.records(stores.store.bucket, silent, run) },
      { principal: client(), idempotencyKey: undefined },
    );
    expect(created).toMatchObject({ records: 2, from_run_id: "drafted", unnamed: 0 });
    const row = await find(created.gt_id);
    expect(await kept(row)).toEqual([
      ["f 0.png", result],
      ["b", {}],
    ]);
    const [, second] = ((await stores.text(row.objectKey)) ?? "").split("\n");
    expect(JSON.parse(second ?? "")).toEqual({ file: "b", draft: true, remark: "failed", fields: {} });
  });

  test("is refused while the run goes on", async () => {
    const run = await stores.insert({ runId: "goes-on", state: "running" }, []);
    const records = async () => {
      for await (const _ of Draft.records(stores.store.bucket, silent, run));
    };
    expect(await failure(records())).toMatchObject({ code: "conflict", details: { reason: "run_active" } });
  });
});
