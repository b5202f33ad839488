import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import * as tar from "tar-stream";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import * as Listing from "#core/artifact/listing";
import * as Backup from "#core/backup/backup";
import * as Job from "#core/backup/job";
import * as BackupLimits from "#core/backup/limits";
import { verify } from "#core/backup/verify";
import * as Bucket from "#core/bucket/bucket";
import { silent, start, type TestBucket } from "#test/support/test-bucket";

const MiB = 1024 * 1024;
const everything: Listing.Range = { kinds: Listing.kinds, keyId: undefined, from: undefined, to: undefined };
/** Large from 5 artifacts on, a segment every 2, hand-over after every second segment. */
const small: BackupLimits.Limits = {
  ...BackupLimits.limits(),
  direct: { objects: 4, bytes: 16 * MiB, listCalls: 40 },
  segment: { bytes: MiB, objects: 2 },
  partBytes: 5 * MiB,
  segmentsPerStep: 2,
};

let store: TestBucket;
beforeAll(async () => {
  store = await start();
});
afterAll(async () => {
  await store.close();
});

const isUnder = (prefix: string) => async () => (await Bucket.list(store.bucket, silent, { prefix })).objects;
async function clear(): Promise<void> {
  for (const prefix of ["extracts/", "batches/", "evals/", "backups/"])
    await Promise.all((await isUnder(prefix)()).map(({ rel }) => Bucket.remove(store.bucket, silent, rel)));
}
afterEach(async () => {
  store.hook.answer = () => undefined;
  await clear();
});

const artifact = (i: number, key = "alice") =>
  `extracts/2026-11-${String(10 + (i % 5))}/${key}/r-${String(i).padStart(3, "0")}.json`;
async function put(count: number, key = "alice", bytes = 300): Promise<string[]> {
  const rels = Array.from({ length: count }, (_, i) => artifact(i, key));
  await Promise.all(
    rels.map((rel, i) => store.put(rel, JSON.stringify({ rel, filler: String(i).repeat(bytes) }))),
  );
  return rels;
}

/** A caller and the queue that its orders go to. */
function client(keyId = "admin", limits = small) {
  const queue: Job.Message[] = [];
  const services: Job.Services = { bucket: store.bucket, send: async (message) => void queue.push(message) };
  const deliver = (message: Job.Message, leaseMs = 60_000, timeMs = 60_000) =>
    Job.step(services, message, {
      deadline: Date.now() + timeMs,
      leaseUntil: new Date(Date.now() + leaseMs),
      log: silent,
      limits,
    });
  return {
    queue,
    services,
    deliver,
    request: (range: Partial<Listing.Range> = {}) =>
      Backup.request(services, { ...everything, ...range }, { keyId, log: silent, limits }),
    /** Delivers until no message is left; how many steps it took. */
    async run(): Promise<number> {
      let steps = 0;
      for (let message = queue.shift(); message !== undefined; message = queue.shift(), steps += 1)
        await deliver(message);
      return steps;
    },
  };
}

async function bytesOf(outcome: Backup.Outcome): Promise<Buffer> {
  if (outcome.kind === "bytes") return Buffer.from(outcome.bytes);
  if (outcome.kind !== "stored") throw new Error("the backup is not there yet");
  return Buffer.from((await Bucket.get(store.bucket, silent, outcome.rel)) ?? []);
}

const verified = (archive: Buffer) => verify(() => Readable.from(slices(archive)));
function* slices(archive: Buffer) {
  for (let at = 0; at < archive.length; at += 64 * 1024) yield archive.subarray(at, at + 64 * 1024);
}

