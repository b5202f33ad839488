import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Proof from "#core/bucket/proof";
import * as Upload from "#core/upload/upload";
import { bytesOf, log, open, put, type Rig, wish } from "#test/support/upload-rig";

let rig: Rig;
beforeAll(async () => {
  rig = await open();
});
afterAll(() => rig?.close());

test("an upload with a declared hash takes these bytes alone, where the bucket compares them", async () => {
  const text = "the picture";
  const sha256 = createHash("sha256").update(text).digest("hex");
  const sum = "x-amz-checksum-sha256";
  expect((await rig.announce(text.length, { sha256 })).headers, "not tested yet").not.toHaveProperty(sum);
  for (const checksum of [false, true]) {
    await Proof.keep(rig.db, { ok: true, at: new Date().toISOString(), checksum });
    expect(sum in (await rig.announce(text.length, { sha256 })).headers).toBe(checksum);
  }
  const { image_ref: ref, upload_url: url, headers } = await rig.announce(text.length, { sha256 });
  const { [sum]: declared = "", ...others } = headers;
  expect(Buffer.from(declared, "base64").toString("hex")).toBe(sha256);
  expect(await put(url, headers, bytesOf("the pichure"))).toBe(400);
  expect(await put(url, others, bytesOf(text)), "without it").toBe(403);
  expect(await put(url, headers, bytesOf(text))).toBe(200);
  const key = await rig.keyOf(ref);
  expect(await Bucket.head(rig.bucket, log, key, { sha256: true })).toMatchObject({ sha256 });
  expect(
    await Bucket.head(rig.bucket, log, await rig.keyOf((await rig.filled("x")).image_ref), { sha256: true }),
  ).toMatchObject({
    sha256: null,
  });
});

test("an upload of data has a declared hash in the same way; another hash is another payload", async () => {
  await Proof.keep(rig.db, { ok: true, at: new Date().toISOString(), checksum: true });
  const hashes = ["a", "b"].map((text) => createHash("sha256").update(text).digest("hex"));
  const [sha256 = "", other = ""] = hashes;
  const data = await rig.announce(1, { kind: "data", path: "sum/1.png", sha256 });
  expect(await put(data.upload_url, data.headers, bytesOf("b"))).toBe(400);
  expect(await put(data.upload_url, data.headers, bytesOf("a"))).toBe(200);
  const caller = { keyId: "key-1", idempotencyKey: "declared" };
  await Upload.create(rig.stores, wish(1, { sha256 }), caller);
  expect((await Upload.create(rig.stores, wish(1, { sha256 }), caller)).replayed).toBe(true);
  await expect(Upload.create(rig.stores, wish(1, { sha256: other }), caller)).rejects.toMatchObject({
    code: "conflict",
  });
});
