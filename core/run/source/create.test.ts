import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runTable } from "#core/run/run.sql";
import { BatchRequest } from "#core/run/schema";
import * as Serialize from "#core/run/serialize";
import { uploadTable } from "#core/upload/upload.sql";
import { usageTable } from "#core/usage/usage.sql";
import { noLimits } from "#spec/key-limits";
import { callerOf, client, failure, open, type Stores, silent } from "#test/support/run-stores";
import * as Create from "./create.ts";

let stores: Stores;
beforeAll(async () => {
  stores = await open();
  await Promise.all([
    stores.bucket.put("data/shared/a.png", "a"),
    stores.bucket.put("data/key-1/b.png", "b"),
    stores.bucket.put("data/key-2/secret.png", "s"),
  ]);
});
afterAll(() => stores?.close());

let ids = 0;
const freshId = () => {
  ids += 1;
  return `run-${ids}`;
};
const shared = { image_key: "shared/a.png" };
const create = (body: Record<string, unknown>, caller = callerOf()) =>
  Create.create(stores.services, silent, Create.parse(body), caller);
const issuesOf = async (work: Promise<unknown>) => {
  const error = await failure(work);
  expect(error.code).toBe("invalid_request");
  return error.details?.issues as { line?: number; path: string; message: string }[];
};

