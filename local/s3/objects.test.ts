import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import * as S3 from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerOf, Bucket, freshKey, open, type Store } from "#test/support/s3-store";

let store: Store;

beforeAll(async () => {
  store = await open();
});

afterAll(() => store.stop());

describe("conditions", () => {
  test("of 20 racing writers with If-None-Match: * exactly one wins, 19 get 412", async () => {
    const Key = freshKey();
    const race = await Promise.allSettled(
      Array.from({ length: 20 }, (_, writer) => store.put(Key, `writer ${writer}`, { IfNoneMatch: "*" })),
    );
    const won = race.flatMap(({ status }, writer) => (status === "fulfilled" ? [writer] : []));
    expect(won).toHaveLength(1);
    for (const one of race)
      if (one.status === "rejected")
        expect(one.reason).toMatchObject({ name: "PreconditionFailed", $metadata: { httpStatusCode: 412 } });
    expect(await store.textOf(Key)).toBe(`writer ${won[0]}`);
  });

  test("the same holds for presigned uploads and for completed multipart uploads", async () => {
    const Key = freshKey();
    const uploads = await Promise.all(
      Array.from({ length: 10 }, async (_, at) => {
        const { UploadId } = await store.s3.send(new S3.CreateMultipartUploadCommand({ Bucket, Key }));
        const part = { Bucket, Key, UploadId, PartNumber: 1 };
        const { ETag } = await store.s3.send(new S3.UploadPartCommand({ ...part, Body: `upload ${at}` }));
        const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
        return () =>
          store.s3.send(
            new S3.CompleteMultipartUploadCommand({
              Bucket,
              Key,
              UploadId,
              IfNoneMatch: "*",
              MultipartUpload,
            }),
          );
      }),
    );
    const { url, headers } = await store.presignPut(Key, "x");
    const writers = [
      ...uploads.map((complete) =>
        complete().then(
          () => 200,
          (error) => error.$metadata.httpStatusCode,
        ),
      ),
      ...Array.from({ length: 10 }, () =>
        answerOf(url, { method: "PUT", body: "x", headers }).then(({ status }) => status),
      ),
    ];
    const statuses = await Promise.all(writers);
    expect(statuses.sort()).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
  });

  test("If-Match protects writes, reads and deletes; If-None-Match saves a read", async () => {
    const Key = freshKey();
    await expect(store.put(Key, "x", { IfMatch: '"0"' })).rejects.toMatchObject({ name: "NoSuchKey" });
    const { ETag } = await store.put(Key, "one");
    await expect(store.put(Key, "two", { IfMatch: '"0"' })).rejects.toMatchObject({
      name: "PreconditionFailed",
    });
    await expect(store.get(Key, { IfMatch: '"0"' })).rejects.toMatchObject({ name: "PreconditionFailed" });
    await expect(store.get(Key, { IfNoneMatch: ETag })).rejects.toMatchObject({
      $metadata: { httpStatusCode: 304 },
    });
    expect((await store.get(Key, { IfMatch: ETag, IfNoneMatch: '"0"' })).ContentLength).toBe(3);
    await store.put(Key, "two", { IfMatch: ETag });
    const stale = new S3.DeleteObjectCommand({ Bucket, Key, IfMatch: ETag });
    await expect(store.s3.send(stale)).rejects.toMatchObject({ name: "PreconditionFailed" });
    expect(await store.textOf(Key)).toBe("two");
    await expect(store.put(Key, "x", { IfNoneMatch: '"0"' })).rejects.toMatchObject({
      name: "NotImplemented",
    });
  });
});

