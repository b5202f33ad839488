import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { constants, createGzip, gzipSync } from "node:zlib";
import * as tar from "tar-stream";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as Listing from "#core/artifact/listing";
import * as Place from "#core/artifact/place";
import * as Backup from "#core/backup/backup";
import * as BackupLimits from "#core/backup/limits";
import * as Restore from "#core/backup/restore";
import { verify } from "#core/backup/verify";
import * as Bucket from "#core/bucket/bucket";
import * as Row from "#core/extraction/row";
import * as Key from "#core/key/key";
import * as Record from "#core/reading/record";
import { askedNobody } from "#core/reading/schema";
import { silent, start as startBucket, type TestBucket } from "#test/support/test-bucket";
import { start as startDatabase } from "#test/support/test-database";

let store: TestBucket;
let database: Awaited<ReturnType<typeof startDatabase>>;
beforeAll(async () => {
  [store, database] = await Promise.all([startBucket(), startDatabase()]);
});
afterAll(async () => {
  await store.close();
  await database.close();
});
const kinds = ["extracts/", "batches/"];
const stored = async () =>
  (await Promise.all(kinds.map((prefix) => Bucket.list(store.bucket, silent, { prefix })))).flatMap(
    ({ objects }) => objects.map(({ rel }) => rel),
  );
afterEach(async () => {
  store.hook.answer = () => undefined;
  await Promise.all((await stored()).map((rel) => Bucket.remove(store.bucket, silent, rel)));
  await database.db.client.batch(["DELETE FROM extract", 'DELETE FROM "key"'], "write");
});

const createdAt = new Date("2026-11-20T23:59:59.500Z");
const relOf = (id: string, key = "alice") => Place.extractKey(key, id, createdAt);
function artifact(id: string, more: object = {}, key = "alice"): string {
  return Record.encode({
    request_id: id,
    task_id: "receipt_fields_v1",
    created_at: createdAt.toISOString(),
    status: "succeeded",
    ...askedNobody,
    result: { total: "1.00" },
    schema_ok: true,
    usage: { prompt_tokens: 1, completion_tokens: 1, attempts: 2 },
    timings_ms: { total: 1_500, image: 0, inference: 0, validate: 0 },
    artifact_rel: relOf(id, key),
    payload_hash: `hash of ${id}`,
    input: null,
    sent: null,
    request: null,
    raw_model_text: null,
    finish_reason: null,
    attempts: [],
    principal: { key_id: key, role: "client" },
    code_version: "1",
    ...more,
  } as Parameters<typeof Record.encode>[0]);
}

/** A backup of the bucket's content; the bucket is empty afterwards. */
async function backedUp(objects: Readonly<Record<string, string>>): Promise<Buffer> {
  for (const [rel, text] of Object.entries(objects)) await store.put(rel, text);
  const made = await Backup.request(
    { bucket: store.bucket, send: async () => undefined },
    { kinds: Listing.kinds, keyId: undefined, from: undefined, to: undefined },
    { keyId: "admin", log: silent, limits: BackupLimits.limits(1) },
  );
  if (made.kind !== "bytes") throw new Error("that is not a small backup");
  await Promise.all((await stored()).map((rel) => Bucket.remove(store.bucket, silent, rel)));
  return Buffer.from(made.bytes);
}

const restore = (archive: Buffer, more: Partial<Parameters<typeof Restore.restore>[2]> = {}) =>
  Restore.restore({ db: database.db, bucket: store.bucket }, () => Readable.from([archive]), {
    ...{ revoked: false, log: silent, signal: new AbortController().signal, ...more },
  });
const none = { written: 0, already_there: 0, conflicts: 0, deleted: 0, revoked: 0, rows: 0, without_row: 0 };
const textAt = async (rel: string) =>
  Buffer.from((await Bucket.get(store.bucket, silent, rel)) ?? []).toString();

