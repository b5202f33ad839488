import { once } from "node:events";
import { connect } from "node:net";
import * as S3 from "@aws-sdk/client-s3";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Hook } from "#local/s3/server";
import { Bucket, freshKey, open, type Store } from "#test/support/s3-store";

let store: Store;
let hook: Hook | undefined;

beforeAll(async () => {
  store = await open({
    corsOrigins: ["https://app.example"],
    onRequest: (request) => hook?.(request),
  });
});

afterAll(() => store.stop());

describe("lists and buckets", () => {
  test("pages, prefixes and delimiters agree with a plain model", async () => {
    const names = ["a", "a/", "a/b", "a/b/c", "a/c", "a0", "b/1", "b/2", "b/3", "ü/x", "ü/y", "z", "😀/1"];
    await Promise.all(names.map((name) => store.put(`list/${name}`, name)));
    const all = names
      .map((name) => `list/${name}`)
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const model = (prefix: string, delimiter: string, after: string) => {
      const shown = new Set<string>();
      for (const key of all) {
        if (
          !key.startsWith(prefix) ||
          (after !== "" && Buffer.compare(Buffer.from(key), Buffer.from(after)) <= 0)
        )
          continue;
        const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
        shown.add(cut < 0 ? key : `${key.slice(0, cut + delimiter.length)} (prefix)`);
      }
      return [...shown];
    };
    for (const Prefix of ["list/", "list/a", "list/a/", "list/none"])
      for (const Delimiter of ["", "/", "b"])
        for (const MaxKeys of [2, 1000])
          for (const StartAfter of ["", "list/a/b", "list/b"]) {
            const found: string[] = [];
            let ContinuationToken: string | undefined;
            do {
              const page = await store.s3.send(
                new S3.ListObjectsV2Command({
                  Bucket,
                  Prefix,
                  Delimiter,
                  MaxKeys,
                  StartAfter,
                  ContinuationToken,
                }),
              );
              const prefixes = (page.CommonPrefixes ?? []).map((one) => `${one.Prefix} (prefix)`);
              const shown = [...(page.Contents ?? []).map(({ Key }) => Key ?? ""), ...prefixes];
              expect(shown.length).toBeLessThanOrEqual(MaxKeys);
              expect(page.KeyCount).toBe(shown.length);
              found.push(...shown);
              ContinuationToken = page.NextContinuationToken;
              expect(page.IsTruncated).toBe(ContinuationToken !== undefined);
            } while (ContinuationToken !== undefined);
            expect([...found].sort(), `${Prefix} ${Delimiter} ${MaxKeys} ${StartAfter}`).toEqual(
              model(Prefix, Delimiter, StartAfter).sort(),
            );
          }
    const encoded = await store.s3.send(
      new S3.ListObjectsV2Command({ Bucket, Prefix: "list/ü", EncodingType: "url" }),
    );
    expect(encoded.Contents?.[0]?.Key).toBe("list/%C3%BC/x");
  });

  test("buckets are made, found, listed and only deleted empty", async () => {
    const name = { Bucket: "second-bucket" };
    await expect(store.s3.send(new S3.HeadBucketCommand(name))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 404 },
    });
    await expect(
      store.s3.send(new S3.PutObjectCommand({ ...name, Key: "a", Body: "x" })),
    ).rejects.toMatchObject({
      name: "NoSuchBucket",
    });
    await store.s3.send(new S3.CreateBucketCommand(name));
    await store.s3.send(new S3.HeadBucketCommand(name));
    await store.s3.send(new S3.PutObjectCommand({ ...name, Key: "a", Body: "x" }));
    await expect(store.s3.send(new S3.DeleteBucketCommand(name))).rejects.toMatchObject({
      name: "BucketNotEmpty",
    });
    await store.s3.send(new S3.DeleteObjectCommand({ ...name, Key: "a" }));
    await store.s3.send(new S3.DeleteBucketCommand(name));
    await expect(store.s3.send(new S3.CreateBucketCommand({ Bucket: "Bad_Name" }))).rejects.toMatchObject({
      name: "InvalidBucketName",
    });
  });

  test("an operation that is not supported is refused, and never taken for another one", async () => {
    const Key = freshKey();
    await store.put(Key, "kept");
    const Tagging = { TagSet: [{ Key: "a", Value: "b" }] };
    await expect(
      store.s3.send(new S3.PutObjectTaggingCommand({ Bucket, Key, Tagging })),
    ).rejects.toMatchObject({
      name: "NotImplemented",
    });
    await expect(
      store.s3.send(new S3.DeleteObjectCommand({ Bucket, Key, VersionId: "1" })),
    ).rejects.toMatchObject({
      name: "NotImplemented",
    });
    await expect(store.s3.send(new S3.ListObjectsCommand({ Bucket }))).rejects.toMatchObject({
      name: "NotImplemented",
    });
    expect(await store.textOf(Key)).toBe("kept");
  });
});