describe("an inline manifest", () => {
  test("becomes a running run with its rows in order, and the planner is ordered once", async () => {
    const ref = await stores.upload("picture");
    const before = stores.orders();
    const url = "https://bucket.s3.eu-west-1.amazonaws.com/x.png?X-Amz-Signature=1";
    const { run, replayed } = await create({
      run_id: "inline",
      concurrency: 7,
      manifest: [
        { custom_id: "ü-1", image_ref: ref, tags: { store: "12", "Till.no_2-b": "nine, the red one" } },
        { file: "b/ä.png", image_key: "key-1/b.png", tags: {} },
        { image_url: url },
      ],
    });
    expect(replayed).toBe(false);
    expect(run).toMatchObject({
      state: "running",
      total: 3,
      concurrency: 7,
      source: "manifest",
      planning: null,
    });
    expect(run.startedAt).not.toBeNull();
    expect(run.epoch).toBeGreaterThan(0);
    const items = await stores.items(run.runUid);
    expect(items).toMatchObject([
      {
        index: 0,
        customId: "ü-1",
        file: null,
        tags: { store: "12", "Till.no_2-b": "nine, the red one" },
        sourceKind: "upload",
        declaredMimeType: "image/png",
        status: "queued",
      },
      {
        index: 1,
        customId: null,
        file: "b/ä.png",
        tags: null,
        sourceKind: "data",
        objectKey: "data/key-1/b.png",
        url: null,
      },
      { index: 2, sourceKind: "url", objectKey: null, etag: null, url },
    ]);
    const [upload] = await stores.services.db.query
      .select()
      .from(uploadTable)
      .where(eq(uploadTable.ref, ref));
    expect(upload?.etag).toBe(items[0]?.etag);
    expect(items[1]?.etag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(stores.orders()).toBe(before + 1);
  });

  test("has another payload hash with other tags, and without tags the same hash as before", async () => {
    const sent = (tags?: object) =>
      create({ run_id: "tagged", manifest: [{ ...shared, ...(tags === undefined ? {} : { tags }) }] });
    const { run } = await sent({ store: "12", till: "3" });
    expect(await sent({ till: "3", store: "12" })).toMatchObject({
      replayed: true,
      run: { runUid: run.runUid },
    });
    for (const other of [undefined, { store: "12", till: "4" }])
      expect(await failure(sent(other))).toMatchObject({
        code: "conflict",
        details: { reason: "id_reused" },
      });
  });

  test("has each mistake of its tags named, with the line and the tag", async () => {
    const wrong: [tags: unknown, path: string, message: RegExp][] = [
      [
        { "a b": "x" },
        "tags.(unprintable)",
        /^has a name that is not allowed: it must be 1 to 40 of the char/,
      ],
      [{ [`a${"b".repeat(40)}`]: "x" }, `tags.a${"b".repeat(40)}`, /must be 1 to 40/],
      [{ _store: "x" }, "tags._store", /beginning with a letter or digit$/],
      [JSON.parse('{"__proto__":"x","a":"b"}'), "tags.__proto__", /^has a name that is not allowed$/],
      [{ store: 12 }, "tags.store", /^must be text, not a number/],
      [{ store: "" }, "tags.store", /^must not be blank$/],
      [{ store: " \u00a0" }, "tags.store", /^must not be blank$/],
      [{ store: "x".repeat(101) }, "tags.store", /^must have at most 100 characters, not 101$/],
      [{ store: "a\u0007b" }, "tags.store", /^control characters are not allowed$/],
      [
        Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`t${i}`, "x"])),
        "tags",
        /^must have at most 10 tags$/,
      ],
      [["store"], "tags", /^must be an object, not a list/],
      [null, "tags", /^must be an object, not null/],
    ];
    const manifest = wrong.map(([tags]) => ({ ...shared, tags }));
    const { details } = await failure(create({ run_id: "wrong-tags", manifest }));
    expect(details?.issues).toEqual(
      wrong.map(([, path, message], i) => ({ line: i + 1, path, message: expect.stringMatching(message) })),
    );
  });

  test("has all its mistakes in one answer, by line, and leaves nothing behind", async () => {
    const foreign = await stores.upload("theirs", { keyId: "key-2" });
    const manifestRef = await stores.upload("{}", { kind: "manifest" });
    const runs = (await stores.runs()).length;
    const orders = stores.orders();
    const wrong: [unknown, string][] = [
      [{ image_key: "../key-2/secret.png" }, "image_key"],
      [{ image_key: "key-2/secret.png" }, "image_key"],
      [{ image_key: "/etc/passwd" }, "image_key"],
      [{ image_key: "C:/x.png" }, "image_key"],
      [{ image_key: "shared//a.png" }, "image_key"],
      [{ image_key: "shared/./a.png" }, "image_key"],
      [{ image_key: "shared\\a.png" }, "image_key"],
      [{ image_key: "shared/a.png\u0000" }, "image_key"],
      [{ image_key: "shared/none.png" }, "image_key"],
      [{ image_ref: foreign }, "image_ref"],
      [{ image_ref: manifestRef }, "image_ref"],
      [{ image_ref: "upload_xxxxxxxxxxxxxxxxxxxxxxxx" }, "image_ref"],
      [{ image_url: "http://bucket.s3.amazonaws.com/x" }, "image_url"],
      [{ image_url: "https://user@bucket.s3.amazonaws.com/x" }, "image_url"],
      [{ image_url: "https://169.254.169.254/latest" }, "image_url"],
      [{ image_url: "https://example.com/x.png" }, "image_url"],
      [{ ...shared, custom_id: "nul\u0000" }, "custom_id"],
      [{ ...shared, unknown: 1 }, "unknown"],
      [{}, "image_ref"],
      [7, ""],
      [{ ...shared, custom_id: "same" }, ""],
      [{ ...shared, custom_id: "same" }, "custom_id"],
      [{ ...shared, file: "f" }, ""],
      [{ ...shared, file: "f" }, "file"],
    ];
    const error = await failure(create({ run_id: "wrong", manifest: wrong.map(([line]) => line) }));
    const issues = error.details?.issues as { line: number; path: string }[];
    const expected = wrong.flatMap(([line, path], i) =>
      path === "" && line !== 7 ? [] : [{ line: i + 1, path }],
    );
    expect(issues.map(({ line, path }) => ({ line, path }))).toEqual(expected);
    expect(error.details?.issue_count).toBe(expected.length);
    expect(JSON.stringify(error.details)).not.toContain("secret");
    expect(await stores.runs()).toHaveLength(runs);
    expect(stores.orders()).toBe(orders);
  });

  test("names its first 100 mistakes and counts the others", async () => {
    const manifest = Array.from({ length: 1_000 }, () => ({ image_key: "shared/none.png" }));
    const error = await failure(create({ manifest }));
    expect(error.details?.issues).toHaveLength(100);
    expect(error.details?.issue_count).toBe(1_000);
    expect(
      (await failure(Promise.resolve().then(() => create({ manifest: [...manifest, shared] })))).code,
    ).toBe("invalid_request");
  });

  test.each([0, -1, 65, "4", 1.5, null])("concurrency %j is refused", (concurrency) => {
    expect(BatchRequest.safeParse({ manifest: [shared], concurrency }).success).toBe(false);
    expect(() => Create.parse({ manifest: [shared], concurrency })).toThrow();
  });

  test("an upload that was replaced after it was first read is refused", async () => {
    const ref = await stores.upload("good");
    await create({ manifest: [{ image_ref: ref }] });
    await stores.swap(ref, "evil");
    expect(await issuesOf(create({ manifest: [{ image_ref: ref }] }))).toMatchObject([
      { line: 1, path: "image_ref", message: expect.stringContaining("replaced") },
    ]);
  });
});