describe("restore", () => {
  test("artifacts lie under their keys again, extracts are found as they ended, runs are not", async () => {
    const failed = {
      status: "failed",
      error: { code: "invalid_image", message: "no picture" },
      schema_ok: null,
    };
    const objects = {
      [relOf("a")]: artifact("a"),
      [relOf("b")]: artifact("b", failed),
      [relOf("run-1~0")]: artifact("run-1~0"),
      [Place.attemptKey("alice", "c", createdAt, 3)]: artifact("c", failed),
      "batches/2026-11-20/alice/run-1.json": "{}",
      "batches/2026-11-20/alice/run-1.items.jsonl": "{}\n",
    };
    const { restored, verified } = await restore(await backedUp(objects));
    expect({ restored, ok: verified.ok }).toEqual({
      restored: { ...none, written: 6, rows: 2, without_row: 4 },
      ok: true,
    });
    for (const [rel, text] of Object.entries(objects)) expect(await textAt(rel)).toBe(text);
    expect(await Row.find(database.db, "alice", "a")).toMatchObject({
      status: "succeeded",
      taskId: "receipt_fields_v1",
      payloadHash: "hash of a",
      artifactRel: relOf("a"),
      schemaOk: true,
      createdAt,
      endedAt: new Date(createdAt.getTime() + 1_500),
      attempts: 2,
    });
    expect(await Row.find(database.db, "alice", "b")).toMatchObject({
      status: "failed",
      errorCode: "invalid_image",
      errorMessage: "no picture",
    });
    expect(await Row.find(database.db, "alice", "run-1~0")).toBeUndefined();
  });

  test("it may be repeated, and continues after the bucket was away in the middle", async () => {
    const names = Array.from({ length: 120 }, (_, i) => `r-${String(i).padStart(3, "0")}`);
    const archive = await backedUp(Object.fromEntries(names.map((id) => [relOf(id), artifact(id)])));
    let puts = 0;
    store.hook.answer = ({ operation }) =>
      /put/i.test(operation) && ++puts > 70 ? { status: 403 } : undefined;
    await expect(restore(archive)).rejects.toMatchObject({ code: "storage_unavailable" });
    store.hook.answer = () => undefined;
    const there = (await stored()).length;
    expect(there).toBe(70);
    const { restored } = await restore(archive);
    expect(restored).toMatchObject({ written: 50, already_there: 70, rows: 70 });
    expect((await restore(archive)).restored).toEqual({ ...none, already_there: 120 });
  });

  test("what lies there stays, whatever the settings allow, and gets no row", async () => {
    const archive = await backedUp({ [relOf("a")]: artifact("a") });
    await store.put(relOf("a"), "somebody else's");
    const conflicts: string[] = [];
    const bucket = { ...store.bucket, settings: { ...store.bucket.settings, allowOverwrite: true } };
    const { restored } = await Restore.restore({ db: database.db, bucket }, () => Readable.from([archive]), {
      ...{ revoked: false, log: silent, signal: new AbortController().signal },
      onConflict: (path) => conflicts.push(path),
    });
    expect(restored).toEqual({ ...none, conflicts: 1 });
    expect(conflicts).toEqual([relOf("a")]);
    expect(await textAt(relOf("a"))).toBe("somebody else's");
    expect(await Row.find(database.db, "alice", "a")).toBeUndefined();
  });

  test("what was deleted since stays deleted, and what belongs to a revoked key is left out unless it is asked for", async () => {
    const bob = artifact("b", {}, "bob");
    const archive = await backedUp({ [relOf("a")]: artifact("a"), [relOf("b", "bob")]: bob });
    await restore(archive);
    await database.db.client.execute("UPDATE extract SET status = 'deleted' WHERE request_id = 'a'");
    await database.db.client.execute("DELETE FROM extract WHERE request_id = 'b'");
    await Promise.all((await stored()).map((rel) => Bucket.remove(store.bucket, silent, rel)));
    await Key.create(database.db, "a pepper of at least sixteen", { keyId: "bob", role: "client" });
    await Key.revoke(database.db, "bob");
    expect((await restore(archive)).restored).toEqual({ ...none, deleted: 1, revoked: 1 });
    expect(await stored()).toEqual([]);
    expect((await restore(archive, { revoked: true })).restored).toEqual({
      ...{ ...none, deleted: 1, written: 1, rows: 1 },
    });
  });

  test("an artifact whose content names another key or id gets no row", async () => {
    const objects = {
      [relOf("a")]: artifact("b"),
      [relOf("c")]: artifact("c", { principal: { key_id: "bob", role: "client" } }),
      [relOf("d")]: artifact("d", { created_at: "2020-01-01T00:00:00.000Z" }),
      [relOf("e")]: "no JSON",
    };
    expect((await restore(await backedUp(objects))).restored).toEqual({ ...none, written: 4 });
  });
});

