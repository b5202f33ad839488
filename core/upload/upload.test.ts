import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import type { AppError } from "#core/error";
import { sweep } from "#core/input/sweep";
import * as Upload from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
import { Bucket as storeBucket } from "#test/support/s3-store";
import { bytesOf, log, open, put, type Rig, wish } from "#test/support/upload-rig";

const hour = 3_600_000;

let rig: Rig;
let store: Rig["store"];
let db: Rig["db"];
let bucket: Rig["bucket"];
let stores: Rig["stores"];

beforeAll(async () => {
  rig = await open();
  ({ store, db, bucket, stores } = rig);
});
afterAll(() => rig?.close());

const { announce, filled, read, keyOf } = {
  announce: (...wanted: Parameters<Rig["announce"]>) => rig.announce(...wanted),
  filled: (...wanted: Parameters<Rig["filled"]>) => rig.filled(...wanted),
  read: (...wanted: Parameters<Rig["read"]>) => rig.read(...wanted),
  keyOf: (ref: string) => rig.keyOf(ref),
};
async function failure(work: Promise<unknown>): Promise<AppError> {
  return work.then(
    () => {
      throw new Error("it succeeded");
    },
    (thrown: AppError) => thrown,
  );
}

describe("an announced upload", () => {
  test("takes one PUT of its bytes, below the key's own inputs, and reads as what was put", async () => {
    const text = "the picture";
    const upload = await announce(text.length, { file: "../a b.png", mime_type: "IMAGE/PNG" });
    expect(upload).toMatchObject({
      method: "PUT",
      max_bytes: 20 * 1024 * 1024,
      image_ref: expect.stringMatching(/^upload_[\w-]{24}$/),
    });
    expect(upload.headers).toEqual({
      "Content-Type": "image/png",
      "Content-Length": "11",
      "If-None-Match": "*",
    });
    const left = Date.parse(upload.expires_at) - Date.now();
    expect(left).toBeGreaterThan(895_000);
    expect(left).toBeLessThanOrEqual(900_000);
    expect(new URL(upload.upload_url).searchParams.get("X-Amz-SignedHeaders")).toBe(
      "content-length;host;if-none-match",
    );
    expect(await put(upload.upload_url, upload.headers, bytesOf(text))).toBe(200);
    const found = await read(upload.image_ref);
    expect(Buffer.from(found.bytes).toString()).toBe(text);
    expect(found).toMatchObject({
      declaredMimeType: "image/png",
      etag: `"${createHash("md5").update(text).digest("hex")}"`,
      objectKey: expect.stringMatching(/^inputs\/uploads\/key-1\/[\w-]{24}$/),
    });
    expect(await store.textOf(`stage/one/${found.objectKey}`)).toBe(text);
  });

  test.each([
    ['a b\'s $(x) [1]{2} "q".jpg', 'a b\'s $(x) [1]{2} "q".jpg'],
    ["-", "-"],
    ["-T", "-T"],
    [undefined, "FILE"],
    ["two\nlines.jpg", "FILE"],
  ])("comes with a line for the shell that puts the file there: %j", async (file, path) => {
    const text = "the picture";
    const upload = await announce(text.length, file === undefined ? {} : { file });
    const folder = await mkdtemp(join(tmpdir(), "ocrlty-curl-"));
    try {
      await writeFile(join(folder, path), text);
      const shell = promisify(execFile)("sh", ["-c", upload.curl], { cwd: folder });
      const ran = await shell.catch((thrown: { code?: unknown; stderr?: string }) => thrown);
      // Without a shell or curl the line is only compared.
      if ("code" in ran && (ran.code === "ENOENT" || ran.code === 127)) {
        expect(upload.curl).toContain(`'${upload.upload_url}'`);
        return;
      }
      expect(ran).toMatchObject({ stdout: "200\n", stderr: "" });
      expect(Buffer.from((await read(upload.image_ref)).bytes).toString()).toBe(text);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("is written once: a second PUT is refused with 412, also with the same bytes", async () => {
    const upload = await filled("once");
    expect(await put(upload.upload_url, upload.headers, bytesOf("once"))).toBe(412);
    expect(await put(upload.upload_url, upload.headers, bytesOf("evil"))).toBe(412);
    expect(Buffer.from((await read(upload.image_ref)).bytes).toString()).toBe("once");
  });

  test("is refused with 403 with any signed header changed, added to or left out, and with another place or time", async () => {
    const upload = await announce(4);
    const { upload_url: url, headers } = upload;
    const { "If-None-Match": _, ...overwriting } = headers;
    const { "Content-Length": __, ...unmeasured } = headers;
    const tampered: [string, string, Record<string, string>, string][] = [
      ["one byte more", url, { ...headers, "Content-Length": "5" }, "evil!"],
      ["one byte less", url, { ...headers, "Content-Length": "3" }, "evi"],
      ["no length", url, { ...unmeasured, "Transfer-Encoding": "chunked" }, "evil"],
      ["overwriting", url, overwriting, "evil"],
      ["a condition of one's own", url, { ...headers, "If-None-Match": '"x"' }, "evil"],
      ["metadata of one's own", url, { ...headers, "x-amz-meta-a": "b" }, "evil"],
      ["another object", url.replace(/(uploads\/.{23})./, (_all, start) => `${start}!`), headers, "evil"],
      ["another key's folder", url.replace("key-1", "key-2"), headers, "evil"],
      ["longer validity", url.replace("X-Amz-Expires=900", "X-Amz-Expires=901"), headers, "evil"],
    ];
    for (const [what, place, sent, body] of tampered) {
      expect(await put(place, sent, bytesOf(body)), what).toBe(403);
    }
    expect((await fetch(url)).status).toBe(403);
    expect((await fetch(url, { method: "DELETE" })).status).toBe(403);
    expect(await put(url, headers, bytesOf("good"))).toBe(200);
    expect(Buffer.from((await read(upload.image_ref)).bytes).toString()).toBe("good");
  });

  test.each([
    ["image/jpg", "image/jpg"],
    ["Image/PJPEG; q=1", "image/pjpeg"],
    ["image/heic", "image/heic"],
    ["application/octet-stream", "application/octet-stream"],
    ["application/pdf", "application/pdf"],
    [".JFIF", "image/jpeg"],
    ["tif", "image/tiff"],
    [undefined, "application/octet-stream"],
    ["whatever", "application/octet-stream"],
    ["a/b\r\nX-Evil: 1", "application/octet-stream"],
    // The bucket serves nothing with a media type that a browser would run.
    ["image/svg+xml", "application/octet-stream"],
    ["text/html", "application/octet-stream"],
  ])("takes any hint of a type, as the other routes do: %j", async (mime_type, sent) => {
    const upload = await announce(4, { mime_type });
    expect(upload.headers["Content-Type"]).toBe(sent);
    expect(await put(upload.upload_url, upload.headers, bytesOf("good"))).toBe(200);
    expect(Buffer.from((await read(upload.image_ref)).bytes).toString()).toBe("good");
  });

  test("has at most 20 MiB", async () => {
    const limit = 20 * 1024 * 1024;
    expect(await failure(announce(limit + 1))).toMatchObject({
      code: "image_too_large",
      details: { limit_bytes: limit, bytes: limit + 1 },
    });
    await announce(limit);
    for (const body of [
      { bytes: 0 },
      { bytes: 1.5 },
      { bytes: -1 },
      { bytes: "4" },
      { kind: "data" },
      { kind: "other" },
      { path: "x" },
      { kind: "manifest", path: "x" },
      { kind: "data", path: "../x" },
      { kind: "data", path: "/x" },
      { kind: "data", path: "a//b" },
      { kind: "data", path: "a\\b" },
      { kind: "data", path: "a\u0000" },
    ]) {
      expect(
        Upload.UploadRequest.safeParse({ mime_type: "image/png", bytes: 4, ...body }).success,
        JSON.stringify(body),
      ).toBe(false);
    }
  });
});

describe("other kinds of uploads", () => {
  test("a manifest has a limit of its own, whatever its declared type, and is refused as a picture", async () => {
    const caller = { keyId: "key-1", idempotencyKey: undefined };
    const request = { kind: "manifest", mime_type: "application/x-ndjson", bytes: 2 } as const;
    const { upload } = await Upload.create(stores, request, caller);
    expect(upload).toMatchObject({ manifest_ref: expect.stringMatching(/^upload_/), max_bytes: 209_715_200 });
    expect(upload).not.toHaveProperty("image_ref");
    expect(await put(upload.upload_url, upload.headers, bytesOf("{}"))).toBe(200);
    expect((await failure(read(upload.manifest_ref ?? ""))).code).toBe("not_found");
    for (const mime_type of ["application/octet-stream", "application/ndjson", "text/plain; charset=utf-8"])
      expect(
        (await Upload.create(stores, { ...request, mime_type }, caller)).upload.manifest_ref,
      ).toBeDefined();
    const large = Upload.create(stores, { ...request, bytes: 209_715_201 }, caller);
    expect(await failure(large)).toMatchObject({
      code: "payload_too_large",
      details: { limit_bytes: 209_715_200 },
    });
  });

  test("data goes below the caller's own folder, has no row to sweep, and shared/ is for admin:all_keys", async () => {
    const before = (await db.query.select().from(uploadTable)).length;
    const request = { kind: "data", mime_type: "image/png", bytes: 4, path: "a/b.png" } as const;
    const caller = { keyId: "key-1", allKeys: false, idempotencyKey: undefined };
    const { upload } = await Upload.create(stores, request, caller);
    expect(upload.image_key).toBe("key-1/a/b.png");
    expect(await put(upload.upload_url, upload.headers, bytesOf("data"))).toBe(200);
    expect(await put(upload.upload_url, upload.headers, bytesOf("evil"))).toBe(412);
    expect(await store.textOf("stage/one/data/key-1/a/b.png")).toBe("data");
    const shared = { ...request, path: "shared/b.png" };
    expect((await failure(Upload.create(stores, shared, caller))).code).toBe("forbidden");
    const admin = { ...caller, allKeys: true };
    expect((await Upload.create(stores, shared, admin)).upload.image_key).toBe("shared/b.png");
    expect(await db.query.select().from(uploadTable)).toHaveLength(before);
  });
});

describe("a repeated Idempotency-Key", () => {
  const again = (idempotencyKey: string, more: Partial<Upload.UploadRequest> = {}, keyId = "key-1") =>
    Upload.create(stores, wish(4, more), { keyId, idempotencyKey });

  test("gives the same answer for the same payload, and a conflict for another", async () => {
    const first = await again("order-1");
    expect(first.replayed).toBe(false);
    expect(await again("order-1")).toEqual({ upload: first.upload, replayed: true });
    for (const more of [{ bytes: 5 }, { mime_type: "image/jpeg" }, { file: "x.png" }]) {
      expect(await failure(again("order-1", more))).toMatchObject({ code: "conflict" });
    }
    // Ids belong to the key that made them.
    expect((await again("order-1", { bytes: 5 }, "key-2")).replayed).toBe(false);
  });

  test("never gives a URL with less than half of its time", async () => {
    const first = await again("order-2");
    await db.query.update(uploadTable).set({ createdAt: new Date(Date.now() - 2 * hour) });
    const second = await again("order-2");
    expect(second.upload.image_ref).toBe(first.upload.image_ref);
    expect(Date.parse(second.upload.expires_at) - Date.now()).toBeGreaterThan(449_000);
    expect(await put(second.upload.upload_url, second.upload.headers, bytesOf("late"))).toBe(200);
    // The first URL is for the same object, so its PUT is refused like a second one.
    expect(await put(first.upload.upload_url, first.upload.headers, bytesOf("more"))).toBe(412);
  });
});

describe("reading an upload", () => {
  test("another key's, an unknown and a malformed ref are answered exactly alike", async () => {
    const { image_ref } = await filled("mine");
    const refs: [string, string][] = [
      [image_ref, "key-2"],
      [`upload_${"x".repeat(24)}`, "key-1"],
      ["../../extracts", "key-1"],
      [image_ref.slice("upload_".length), "key-1"],
      ["", "key-1"],
    ];
    const errors = await Promise.all(refs.map(([ref, keyId]) => failure(read(ref, keyId))));
    expect(
      new Set(errors.map(({ code, message, details }) => JSON.stringify({ code, message, details }))).size,
    ).toBe(1);
    expect(errors[0]?.code).toBe("not_found");
  });

  test("says when nothing has been put there yet, and reads it afterwards", async () => {
    const upload = await announce(4);
    expect(await failure(read(upload.image_ref))).toMatchObject({
      code: "invalid_request",
      details: { reason: "upload_missing", issues: [{ path: "image_ref" }] },
    });
    await put(upload.upload_url, upload.headers, bytesOf("here"));
    expect(Buffer.from((await read(upload.image_ref)).bytes).toString()).toBe("here");
  });

  const overwrite = async (ref: string, Body: string) =>
    store.s3.send(new PutObjectCommand({ Bucket: storeBucket, Key: `stage/one/${await keyOf(ref)}`, Body }));

  test("refuses what was replaced or removed since the first read, and takes the first back", async () => {
    const { image_ref } = await filled("first");
    await read(image_ref);
    await overwrite(image_ref, "other");
    const replaced = { code: "conflict", details: { reason: "upload_replaced" } };
    expect(await failure(read(image_ref))).toMatchObject(replaced);
    await Bucket.remove(bucket, log, await keyOf(image_ref));
    expect(await failure(read(image_ref))).toMatchObject(replaced);
    await overwrite(image_ref, "first");
    expect(Buffer.from((await read(image_ref)).bytes).toString()).toBe("first");
  });

  test("of two first readers of different objects one is refused", async () => {
    const { image_ref } = await filled("first");
    const reached = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    // Its bytes have been read, and its ETag is not stored yet.
    const slow = new Proxy(db.client, {
      get: (target, name) =>
        name !== "batch"
          ? Reflect.get(target, name)
          : async (...call: Parameters<typeof target.batch>) => {
              reached.resolve();
              await gate.promise;
              return target.batch(...call);
            },
    });
    const early = failure(
      Upload.read({ ...stores, db: { ...db, client: slow } }, log, { ref: image_ref, keyId: "key-1" }),
    );
    await reached.promise;
    await overwrite(image_ref, "other");
    expect(Buffer.from((await read(image_ref)).bytes).toString()).toBe("other");
    gate.resolve();
    expect(await early).toMatchObject({ code: "conflict", details: { reason: "upload_replaced" } });
  });

  test("reads no more bytes than may be uploaded, however large the object is", async () => {
    const { image_ref } = await filled("small");
    await overwrite(image_ref, "x".repeat(20 * 1024 * 1024 + 1));
    expect(await failure(read(image_ref))).toMatchObject({ code: "image_too_large" });
  });
});

describe("sweep", () => {
  test("removes uploads whose week is over with their objects, filled or not, and leaves the others", async () => {
    await db.query.delete(uploadTable);
    const [old, empty, young] = [await filled("old"), await announce(4), await filled("young")];
    const oldKey = await keyOf(old.image_ref);
    const week = 7 * 24 * hour;
    const rows = await db.query.select().from(uploadTable);
    for (const row of rows) expect(row.keepUntil.getTime() - row.createdAt.getTime()).toBe(week);
    expect(await sweep(stores, log)).toBe(0);
    for (const { image_ref } of [old, empty]) {
      await db.query
        .update(uploadTable)
        .set({ keepUntil: new Date(Date.now() - 1) })
        .where(eq(uploadTable.ref, image_ref));
    }
    expect(await sweep(stores, log)).toBe(2);
    expect(await failure(read(old.image_ref))).toMatchObject({ code: "not_found" });
    expect(await Bucket.head(bucket, log, oldKey)).toBeUndefined();
    expect(Buffer.from((await read(young.image_ref)).bytes).toString()).toBe("young");
  });
});