describe("the id of a run", () => {
  test("twenty calls with one id at once make one run with its rows once", async () => {
    const run_id = freshId();
    const body = {
      run_id,
      manifest: [
        { ...shared, file: "1" },
        { ...shared, file: "2" },
      ],
    };
    const made = await Promise.all(Array.from({ length: 20 }, () => create(body)));
    expect(made.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(new Set(made.map(({ run }) => run.runUid)).size).toBe(1);
    expect(await stores.items((await stores.run(run_id)).runUid)).toHaveLength(2);
  });

  test("gives the same run for the same payload, also when the inputs are gone or a URL was signed anew", async () => {
    const ref = await stores.upload("soon gone");
    const address = "https://b.s3.amazonaws.com/x.png";
    const body = (signature: string) => ({
      run_id: "replayed",
      manifest: [{ image_ref: ref }, { image_url: `${address}?v=1&X-Amz-Signature=${signature}` }],
    });
    const first = await create(body("a"));
    await stores.services.db.query.delete(uploadTable).where(eq(uploadTable.ref, ref));
    expect(await create(body("b"))).toMatchObject({ replayed: true, run: { runUid: first.run.runUid } });
    const other = { ...body("a"), manifest: [{ image_ref: ref }, { image_url: `${address}?v=2` }] };
    expect((await failure(create(other))).code).toBe("conflict");
  });

  test("stays taken when its run was deleted", async () => {
    const body = { run_id: freshId(), manifest: [shared] };
    const { run } = await create(body);
    for (const state of ["deleting", "deleted"] as const) {
      await stores.services.db.query.update(runTable).set({ state }).where(eq(runTable.runUid, run.runUid));
      expect((await failure(create(body))).code).toBe("conflict");
    }
  });

  test.each(["a~0", "", "-a", "a/b", "x".repeat(101), "backup.tar.gz"])("%j is refused", async (run_id) => {
    const { code, details } = await failure(create({ run_id, manifest: [shared] }));
    expect(code).toBe("invalid_request_id");
    expect(details?.issues).toMatchObject([{ path: "run_id" }]);
  });

  test("belongs to its key: two keys may use the same id", async () => {
    const body = { run_id: freshId(), manifest: [shared] };
    const mine = await create(body);
    const theirs = await create(body, callerOf(client("key-2")));
    expect(theirs).toMatchObject({ replayed: false, run: { keyId: "key-2" } });
    expect(theirs.run.runUid).not.toBe(mine.run.runUid);
  });

  test("has its own time to live, which the answer shows, and which a repeat must name, too", async () => {
    const body = { run_id: freshId(), manifest: [shared], expires_after: 3_600 };
    const { run } = await create(body);
    expect(Serialize.run(run, 0).expires_after).toBe(3_600);
    expect((await create(body)).replayed).toBe(true);
    const { expires_after: _, ...without } = body;
    expect((await failure(create(without))).code).toBe("conflict");
    expect(() => Create.parse({ ...body, expires_after: 59 })).toThrow("expires_after: ");
  });

  test("follows from an Idempotency-Key, and another payload under it is a conflict", async () => {
    const caller = callerOf(client(), "idem-1");
    const first = await create({ manifest: [shared] }, caller);
    const again = await create({ manifest: [shared] }, caller);
    expect(again).toMatchObject({ replayed: true, run: { runUid: first.run.runUid } });
    expect((await failure(create({ manifest: [{ image_key: "key-1/b.png" }] }, caller))).code).toBe(
      "conflict",
    );
  });

  test("of a run that failed for a passing reason can be used again", async () => {
    const body = { run_id: freshId(), manifest: [shared] };
    const { run } = await create(body);
    await stores.services.db.query
      .update(runTable)
      .set({ state: "failed", total: 0, errorCode: "storage_unavailable" })
      .where(eq(runTable.runUid, run.runUid));
    const again = await create(body);
    expect(again).toMatchObject({ replayed: false, run: { state: "running" } });
    expect(again.run.runUid).not.toBe(run.runUid);
  });
});

describe("a key's limits", () => {
  const limited = (keyId: string, limits: object) =>
    callerOf(client(keyId, { limits: { ...noLimits, ...limits } }));

  test("parallel batches are accepted as long as they fit as a whole, and are counted exactly", async () => {
    const caller = limited("key-day", { itemsPerDay: 10 });
    const manifest = [shared, shared, shared];
    const ended = await Promise.allSettled(Array.from({ length: 8 }, () => create({ manifest }, caller)));
    expect(ended.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
    const refused = ended.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    for (const error of refused)
      expect(error).toMatchObject({ code: "rate_limited", details: { limit: "items_per_day" } });
    const [usage] = await stores.services.db.query
      .select()
      .from(usageTable)
      .where(eq(usageTable.keyId, "key-day"));
    expect(usage?.items).toBe(9);
  });

  test("a run with a higher concurrency than the key's limit is refused", async () => {
    const caller = limited("key-wide", { maxInFlight: 3 });
    const error = await failure(create({ task_id: "receipt_fields_v1", manifest: [shared] }, caller));
    expect(error).toMatchObject({
      code: "forbidden",
      details: { limit: "max_in_flight", allowed: 3, requested: 4 },
    });
  });

  test("a run above max_run_items is refused", async () => {
    const caller = limited("key-run", { maxRunItems: 1 });
    const error = await failure(create({ manifest: [shared, shared] }, caller));
    expect(error).toMatchObject({ code: "forbidden", details: { limit: "max_run_items" } });
  });
});

test("a run is made even if the queue does not take its order", async () => {
  const warnings: string[] = [];
  const log = { ...silent, warn: (event: string) => void warnings.push(event) };
  const { queues } = stores.services;
  const away = { ...queues, urls: { ...queues.urls, urgent: `${stores.queue.url}/000000000000/none.fifo` } };
  const { run } = await Create.create(
    { ...stores.services, queues: away },
    log,
    Create.parse({ manifest: [shared] }),
    callerOf(),
  );
  expect(run.state).toBe("running");
  expect(warnings).toContain("order_failed");
});