/** Names and contents as the system's tar sees them; as tar-stream does, where there is none. */
async function untar(archive: Buffer): Promise<Map<string, string>> {
  const dir = await mkdtemp(join(tmpdir(), "ocrlty-tar-"));
  const run = (args: string[]) => promisify(execFile)("tar", args, { cwd: dir, maxBuffer: 100 * MiB });
  const entries = new Map<string, string>();
  try {
    await writeFile(join(dir, "b.tar.gz"), archive);
    const hasTar = await run(["--version"]).then(
      () => true,
      () => false,
    );
    if (hasTar) {
      for (const name of (await run(["-tzf", "b.tar.gz"])).stdout.trim().split(/\r?\n/))
        entries.set(name, (await run(["-xzOf", "b.tar.gz", name])).stdout);
      return entries;
    }
    for await (const entry of Readable.from([gunzipSync(archive)]).pipe(
      tar.extract() as never,
    ) as tar.Extract)
      entries.set(entry.header.name, await text(entry as never));
    return entries;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

describe("a small backup", () => {
  test("is answered at once, and the system's tar reads it", async () => {
    const rels = await put(3);
    // Longer than a tar header has room for.
    rels.push(`extracts/2026-11-14/${"k".repeat(64)}/${"r".repeat(128)}~attempt-12.json`);
    await store.put(rels[3] ?? "");
    rels.sort();
    const outcome = await client().request();
    expect(outcome.kind).toBe("bytes");
    const archive = await bytesOf(outcome);
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
    expect(await isUnder("backups/")()).toEqual([]);
  });

  test("of nothing is a whole archive without artifacts", async () => {
    const result = await verified(await bytesOf(await client().request()));
    expect(result).toMatchObject({ ok: true, entries: 0, head: { entries: 0, bytes: 0 } });
  });

  test("is stored when it does not fit an answer", async () => {
    await store.put(artifact(0), randomBytes(300_000).toString("base64"));
    const outcome = await client("admin", { ...small, answerBytes: 100_000 }).request();
    expect(outcome.kind).toBe("stored");
    expect(await verified(await bytesOf(outcome))).toMatchObject({ ok: true, entries: 1 });
  });

  test("holds only what the range names: kinds, days, key", async () => {
    await store.put("extracts/2026-11-10/alice/a.json");
    await store.put("extracts/2026-11-11/alice/b.json");
    await store.put("extracts/2026-11-11/bob/c.json");
    await store.put("evals/2026-11-11/alice/d.json");
    const names = async (range: Partial<Listing.Range>) =>
      [...(await untar(await bytesOf(await client().request(range)))).keys()].slice(0, -1);
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
    const rels = (await put(14)).toSorted();
    const admin = client();
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
    const archive = await bytesOf(outcome);
    expect(await verified(archive)).toMatchObject({ ok: true, entries: 14 });
    expect([...(await untar(archive)).keys()]).toEqual([...rels, "manifest.jsonl"]);
    // Only the state and the archive are left.
    expect((await isUnder("backups/")()).length).toBe(2);
  });

  test("is one gzip member, which readers of a single one unpack to its last byte", async () => {
    await put(9);
    const { request, run } = client();
    await request();
    expect(await run()).toBeGreaterThan(1);
    const archive = await bytesOf(await request());
    const unpacked = new Blob([archive]).stream().pipeThrough(new DecompressionStream("gzip"));
    expect(Buffer.from(await new Response(unpacked).arrayBuffer()).equals(gunzipSync(archive))).toBe(true);
    expect(await verified(archive)).toMatchObject({ ok: true, entries: 9 });
  });

  test("that an older version began is begun anew, and its order is dropped", async () => {
    await put(9);
    const { request, run, queue, deliver } = client();
    await request();
    const [{ rel } = { rel: "" }] = await isUnder("backups/")();
    const { unpacked: _, ...older } = JSON.parse(
      String(Buffer.from((await Bucket.get(store.bucket, silent, rel)) ?? [])),
    );
    await Bucket.replace(store.bucket, silent, rel, {
      body: JSON.stringify(older),
      contentType: "application/json",
    });
    const message = queue.shift() as Job.Message;
    await deliver(message);
    expect(queue).toEqual([]);
    expect(await request()).toMatchObject({ kind: "building" });
    await run();
    expect(await verified(await bytesOf(await request()))).toMatchObject({ ok: true, entries: 9 });
  });

  test("is the same job for the same caller and range, another one for others", async () => {
    await put(6);
    const [alice, bob] = [client("alice"), client("bob")];
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
    await put(7, "alice");
    await put(7, "al");
    const alice = client("al");
    await alice.request({ keyId: "al" });
    await alice.run();
    const names = [...(await untar(await bytesOf(await alice.request({ keyId: "al" })))).keys()];
    expect(names.length).toBe(8);
    expect(names.filter((name) => !name.includes("/al/"))).toEqual(["manifest.jsonl"]);
  });

  test("leaves out what is written after it was asked for", async () => {
    await put(9);
    const admin = client();
    await admin.request();
    await admin.deliver(admin.queue.shift() as Job.Message);
    await new Promise((resolve) => setTimeout(resolve, 2));
    await store.put("extracts/2026-11-30/alice/late.json");
    await admin.run();
    expect(await verified(await bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 9 });
  });

  test("of many megabytes crosses parts and streams large artifacts", async () => {
    await put(6);
    const large = randomBytes(5.5 * MiB).toString("base64");
    await store.put("batches/2026-11-10/alice/run.items.jsonl", large);
    const admin = client();
    await admin.request();
    await admin.run();
    const outcome = await admin.request();
    const archive = await bytesOf(outcome);
    expect(archive.length).toBeGreaterThan(small.partBytes);
    expect(await verified(archive)).toMatchObject({ ok: true, entries: 7 });
    expect((await untar(archive)).get("batches/2026-11-10/alice/run.items.jsonl")).toBe(large);
  });

  test("comes further in every step, also when there is no time for a whole one", async () => {
    await put(9);
    const admin = client();
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
    expect(await verified(await bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 9 });
  });

  test("of which a part was lost is begun anew by whoever asks, never finished without it", async () => {
    await put(9);
    const admin = client();
    await admin.request();
    await admin.deliver(admin.queue.shift() as Job.Message);
    for (const { rel } of await isUnder("backups/")())
      if (/carry|lines/.test(rel)) await Bucket.remove(store.bucket, silent, rel);
    await admin.run();
    expect(await isUnder("backups/")()).toEqual([]);
    expect((await admin.request()).kind).toBe("building");
    await admin.run();
    expect(await verified(await bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 9 });
  });

  test("is begun anew once the finished one has been there for a while", async () => {
    await put(6);
    const admin = client("admin", { ...small, reuseMs: 0 });
    await admin.request();
    await admin.run();
    expect((await admin.request()).kind).toBe("building");
    expect(admin.queue.length).toBe(1);
  });

  test("whose message was lost is ordered again by whoever asks", async () => {
    await put(6);
    const admin = client("admin", { ...small, idleMs: -1 });
    await admin.request();
    admin.queue.length = 0;
    expect((await admin.request()).kind).toBe("building");
    expect(admin.queue.length).toBe(1);
    await admin.run();
    expect((await admin.request()).kind).toBe("stored");
  });

  test("tells the caller when the order could not be sent, and the next call sends it", async () => {
    await put(6);
    const admin = client("admin", { ...small, idleMs: -1 });
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

describe("a worker that dies", () => {
  /**
   * Makes a backup whose creation time is always the same, so that archives can be compared byte by byte. The
   * worker dies at the `crashAt`th call of its steps: that call and all later ones fail, until the message comes again.
   * @returns the archive, and the operations of the steps.
   */
  async function make(
    createdAt: number,
    crashAt?: number,
  ): Promise<{ archive: Buffer; operations: string[] }> {
    const admin = client();
    vi.useFakeTimers({ toFake: ["Date"], now: createdAt });
    await admin.request();
    vi.useRealTimers();
    const state = admin.queue[0]?.state ?? "";
    const operations: string[] = [];
    let dead = false;
    store.hook.answer = ({ operation, key }) => {
      operations.push(key.endsWith(".json") && key.includes("/extracts/") ? "artifact" : operation);
      dead ||= operations.length === crashAt;
      return dead ? { status: 403 } : undefined;
    };
    for (let message = admin.queue[0]; message !== undefined; message = admin.queue[0]) {
      const delivered = await admin.deliver(message, 20).then(
        () => true,
        () => false,
      );
      dead = false;
      if (delivered) admin.queue.shift();
      // The dead worker's lease has to end first.
      else
        await vi.waitUntil(
          async () => ((await Job.load(store.bucket, silent, state))?.state.leaseUntil ?? 0) < Date.now(),
          { interval: 5 },
        );
    }
    store.hook.answer = () => undefined;
    const made = (await isUnder("backups/")()).map((object) => object.rel);
    expect(made.length).toBe(2);
    const archive = await bytesOf({ kind: "stored", rel: made.find((rel) => rel.endsWith(".tar.gz")) ?? "" });
    await clearBackups();
    return { archive, operations };
  }
  const clearBackups = async () => {
    for (const { rel } of await isUnder("backups/")()) await Bucket.remove(store.bucket, silent, rel);
  };
  const soon = async () => {
    const createdAt = Date.now() + 20;
    await vi.waitUntil(() => Date.now() > createdAt, { interval: 5 });
    return createdAt;
  };

  test("at any call of any step costs nothing: the archive is the same, byte by byte", async () => {
    await put(5);
    const createdAt = await soon();
    const { archive, operations } = await make(createdAt);
    expect(await verified(archive)).toMatchObject({ ok: true, entries: 5 });
    // Before each call that changes something, and amid the cleaning up: between two of them a death is the same.
    const changes = operations.flatMap((operation, i) =>
      /^(Put|Create|Upload|Complete)/.test(operation) ? [i + 1] : [],
    );
    const points = [...changes, operations.indexOf("DeleteObject") + 2];
    expect(points.length).toBeGreaterThan(8);
    for (const crashAt of points) {
      const again = await make(createdAt, crashAt);
      expect(again.archive.equals(archive), `crash at call ${crashAt}, ${operations[crashAt - 1]}`).toBe(
        true,
      );
    }
  });

  test("between two parts, or after the last, costs nothing either", async () => {
    await put(5);
    await store.put("evals/2026-11-10/alice/large.json", randomBytes(5.5 * MiB).toString("base64"));
    const createdAt = await soon();
    const { archive, operations } = await make(createdAt);
    expect(archive.length).toBeGreaterThan(small.partBytes);
    const parts = operations.flatMap((operation, i) => (operation === "UploadPart" ? [i + 2] : []));
    expect(parts.length).toBe(2);
    for (const crashAt of [parts[0] ?? 0, operations.indexOf("CompleteMultipartUpload") + 2]) {
      expect((await make(createdAt, crashAt)).archive.equals(archive), `crash at call ${crashAt}`).toBe(true);
    }
  });
});

describe("deliveries", () => {
  test("of one step at the same time: one works, the other is told to come again, the archive is whole", async () => {
    await put(11);
    const admin = client();
    await admin.request();
    let refused = 0;
    while (admin.queue.length > 0) {
      const message = admin.queue.shift() as Job.Message;
      const results = await Promise.allSettled([
        admin.deliver(message),
        admin.deliver(message),
        admin.deliver(message),
      ]);
      expect(results.some((result) => result.status === "fulfilled")).toBe(true);
      for (const result of results) {
        if (result.status === "fulfilled") continue;
        refused += 1;
        expect(result.reason).toMatchObject({ retryAfterS: expect.any(Number) });
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(await verified(await bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 11 });
  });

  test("of old messages, of another making and after the end change nothing", async () => {
    await put(11);
    const admin = client();
    await admin.request();
    const first = admin.queue[0] as Job.Message;
    await admin.run();
    const before = await bytesOf(await admin.request());
    for (const message of [
      first,
      { ...first, job: "another" },
      { ...first, step: 2 },
      { ...first, state: "backups/x/00.json" },
    ])
      await admin.deliver(message);
    expect(admin.queue).toEqual([]);
    expect((await bytesOf(await admin.request())).equals(before)).toBe(true);
  });

  test("of a step whose worker died before it handed over: the next step is ordered", async () => {
    await put(11);
    const admin = client();
    await admin.request();
    const first = admin.queue.shift() as Job.Message;
    const { send } = admin.services;
    admin.services.send = async () => {
      throw new Error("the queue is away");
    };
    await expect(admin.deliver(first)).rejects.toThrow();
    admin.services.send = send;
    await admin.deliver(first);
    expect(admin.queue.map((message) => message.step)).toEqual([1]);
    await admin.run();
    expect(await verified(await bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 11 });
  });
});
