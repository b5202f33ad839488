import { createHash, randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type * as Listing from "#core/artifact/listing";
import type * as Job from "#core/backup/job";
import * as Bucket from "#core/bucket/bucket";
import { artifact, MiB, type Rig, small, start, untar, verified } from "#test/support/backup-rig";
import { silent } from "#test/support/test-bucket";

let rig: Rig;
beforeAll(async () => {
  rig = await start();
});
afterAll(() => rig.close());
afterEach(() => rig.reset());

describe("a small backup", () => {
  test("is answered immediately, and the system's tar reads it", async () => {
    const rels = await rig.put(3);
    // Longer than a tar header has room for.
    rels.push(`extracts/2026-11-14/${"k".repeat(64)}/${"r".repeat(128)}~attempt-12.json`);
    await rig.store.put(rels[3] ?? "");
    rels.sort();
    const outcome = await rig.client().request();
    expect(outcome.kind).toBe("bytes");
    const archive = await rig.bytesOf(outcome);
    const entries = await untar(archive);
    expect([...entries.keys()]).toEqual([...rels, "manifest.jsonl"]);
    const [head, ...lines] = (entries.get("manifest.jsonl") ?? "")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(head).toMatchObject({ format: "ocrlty-backup/1", entries: 4, key_id: null, from: null, to: null });
    for (const { path, bytes, sha256 } of lines) {
      const content = entries.get(path) ?? "";
      expect({ bytes, sha256 }).toEqual({
        bytes: Buffer.byteLength(content),
        sha256: createHash("sha256").update(content).digest("hex"),
      });
    }
    expect(await verified(archive)).toMatchObject({ ok: true, entries: 4, problems: [] });
    expect(await rig.isUnder("backups/")()).toEqual([]);
  });

  test("of nothing is a whole archive without artifacts", async () => {
    const result = await verified(await rig.bytesOf(await rig.client().request()));
    expect(result).toMatchObject({ ok: true, entries: 0, head: { entries: 0, bytes: 0 } });
  });

  test("is stored when it does not fit an answer", async () => {
    await rig.store.put(artifact(0), randomBytes(300_000).toString("base64"));
    const outcome = await rig.client("admin", { ...small, answerBytes: 100_000 }).request();
    expect(outcome.kind).toBe("stored");
    expect(await verified(await rig.bytesOf(outcome))).toMatchObject({ ok: true, entries: 1 });
  });

  test("holds only what the range names: kinds, days, key", async () => {
    await rig.store.put("extracts/2026-11-10/alice/a.json");
    await rig.store.put("extracts/2026-11-11/alice/b.json");
    await rig.store.put("extracts/2026-11-11/bob/c.json");
    await rig.store.put("evals/2026-11-11/alice/d.json");
    const names = async (range: Partial<Listing.Range>) =>
      [...(await untar(await rig.bytesOf(await rig.client().request(range)))).keys()].slice(0, -1);
    expect(await names({ keyId: "alice", kinds: ["extracts"] })).toEqual([
      "extracts/2026-11-10/alice/a.json",
      "extracts/2026-11-11/alice/b.json",
    ]);
    expect(await names({ from: "2026-11-11", to: "2026-11-11" })).toEqual([
      "evals/2026-11-11/alice/d.json",
      "extracts/2026-11-11/alice/b.json",
      "extracts/2026-11-11/bob/c.json",
    ]);
    expect(await names({ keyId: "bob" })).toEqual(["extracts/2026-11-11/bob/c.json"]);
  });
});

describe("a large backup", () => {
  test("is made in steps that hand over, while the same call says that it is being made", async () => {
    const rels = (await rig.put(14)).toSorted();
    const admin = rig.client();
    expect(await admin.request()).toMatchObject({ kind: "building", entries: 0, retryAfterS: 5 });
    expect(admin.queue.length).toBe(1);
    const first = admin.queue.shift() as Job.Message;
    await admin.deliver(first);
    expect(await admin.request()).toMatchObject({ kind: "building", entries: 4 });
    // Asking orders nothing: the only message is the step's own hand-over.
    expect(admin.queue.map((message) => message.step)).toEqual([1]);
    expect(await admin.run()).toBe(3);
    const outcome = await admin.request();
    expect(outcome.kind).toBe("stored");
    const archive = await rig.bytesOf(outcome);
    expect(await verified(archive)).toMatchObject({ ok: true, entries: 14 });
    expect([...(await untar(archive)).keys()]).toEqual([...rels, "manifest.jsonl"]);
    // Only the state and the archive are left.
    expect((await rig.isUnder("backups/")()).length).toBe(2);
  });

  test("is one gzip member, which readers of a single one unpack to its last byte", async () => {
    await rig.put(9);
    const { request, run } = rig.client();
    await request();
    expect(await run()).toBeGreaterThan(1);
    const archive = await rig.bytesOf(await request());
    const unpacked = new Blob([archive]).stream().pipeThrough(new DecompressionStream("gzip"));
    expect(Buffer.from(await new Response(unpacked).arrayBuffer()).equals(gunzipSync(archive))).toBe(true);
    expect(await verified(archive)).toMatchObject({ ok: true, entries: 9 });
  });

  test("that an older version began is begun anew, and its order is dropped", async () => {
    await rig.put(9);
    const { request, run, queue, deliver } = rig.client();
    await request();
    const [{ rel } = { rel: "" }] = await rig.isUnder("backups/")();
    const { unpacked: _, ...older } = JSON.parse(
      String(Buffer.from((await Bucket.get(rig.store.bucket, silent, rel)) ?? [])),
    );
    await Bucket.replace(rig.store.bucket, silent, rel, {
      body: JSON.stringify(older),
      contentType: "application/json",
    });
    const message = queue.shift() as Job.Message;
    await deliver(message);
    expect(queue).toEqual([]);
    expect(await request()).toMatchObject({ kind: "building" });
    await run();
    expect(await verified(await rig.bytesOf(await request()))).toMatchObject({ ok: true, entries: 9 });
  });

  test("is the same job for the same caller and range, another one for others", async () => {
    await rig.put(6);
    const [alice, bob] = [rig.client("alice"), rig.client("bob")];
    await Promise.all([alice.request(), alice.request(), alice.request()]);
    expect(new Set(alice.queue.map((message) => message.job)).size).toBe(1);
    await bob.request();
    await alice.request({ from: "2026-01-01" });
    expect(new Set([...alice.queue, ...bob.queue].map((message) => message.state)).size).toBe(3);
    await alice.run();
    const [first, second] = [await alice.request(), await alice.request()];
    expect(first).toEqual(second);
    expect(first).toMatchObject({ kind: "stored", rel: expect.stringMatching(/^backups\/alice\//) });
  });

  test("of one key never holds another's artifacts", async () => {
    await rig.put(7, "alice");
    await rig.put(7, "al");
    const alice = rig.client("al");
    await alice.request({ keyId: "al" });
    await alice.run();
    const names = [...(await untar(await rig.bytesOf(await alice.request({ keyId: "al" })))).keys()];
    expect(names.length).toBe(8);
    expect(names.filter((name) => !name.includes("/al/"))).toEqual(["manifest.jsonl"]);
  });

  test("leaves out what is written after it was asked for", async () => {
    await rig.put(9);
    const admin = rig.client();
    await admin.request();
    await admin.deliver(admin.queue.shift() as Job.Message);
    await new Promise((resolve) => setTimeout(resolve, 2));
    await rig.store.put("extracts/2026-11-30/alice/late.json");
    await admin.run();
    expect(await verified(await rig.bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 9 });
  });

  test("of many megabytes crosses parts and streams large artifacts", async () => {
    await rig.put(6);
    const large = randomBytes(5.5 * MiB).toString("base64");
    await rig.store.put("batches/2026-11-10/alice/run.items.jsonl", large);
    const admin = rig.client();
    await admin.request();
    await admin.run();
    const outcome = await admin.request();
    const archive = await rig.bytesOf(outcome);
    expect(archive.length).toBeGreaterThan(small.partBytes);
    expect(await verified(archive)).toMatchObject({ ok: true, entries: 7 });
    expect((await untar(archive)).get("batches/2026-11-10/alice/run.items.jsonl")).toBe(large);
  });

  test("makes progress in every step, also when there is no time for a whole one", async () => {
    await rig.put(9);
    const admin = rig.client();
    await admin.request();
    let steps = 0;
    for (
      let message = admin.queue.shift();
      message !== undefined;
      message = admin.queue.shift(), steps += 1
    ) {
      await admin.deliver(message, 60_000, 0);
      expect(steps).toBeLessThan(15);
    }
    expect(steps).toBeGreaterThan(3);
    expect(await verified(await rig.bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 9 });
  });

  test("that lost a part is begun again by the next call, and never finished without that part", async () => {
    await rig.put(9);
    const admin = rig.client();
    await admin.request();
    await admin.deliver(admin.queue.shift() as Job.Message);
    for (const { rel } of await rig.isUnder("backups/")())
      if (/carry|lines/.test(rel)) await Bucket.remove(rig.store.bucket, silent, rel);
    await admin.run();
    expect(await rig.isUnder("backups/")()).toEqual([]);
    expect((await admin.request()).kind).toBe("building");
    await admin.run();
    expect(await verified(await rig.bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 9 });
  });

  test("is made anew when the finished one is older than `reuseMs`", async () => {
    await rig.put(6);
    const admin = rig.client("admin", { ...small, reuseMs: 0 });
    await admin.request();
    await admin.run();
    expect((await admin.request()).kind).toBe("building");
    expect(admin.queue.length).toBe(1);
  });

  test("whose message was lost is ordered again by the next call", async () => {
    await rig.put(6);
    const admin = rig.client("admin", { ...small, idleMs: -1 });
    await admin.request();
    admin.queue.length = 0;
    expect((await admin.request()).kind).toBe("building");
    expect(admin.queue.length).toBe(1);
    await admin.run();
    expect((await admin.request()).kind).toBe("stored");
  });

  test("tells the caller when the order could not be sent, and the next call sends it", async () => {
    await rig.put(6);
    const admin = rig.client("admin", { ...small, idleMs: -1 });
    const { send } = admin.services;
    admin.services.send = async () => {
      throw new Error("the queue is away");
    };
    await expect(admin.request()).rejects.toThrow();
    admin.services.send = send;
    await admin.request();
    expect(await admin.run()).toBe(2);
  });
});