describe("an archive that this program did not make", () => {
  type Header = Parameters<tar.Pack["entry"]>[0];
  const packed = async (entries: [Header, string?][]): Promise<Buffer> => {
    const pack = tar.pack();
    for (const [header, text = ""] of entries) pack.entry(header, text);
    pack.finalize();
    return gzipSync(await buffer(pack as unknown as NodeJS.ReadableStream));
  };
  const problems = async (archive: Buffer) => {
    const result = await verify(() => Readable.from([archive]));
    expect(result.ok).toBe(false);
    return result.problems.join("\n");
  };

  test.each([
    "/etc/passwd",
    "../extracts/2026-11-20/alice/a.json",
    "extracts/2026-11-20/alice/../../a.json",
    "extracts/2026-11-20/alice/..",
    "extracts/2026-11-20/../a.json",
    "extracts/2026-11-20/alice/a\\b.json",
    "extracts/2026-11-20/alice/a\u001b[2J.json",
    "keys/2026-11-20/alice/a.json",
    "data/shared/a.jpg",
    "extracts/2026-11-20/Alice/a.json",
    `extracts/2026-11-20/alice/${"a".repeat(300)}.json`,
  ])(
    "is refused for the name %j, and the message names it shortened and without control characters",
    async (name) => {
      const said = await problems(await packed([[{ name }, "{}"]]));
      expect(said).toMatch(/is not a name of an artifact$/);
      expect(said).not.toContain("\u001b");
    },
  );

  test.each(["symlink", "link", "directory", "character-device", "fifo"] as const)(
    "is refused for a %s",
    async (type) => {
      const header = { name: relOf("a"), type, linkname: "/etc/passwd", size: 0 };
      expect(await problems(await packed([[header]]))).toMatch(/a backup holds files alone$/);
    },
  );

  test("is refused when it unpacks to more than a backup does, long before all of it is unpacked", async () => {
    const header = Buffer.from(await buffer(headerOnly(relOf("a"), 400 * 1024 * 1024)));
    async function* zeros() {
      yield header;
      for (let i = 0; i < 100; i += 1) yield Buffer.alloc(1024 * 1024);
    }
    const archive = await buffer(Readable.from(zeros()).pipe(createGzip({ level: constants.Z_BEST_SPEED })));
    expect(archive.length).toBeLessThan(1024 * 1024);
    const result = await verify(() => Readable.from([archive]));
    expect(result.problems).toEqual([expect.stringMatching(/unpacks to more than a backup does/)]);
    expect(result.bytes).toBe(0);
  });

  test("is refused for an entry larger than any artifact, and for a header that never ends", async () => {
    const large = gzipSync(await buffer(headerOnly(relOf("a"), 600 * 1024 * 1024)));
    expect(await problems(large)).toMatch(/no artifact is so large/);
    // A header for a long name, of 8 MB.
    const endless = Buffer.concat([
      await buffer(headerOnly("PaxHeader", 8 * 1024 * 1024, "x")),
      Buffer.alloc(8 * 1024 * 1024, "a"),
    ]);
    expect(await problems(gzipSync(endless))).toMatch(/exceeds max size/);
  });
});

/** The header of one entry, and nothing after it. @param flag - its type in the header: "0" a file, "x" a header. */
function headerOnly(name: string, size: number, flag = "0"): Readable {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write("0000644\0", 100);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write(" ".repeat(8), 148);
  header.write(flag, 156);
  header.write("ustar\x0000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Readable.from([header]);
}
