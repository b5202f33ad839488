import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silent, start, type TestBucket } from "#test/support/test-bucket";
import * as Bucket from "./bucket.ts";
import * as Version from "./version.ts";

const bytes = 1024 * 1024;
const limitMs = 400;

let store: TestBucket;
let slow: Awaited<ReturnType<typeof throttle>>;
let bucket: Bucket.Bucket;
let etag: string;
beforeAll(async () => {
  store = await start();
  slow = await throttle(Number(new URL(store.bucket.settings.endpoint ?? "").port));
  bucket = Bucket.open({ ...store.bucket.settings, endpoint: slow.url }, limitMs);
  await Bucket.replace(store.bucket, silent, "large", { body: Buffer.alloc(bytes, 7), contentType: "x/y" });
  etag = (await Bucket.head(store.bucket, silent, "large"))?.etag ?? "";
});
afterAll(async () => {
  bucket.client.destroy();
  slow.close();
  await store.close();
});

/** A way to the store that lets a 16th of a megabyte pass every 50 ms, or stops after so many bytes. */
async function throttle(port: number) {
  const state = { stopAfter: Number.POSITIVE_INFINITY };
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    client.pipe(upstream);
    let passed = 0;
    upstream.on("data", async (data) => {
      upstream.pause();
      for (let at = 0; at < data.length && passed < state.stopAfter; at += bytes / 16) {
        const piece = data.subarray(at, at + bytes / 16);
        client.write(piece);
        passed += piece.length;
        if (piece.length > 1_000) await sleep(50);
      }
      if (passed < state.stopAfter) upstream.resume();
    });
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: own } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${own}`, state, close: () => server.close() };
}

async function sizeOf(body: AsyncIterable<Uint8Array> | undefined, pauseMs = 0): Promise<number> {
  let size = 0;
  for await (const piece of body ?? []) {
    size += piece.length;
    if (pauseMs > 0) await sleep(pauseMs);
  }
  return size;
}

const ways: [string, () => Promise<number>][] = [
  ["whole", async () => (await Bucket.get(bucket, silent, "large"))?.length ?? 0],
  ["piece by piece", async () => sizeOf((await Bucket.read(bucket, silent, "large", etag))?.body)],
  ["from an offset on", () => offset(0)],
];
const offset = async (at: number) =>
  sizeOf(await Version.from(bucket, silent, { rel: "large", etag, offset: at }));

describe("an object that is read", () => {
  test.each(ways)("%s may take longer than a call, as long as it keeps coming", async (_, read) => {
    slow.state.stopAfter = Number.POSITIVE_INFINITY;
    const startedAt = Date.now();
    expect(await read()).toBe(bytes);
    expect(Date.now() - startedAt).toBeGreaterThan(limitMs);
  });

  test.each(ways)("%s fails when nothing comes for as long as a call may take", async (_, read) => {
    slow.state.stopAfter = bytes / 2;
    const startedAt = Date.now();
    await expect(read()).rejects.toMatchObject({ code: "storage_unavailable" });
    expect(Date.now() - startedAt).toBeGreaterThan(limitMs);
    expect(Date.now() - startedAt).toBeLessThan(limitMs * 10);
  });

  test("by a slow reader, who takes longer between two pieces than a call may take, is not cut off", async () => {
    slow.state.stopAfter = Number.POSITIVE_INFINITY;
    const read = await Bucket.read(store.bucket, silent, "large", etag);
    const quick = { ...store.bucket, timeoutMs: 500 };
    const from = await Version.from(quick, silent, { rel: "large", etag, offset: bytes - 100_000 });
    expect(await sizeOf(from, 700)).toBe(100_000);
    expect(await sizeOf(read?.body)).toBe(bytes);
  });
});
