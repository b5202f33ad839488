import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as S3 from "@aws-sdk/client-s3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Bucket, open, type Store } from "#test/support/s3-store";

let store: Store;
let base: string;
let folder: string;
const prefix = "stage/data/shared/";

beforeEach(async () => {
  base = fs.mkdtempSync(join(tmpdir(), "ocrlty data "));
  folder = join(base, "shared");
  fs.mkdirSync(folder);
  store = await open({ folder: { dir: folder, bucket: Bucket, prefix } });
});
afterEach(async () => {
  await store.stop();
  fs.rmSync(base, { recursive: true, force: true, maxRetries: 5 });
});

function write(name: string, text: string | Buffer): void {
  const path = join(folder, ...name.split("/"));
  fs.mkdirSync(dirname(path), { recursive: true });
  fs.writeFileSync(path, text);
}

/** Keys without the prefix, page by page; a common prefix ends in its delimiter. */
async function list(more: Partial<S3.ListObjectsV2CommandInput> = {}): Promise<string[]> {
  const found: string[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await store.s3.send(
      new S3.ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken, ...more }),
    );
    const names = [
      ...(page.Contents ?? []).map(({ Key }) => Key ?? ""),
      ...(page.CommonPrefixes ?? []).map((one) => one.Prefix ?? ""),
    ];
    expect(page.KeyCount).toBe(names.length);
    found.push(...names.map((name) => name.replace(prefix, "")));
    ContinuationToken = page.NextContinuationToken;
    expect(page.IsTruncated).toBe(ContinuationToken !== undefined);
  } while (ContinuationToken !== undefined);
  return found;
}

const status = (work: Promise<{ $metadata: { httpStatusCode?: number | undefined } }>) =>
  work.then(
    ({ $metadata }) => $metadata.httpStatusCode,
    (error) => error.$metadata.httpStatusCode as number,
  );

test("files and stored objects are in one list, in the order of bytes, whatever the page size", async () => {
  const files = ["a.jpg", "a/1.jpg", "a/b/2.jpg", "a0.jpg", "b/3.jpg", "ü/x.png", "z.png", "😀.png"];
  const stored = ["a-.jpg", "a/0.jpg", "a/b/1.jpg", "b/4.jpg", "c/1.jpg", "ü/y.png", "zz.png"];
  for (const name of files) write(name, name);
  for (const name of stored) await store.put(`${prefix}${name}`, name);
  await store.put("stage/data/other/1.jpg", "x");
  await store.put("stage/zzz.jpg", "x");
  const all = [...files, ...stored].sort((one, other) =>
    Buffer.compare(Buffer.from(one), Buffer.from(other)),
  );
  for (const MaxKeys of [1, 2, 3, 1000]) {
    expect(await list({ MaxKeys })).toEqual(all);
    expect(await list({ MaxKeys, Prefix: `${prefix}a/` })).toEqual(
      all.filter((name) => name.startsWith("a/")),
    );
    expect(await list({ MaxKeys, StartAfter: `${prefix}a/b/1.jpg` })).toEqual(
      all.slice(all.indexOf("a/b/2.jpg")),
    );
    const levels = new Set(all.map((name) => name.replace(/\/.*/u, "/")));
    expect((await list({ MaxKeys, Delimiter: "/" })).toSorted()).toEqual([...levels].toSorted());
    expect(await list({ MaxKeys, Prefix: "stage/" })).toEqual([
      "stage/data/other/1.jpg",
      ...all,
      "stage/zzz.jpg",
    ]);
  }
  expect(await list({ Prefix: "stage/data/other/" })).toEqual(["stage/data/other/1.jpg"]);
});

test("a file reads like an object: type, ranges, conditions, an ETag that changes with the file", async () => {
  write("receipt.JPG", "0123456789");
  const Key = `${prefix}receipt.JPG`;
  const head = await store.s3.send(new S3.HeadObjectCommand({ Bucket, Key }));
  expect(head).toMatchObject({ ContentLength: 10, ContentType: "image/jpeg", AcceptRanges: "bytes" });
  const listed = await store.s3.send(new S3.ListObjectsV2Command({ Bucket, Prefix: prefix }));
  expect(listed.Contents).toMatchObject([{ Key, Size: 10, ETag: head.ETag }]);
  const IfMatch = head.ETag;
  expect(await (await store.get(Key, { IfMatch })).Body?.transformToString()).toBe("0123456789");
  const part = await store.get(Key, { Range: "bytes=2-4", IfMatch });
  expect([await part.Body?.transformToString(), part.ContentRange]).toEqual(["234", "bytes 2-4/10"]);
  expect(await (await store.get(Key, { Range: "bytes=-3" })).Body?.transformToString()).toBe("789");
  expect(await status(store.get(Key, { Range: "bytes=10-" }))).toBe(416);
  expect(await status(store.get(Key, { IfNoneMatch: IfMatch }))).toBe(304);

  write("receipt.JPG", "9876543210");
  fs.utimesSync(join(folder, "receipt.JPG"), new Date(), new Date(Date.now() + 5_000));
  expect(await status(store.get(Key, { IfMatch }))).toBe(412);
  expect((await store.get(Key)).ETag).not.toBe(IfMatch);
  // Keys are case-sensitive, even on a file system that is not.
  expect(await status(store.get(`${prefix}receipt.jpg`))).toBe(404);
  expect(
    await status(store.s3.send(new S3.HeadObjectCommand({ Bucket: "pictures", Key: "receipt.JPG" }))),
  ).toBe(404);
});