describe("the server", () => {
  test("browsers of allowed origins may upload with a presigned URL, others get no permission", async () => {
    const ask = (origin: string) =>
      fetch(`${store.server.url}/${Bucket}/x?X-Amz-Signature=1`, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "PUT",
          "access-control-request-headers": "content-type,if-none-match",
        },
      });
    const allowed = await ask("https://app.example");
    expect([
      allowed.status,
      allowed.headers.get("access-control-allow-origin"),
      allowed.headers.get("access-control-allow-headers"),
    ]).toEqual([200, "https://app.example", "content-type,if-none-match"]);
    const refused = await ask("https://evil.example");
    expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([403, null]);
    const { url, headers } = await store.presignPut(freshKey(), "x");
    const response = await fetch(url, {
      method: "PUT",
      body: "x",
      headers: { ...headers, origin: "https://app.example" },
    });
    expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([
      200,
      "https://app.example",
    ]);
  });

  test("the hook sees each operation and can fail it before anything happens", async () => {
    const Key = freshKey();
    const seen: unknown[] = [];
    hook = (request) => {
      seen.push(request);
      if (request.operation === "DeleteObject") return { status: 0 };
      return request.operation === "PutObject" ? { status: 503 } : undefined;
    };
    try {
      await expect(store.put(Key, "x")).rejects.toMatchObject({
        name: "SlowDown",
        $metadata: { httpStatusCode: 503 },
      });
      await expect(store.get(Key)).rejects.toMatchObject({ name: "NoSuchKey" });
      const cut = store.s3.send(new S3.DeleteObjectCommand({ Bucket, Key }));
      await expect(cut).rejects.toMatchObject({ code: "ECONNRESET" });
    } finally {
      hook = undefined;
    }
    expect(seen).toEqual([
      { method: "PUT", operation: "PutObject", bucket: Bucket, key: Key },
      { method: "GET", operation: "GetObject", bucket: Bucket, key: Key },
      { method: "DELETE", operation: "DeleteObject", bucket: Bucket, key: Key },
    ]);
  });

  test("malformed requests do not stop it", async () => {
    const { port } = new URL(store.server.url);
    const heads = [
      "",
      "GET /%ff HTTP/1.1\r\nhost: x\r\n\r\n",
      "PUT /pictures/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.constantFrom(...heads),
        async (bytes, head) => {
          const socket = connect(Number(port), "127.0.0.1");
          const closed = new Promise((resolve) => socket.once("close", resolve));
          socket.on("error", () => undefined).resume();
          socket.end(Buffer.concat([Buffer.from(head), bytes]));
          await closed;
        },
      ),
      { numRuns: 60 },
    );
    for (const path of ["/%ff", "/a%00b", "/?%", "//", "/x/%C3"])
      expect([400, 403]).toContain((await fetch(store.server.url + path)).status);
    const socket = connect(Number(port), "127.0.0.1");
    socket.end("PUT http://x/y HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(String(answer)).toMatch(/^HTTP\/1.1 400 /);
    await store.s3.send(new S3.HeadBucketCommand({ Bucket }));
  });
});