describe("objects", () => {
  test("keys of any kind are kept apart and come back in the order of their bytes", async () => {
    const names = [
      ..."a a/b a/../b ../../x A CON nul.txt ~ .. . %2e%2e é e\u0301 ü 😀 \uffee".split(" "),
      ...[
        " space ",
        "//double",
        "trailing/",
        "a+b&c=d?e#f%25",
        "'\"<>&",
        "\u0001\n\r\t",
        "x".repeat(1016),
        "ß".repeat(508),
      ],
    ];
    const strange = names.map((name) => `strange/${name}`);
    await Promise.all(strange.map((Key) => store.put(Key, `body of ${Key}`)));
    for (const Key of strange) expect(await store.textOf(Key)).toBe(`body of ${Key}`);
    const { Contents } = await store.s3.send(new S3.ListObjectsV2Command({ Bucket, Prefix: "strange/" }));
    const expected = strange.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(Contents?.map(({ Key }) => Key)).toEqual(expected);
    await expect(store.put("k".repeat(1025), "x")).rejects.toMatchObject({ name: "KeyTooLongError" });
    const { Deleted } = await store.s3.send(
      new S3.DeleteObjectsCommand({ Bucket, Delete: { Objects: strange.map((Key) => ({ Key })) } }),
    );
    expect(Deleted).toHaveLength(strange.length);
    for (const Key of strange) await expect(store.get(Key)).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  test("type, metadata, ETag, ranges and the overrides of a presigned GET", async () => {
    const Key = freshKey();
    const { ETag } = await store.put(Key, "0123456789", {
      ContentType: "application/json",
      CacheControl: "no-store",
      ContentEncoding: "identity",
      Metadata: { origin: "scan", "long-name": "x y" },
    });
    expect(ETag).toBe(`"${createHash("md5").update("0123456789").digest("hex")}"`);
    const head = await store.s3.send(new S3.HeadObjectCommand({ Bucket, Key }));
    expect(head).toMatchObject({
      ETag,
      ContentLength: 10,
      ContentType: "application/json",
      CacheControl: "no-store",
      ContentEncoding: "identity",
      Metadata: { origin: "scan", "long-name": "x y" },
    });
    expect(Math.abs(Date.now() - Number(head.LastModified))).toBeLessThan(60_000);
    for (const [Range, body, ContentRange] of [
      ["bytes=2-4", "234", "bytes 2-4/10"],
      ["bytes=7-", "789", "bytes 7-9/10"],
      ["bytes=-2", "89", "bytes 8-9/10"],
      ["bytes=5-500", "56789", "bytes 5-9/10"],
    ]) {
      const part = await store.get(Key, { Range });
      expect([await part.Body?.transformToString(), part.ContentRange]).toEqual([body, ContentRange]);
    }
    await expect(store.get(Key, { Range: "bytes=10-" })).rejects.toMatchObject({ name: "InvalidRange" });
    const command = new S3.GetObjectCommand({
      Bucket,
      Key,
      ResponseContentType: "text/csv",
      ResponseContentDisposition: 'attachment; filename="a.csv"',
    });
    const response = await fetch(await getSignedUrl(store.s3, command, { expiresIn: 60 }));
    expect([
      response.headers.get("content-type"),
      response.headers.get("content-disposition"),
      await response.text(),
    ]).toEqual(["text/csv", 'attachment; filename="a.csv"', "0123456789"]);
    const evil = new S3.GetObjectCommand({ Bucket, Key, ResponseContentType: "a\r\nset-cookie: x" });
    expect((await fetch(await getSignedUrl(store.s3, evil))).status).toBe(400);
  });

  test("copies keep or replace what describes the object", async () => {
    const [from, to] = [freshKey("from ü/"), freshKey("to")];
    await store.put(from, "copied", { ContentType: "text/x", Metadata: { a: "1" } });
    const CopySource = `${Bucket}/${encodeURIComponent(from)}`;
    await store.s3.send(new S3.CopyObjectCommand({ Bucket, Key: to, CopySource }));
    expect(await store.get(to)).toMatchObject({
      ContentType: "text/x",
      Metadata: { a: "1" },
      ContentLength: 6,
    });
    const replace = { MetadataDirective: "REPLACE", ContentType: "text/y" } as const;
    await store.s3.send(new S3.CopyObjectCommand({ Bucket, Key: to, CopySource, ...replace }));
    expect(await store.get(to)).toMatchObject({ ContentType: "text/y", Metadata: {} });
    const missing = new S3.CopyObjectCommand({ Bucket, Key: to, CopySource: `${Bucket}/none` });
    await expect(store.s3.send(missing)).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  test("a body that is not what its headers promise is never stored", async () => {
    const Key = freshKey();
    const md5 = createHash("md5").update("other").digest("base64");
    await expect(store.put(Key, "body", { ContentMD5: md5 })).rejects.toMatchObject({ name: "BadDigest" });
    const checksum = store.put(Key, "body", {
      ChecksumSHA256: createHash("sha256").update("other").digest("base64"),
    });
    await expect(checksum).rejects.toMatchObject({ name: "BadDigest" });
    await expect(store.put(Key, "body", { ChecksumCRC32C: "AAAAAA==" })).rejects.toMatchObject({
      name: "NotImplemented",
    });
    await expect(store.get(Key)).rejects.toMatchObject({ name: "NoSuchKey" });
    await store.put(Key, "body", { ChecksumAlgorithm: "CRC32" });
    expect(await store.textOf(Key)).toBe("body");
  });

  test("streams, also in the aws-chunked coding with a trailing checksum", async () => {
    const bytes = Buffer.alloc(300_000, "0123456789");
    const stream = () => Readable.from([bytes.subarray(0, 100_001), bytes.subarray(100_001)]);
    const plain = freshKey();
    const length = { ContentLength: bytes.length };
    await store.s3.send(new S3.PutObjectCommand({ Bucket, Key: plain, Body: stream(), ...length }));
    const chunked = freshKey();
    const checking = store.clientOf({ requestChecksumCalculation: "WHEN_SUPPORTED" });
    await checking.send(new S3.PutObjectCommand({ Bucket, Key: chunked, Body: stream(), ...length }));
    for (const Key of [plain, chunked]) {
      const { Body, ContentEncoding } = await store.get(Key);
      expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(bytes)).toBe(true);
      expect(ContentEncoding).toBeUndefined();
    }
  });

  test("an upload in parts becomes one object, and only with the right parts", async () => {
    const Key = freshKey();
    const { UploadId } = await store.s3.send(
      new S3.CreateMultipartUploadCommand({ Bucket, Key, ContentType: "video/x", Metadata: { a: "1" } }),
    );
    const bodies = [
      Buffer.alloc(5 * 1024 * 1024, "a"),
      Buffer.alloc(5 * 1024 * 1024 + 1, "b"),
      Buffer.from("end"),
    ];
    const etags: (string | undefined)[] = [];
    for (const [at, Body] of bodies.entries()) {
      const part = { Bucket, Key, UploadId, PartNumber: at + 1 };
      await store.s3.send(new S3.UploadPartCommand({ ...part, Body: "will be replaced" }));
      etags.push((await store.s3.send(new S3.UploadPartCommand({ ...part, Body }))).ETag);
    }
    await expect(store.get(Key)).rejects.toMatchObject({ name: "NoSuchKey" });
    const { Parts } = await store.s3.send(new S3.ListPartsCommand({ Bucket, Key, UploadId }));
    expect(Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual(
      bodies.map(({ length }, at) => [at + 1, length]),
    );
    const complete = (Parts: S3.CompletedPart[]) =>
      store.s3.send(
        new S3.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
      );
    const right = etags.map((ETag, at) => ({ ETag, PartNumber: at + 1 }));
    await expect(complete([...right].reverse())).rejects.toMatchObject({ name: "InvalidPartOrder" });
    await expect(complete([{ PartNumber: 1, ETag: etags[1] }])).rejects.toMatchObject({
      name: "InvalidPart",
    });
    const { ETag } = await complete(right);
    const md5s = bodies.map((body) => createHash("md5").update(body).digest());
    expect(ETag).toBe(`"${createHash("md5").update(Buffer.concat(md5s)).digest("hex")}-3"`);
    const { Body, ContentType, ContentLength } = await store.get(Key, { Range: "bytes=5242870-" });
    expect([ContentType, ContentLength]).toEqual(["video/x", 5 * 1024 * 1024 + 14]);
    expect(
      Buffer.from((await Body?.transformToByteArray()) ?? []).equals(Buffer.concat(bodies).subarray(5242870)),
    ).toBe(true);
    await expect(complete(right)).rejects.toMatchObject({ name: "NoSuchUpload" });
  });

  test("an aborted upload leaves nothing", async () => {
    const Key = freshKey();
    const { UploadId } = await store.s3.send(new S3.CreateMultipartUploadCommand({ Bucket, Key }));
    const part = { Bucket, Key, UploadId, PartNumber: 1 };
    await store.s3.send(new S3.UploadPartCommand({ ...part, Body: "x" }));
    await store.s3.send(new S3.AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    await expect(store.s3.send(new S3.UploadPartCommand({ ...part, Body: "x" }))).rejects.toMatchObject({
      name: "NoSuchUpload",
    });
    await expect(store.get(Key)).rejects.toMatchObject({ name: "NoSuchKey" });
  });
});