test("a large file arrives whole, an empty one too", async () => {
  const bytes = Buffer.alloc(3_000_001, "ab");
  write("large.bin", bytes);
  write("empty.png", "");
  const body = await (await store.get(`${prefix}large.bin`)).Body?.transformToByteArray();
  expect(Buffer.from(body ?? []).equals(bytes)).toBe(true);
  expect(await store.textOf(`${prefix}empty.png`)).toBe("");
  await store.s3.send(
    new S3.CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/${prefix}large.bin` }),
  );
  expect((await store.get("copy")).ContentLength).toBe(bytes.length);
});

test("files of the folder cannot be changed; other keys are stored as usual", async () => {
  write("a.jpg", "file");
  const Key = `${prefix}a.jpg`;
  const refused = { name: "AccessDenied", message: expect.stringContaining("read-only") };
  await expect(store.put(Key, "x")).rejects.toMatchObject(refused);
  await expect(store.put(Key, "x", { IfNoneMatch: "*" })).rejects.toMatchObject(refused);
  await expect(store.s3.send(new S3.DeleteObjectCommand({ Bucket, Key }))).rejects.toMatchObject(refused);
  await expect(store.s3.send(new S3.CreateMultipartUploadCommand({ Bucket, Key }))).rejects.toMatchObject(
    refused,
  );
  const { Errors, Deleted } = await store.s3.send(
    new S3.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key }, { Key: "none" }] } }),
  );
  expect(Errors).toMatchObject([{ Key, Code: "AccessDenied" }]);
  expect(Deleted).toMatchObject([{ Key: "none" }]);
  expect(await store.textOf(Key)).toBe("file");

  const other = `${prefix}b.jpg`;
  await store.put(other, "stored", { IfNoneMatch: "*" });
  expect(await store.textOf(other)).toBe("stored");
  // An object with the file's key hides the file; both stay.
  write("b.jpg", "file");
  expect(await store.textOf(other)).toBe("file");
  expect(await list()).toEqual(["a.jpg", "b.jpg"]);
  fs.rmSync(join(folder, "b.jpg"));
  expect(await store.textOf(other)).toBe("stored");
  await store.s3.send(new S3.DeleteObjectCommand({ Bucket, Key: other }));
  expect(await list()).toEqual(["a.jpg"]);
});

test("no key climbs out of the folder", async () => {
  write("a.jpg", "inside");
  fs.writeFileSync(join(base, "secret.txt"), "outside");
  for (const name of ["../secret.txt", "a/../../secret.txt", "./a.jpg", "", "/a.jpg", "a.jpg/", ".", ".."]) {
    const path = `${store.server.url}/${Bucket}/${encodeURIComponent(`${prefix}${name}`)}`;
    expect((await fetch(path)).status, name).toBe(403);
    expect(await status(store.get(`${prefix}${name}`)), name).toBe(404);
  }
});

test.skipIf(process.platform === "win32")(
  "links within the folder are followed; links that lead out of it, in a circle or nowhere are left out",
  async () => {
    write("real/1.jpg", "one");
    fs.writeFileSync(join(base, "secret.txt"), "outside");
    const links = {
      "out.txt": "../secret.txt",
      out: "..",
      circle: ".",
      nowhere: "none",
      "in.jpg": "real/1.jpg",
      in: "real",
    };
    for (const [name, target] of Object.entries(links)) fs.symlinkSync(target, join(folder, name));
    expect(await list()).toEqual(["in.jpg", "in/1.jpg", "real/1.jpg"]);
    expect(await store.textOf(`${prefix}in.jpg`)).toBe("one");
    expect(await store.textOf(`${prefix}in/1.jpg`)).toBe("one");
    for (const name of ["out.txt", "out/secret.txt", "nowhere"])
      expect(await status(store.get(`${prefix}${name}`)), name).toBe(404);
  },
);

test.skipIf(process.platform !== "linux")(
  "names that are no UTF-8 or hold control characters are skipped",
  async () => {
    write("good.jpg", "x");
    fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/bad`), Buffer.from([0xff, 0xfe])]), "x");
    fs.writeFileSync(join(folder, "new\nline.jpg"), "x");
    expect(await list()).toEqual(["good.jpg"]);
    expect(await status(store.get(`${prefix}new\nline.jpg`))).toBe(404);
  },
);

test("a missing folder counts as empty, and is found as soon as it exists", async () => {
  fs.rmSync(folder, { recursive: true });
  expect(await list()).toEqual([]);
  expect(await status(store.get(`${prefix}a.jpg`))).toBe(404);
  write("a.jpg", "x");
  expect(await list()).toEqual(["a.jpg"]);
});
