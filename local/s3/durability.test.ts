import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import * as S3 from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { start } from "#local/s3/server";
import { Bucket, connectTo, credentials, freshKey, open, type Store } from "#test/support/s3-store";

let store: Store;

beforeEach(async () => {
  store = await open();
});

afterEach(() => store.stop());

async function filesOf(dir: string): Promise<string[]> {
  const entries = await readdir(join(dir, "blobs"), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function listAll(s3: S3.S3Client): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of S3.paginateListObjectsV2({ client: s3 }, { Bucket }))
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ""));
  return keys;
}

describe("a killed process", () => {
  test("loses no answered write, shows no partial object, and removes leftover files at the next start", async () => {
    const dir = join(store.dir, "killed");
    const options = JSON.stringify({ dir, ...credentials, buckets: [Bucket] });
    const code = `import { start } from "#local/s3/server"; console.log((await start(${options})).url);`;
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", code],
      {
        cwd: resolve(import.meta.dirname, "../.."),
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const exit = once(child, "exit");
    try {
      const { value: url } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
      const s3 = connectTo(String(url));
      const answered = new Map<string, Buffer>();
      const write = async (writer: number) => {
        for (let n = 0; ; n += 1) {
          // Both kinds of write: new keys, and one key that is overwritten repeatedly.
          const Key = n % 3 === 2 ? `${writer}/same` : `${writer}/${n}`;
          const Body = Buffer.alloc(1 + ((n * 7919) % 90_000), randomBytes(64));
          await s3.send(new S3.PutObjectCommand({ Bucket, Key, Body }));
          answered.set(Key, Body);
          if (answered.size === 60) child.kill("SIGKILL");
        }
      };
      await Promise.allSettled(Array.from({ length: 6 }, (_, writer) => write(writer)));
      await exit;
      s3.destroy();
      expect(answered.size).toBeGreaterThanOrEqual(60);

      // Leaves a body that a kill interrupted before it became an object; the kill above rarely happens at that moment.
      await mkdir(join(dir, "blobs", "ab"), { recursive: true });
      await writeFile(join(dir, "blobs", "ab", "ab-cut-off"), "half");
      const again = await open({ dir });
      try {
        const keys = await listAll(again.s3);
        expect(await filesOf(dir)).toHaveLength(keys.length);
        for (const [key, body] of answered) {
          const stored = Buffer.from((await (await again.get(key)).Body?.transformToByteArray()) ?? []);
          // A `same` key may hold the next version, whose answer the kill lost, but always a whole one.
          if (key.endsWith("/same") && !stored.equals(body)) expect(isWhole(stored)).toBe(true);
          else expect(stored.equals(body), key).toBe(true);
        }
        for (const key of keys)
          expect(
            isWhole(Buffer.from((await (await again.get(key)).Body?.transformToByteArray()) ?? [])),
          ).toBe(true);
      } finally {
        await again.stop();
      }
    } finally {
      child.kill("SIGKILL");
      await exit;
    }
  });
});

/** The writer above repeats 64 bytes in each body, and the lengths are known. */
function isWhole(body: Buffer): boolean {
  const lengths = new Set(Array.from({ length: 2000 }, (_, n) => 1 + ((n * 7919) % 90_000)));
  return lengths.has(body.length) && body.equals(Buffer.alloc(body.length, body.subarray(0, 64)));
}

describe("a running store", () => {
  test("an upload whose connection breaks leaves no object and no file", async () => {
    await store.put("before", "x");
    const { url, headers } = await store.presignPut("broken", "x".repeat(100_000));
    const { port, host, pathname, search } = new URL(url);
    const socket = connect(Number(port), "127.0.0.1").on("error", () => undefined);
    const lines = Object.entries({ host, ...headers, "content-length": "100000" }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    socket.write(`PUT ${pathname}${search} HTTP/1.1\r\n${lines.join("")}\r\n${"x".repeat(50_000)}`);
    await vi.waitFor(async () => expect(await filesOf(store.dir)).toHaveLength(2));
    expect(await listAll(store.s3)).toEqual(["before"]);
    socket.destroy();
    await vi.waitFor(async () => expect(await filesOf(store.dir)).toHaveLength(1));
    expect(await listAll(store.s3)).toEqual(["before"]);
    const response = await fetch(url, { method: "PUT", headers, body: "x".repeat(100_000) });
    expect(response.status).toBe(200);
  });

  test("a reader gets the bytes it began with while the object is replaced and deleted", async () => {
    const Key = freshKey();
    // In several parts and files, of which the last are opened only when they are needed.
    const bodies = ["a", "b", "c"].map((letter) => Buffer.alloc(5 * 1024 * 1024, letter));
    const { UploadId } = await store.s3.send(new S3.CreateMultipartUploadCommand({ Bucket, Key }));
    const Parts: S3.CompletedPart[] = [];
    for (const [at, Body] of bodies.entries()) {
      const part = { Bucket, Key, UploadId, PartNumber: at + 1 };
      const { ETag } = await store.s3.send(new S3.UploadPartCommand({ ...part, Body }));
      Parts.push({ ETag, PartNumber: at + 1 });
    }
    const MultipartUpload = { Parts };
    await store.s3.send(new S3.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }));
    const { Body } = await store.get(Key);
    await store.put(Key, "second");
    await store.s3.send(new S3.DeleteObjectCommand({ Bucket, Key }));
    const read = Buffer.from((await Body?.transformToByteArray()) ?? []);
    expect(read.equals(Buffer.concat(bodies))).toBe(true);
    await vi.waitFor(async () => expect(await filesOf(store.dir)).toEqual([]));
  });

  test("an object that is replaced, deleted, refused or aborted leaves no file behind", async () => {
    const Key = freshKey();
    for (const body of ["one", "two", "three"]) await store.put(Key, body);
    await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => store.put("once", `${n}`, { IfNoneMatch: "*" })),
    );
    await store.put("gone", "x");
    await store.s3.send(new S3.DeleteObjectCommand({ Bucket, Key: "gone" }));
    await expect(store.put("bad", "x", { ContentMD5: "AAAAAAAAAAAAAAAAAAAAAA==" })).rejects.toThrow();
    const { UploadId } = await store.s3.send(new S3.CreateMultipartUploadCommand({ Bucket, Key: "parts" }));
    await store.s3.send(
      new S3.UploadPartCommand({ Bucket, Key: "parts", UploadId, PartNumber: 1, Body: "x" }),
    );
    await store.s3.send(new S3.AbortMultipartUploadCommand({ Bucket, Key: "parts", UploadId }));
    await vi.waitFor(async () => expect(await filesOf(store.dir)).toHaveLength(2));
  });

  test("state survives a restart, parts of an unfinished upload included", async () => {
    const dir = join(store.dir, "restart");
    const first = await open({ dir });
    await first.put("kept", "x", { ContentType: "text/x" });
    const upload = { Bucket, Key: "parts" };
    const { UploadId } = await first.s3.send(new S3.CreateMultipartUploadCommand(upload));
    const { ETag } = await first.s3.send(
      new S3.UploadPartCommand({ ...upload, UploadId, PartNumber: 1, Body: "part" }),
    );
    await first.server.close();
    const second = await open({ dir });
    expect(await second.get("kept")).toMatchObject({ ContentType: "text/x", ContentLength: 1 });
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
    await second.s3.send(new S3.CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload }));
    expect(await second.textOf("parts")).toBe("part");
    await second.stop();
  });

  test("a second start in the same folder, or on the same port, fails with a message and changes nothing", async () => {
    const options = { ...credentials, buckets: [Bucket] };
    await expect(start({ ...options, dir: store.dir })).rejects.toThrow(/in use by another process/);
    const port = Number(new URL(store.server.url).port);
    const dir = join(store.dir, "other");
    await expect(start({ ...options, dir, port })).rejects.toMatchObject({ code: "EADDRINUSE" });
    const other = await start({ ...options, dir });
    await other.close();
    await store.put("still", "works");
  });

  test("closing does not wait for idle connections or half uploads", async () => {
    const other = await open({ dir: join(store.dir, "closing") });
    await other.put("a", "x");
    const { port } = new URL(other.server.url);
    const socket = connect(Number(port), "127.0.0.1").on("error", () => undefined);
    socket.write("PUT /pictures/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf");
    await once(socket, "data");
    const before = performance.now();
    await other.server.close();
    expect(performance.now() - before).toBeLessThan(2000);
    await other.stop();
  });
});
