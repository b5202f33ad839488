import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { settingTable } from "#core/db/setting.sql";
import { times } from "#spec/limits";
import * as TestBucket from "#test/support/test-bucket";
import * as TestDatabase from "#test/support/test-database";
import * as Bucket from "./bucket.ts";
import * as Proof from "./proof.ts";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
let s3: TestBucket.TestBucket;
let forgetful: Bucket.Bucket;

beforeAll(async () => {
  [database, s3] = await Promise.all([TestDatabase.start(), TestBucket.start()]);
  // A server that does not know the condition: it ignores it and overwrites.
  forgetful = without("IfNoneMatch");
});
afterAll(async () => {
  forgetful.client.destroy();
  await Promise.all([database.close(), s3.close()]);
});
beforeEach(() => database.db.query.delete(settingTable));

/** The bucket through a client that leaves this out of its calls. */
function without(field: "IfNoneMatch" | "ChecksumSHA256"): Bucket.Bucket {
  const bucket = Bucket.open(s3.bucket.settings, 8_000);
  const send: typeof bucket.client.send = (operation, input, options) =>
    bucket.client.send(operation, { ...input, [field]: undefined }, options);
  return { ...bucket, client: { ...bucket.client, send } };
}

const log = TestBucket.silent;
const left = async () => (await Bucket.list(s3.bucket, log, { prefix: "inputs/" })).objects;

test("a bucket that refuses the second write has proven it, and nothing is left in it", async () => {
  expect(await Proof.prove(s3.bucket, log)).toEqual({
    ...{ ok: true, checksum: true },
    at: expect.stringMatching(/Z$/),
  });
  expect(await left()).toEqual([]);
});

test("a bucket that overwrites is recognized", async () => {
  expect(await Proof.prove(forgetful, log)).toMatchObject({ ok: false, error: "overwritten" });
  expect(await left()).toEqual([]);
});

test("a bucket that accepts bytes which differ from their checksum is recognized: the server signs no checksums for it", async () => {
  const careless = without("ChecksumSHA256");
  expect(await Proof.prove(careless, log)).toMatchObject({ ok: true, checksum: false });
  expect(await left()).toEqual([]);
  careless.client.destroy();
});

test("the test is made once a day; while the bucket is away no result is stored, so the next minute tries again", async () => {
  const services = { db: database.db, bucket: s3.bucket, times: times(1) };
  s3.hook.answer = () => ({ status: 503 });
  await Proof.daily({ ...services, bucket: { ...s3.bucket, timeoutMs: 300 } }, log);
  expect(await Proof.last(database.db)).toBeUndefined();
  s3.hook.answer = () => undefined;
  await Proof.daily(services, log);
  const first = await Proof.last(database.db);
  expect(first?.ok).toBe(true);
  s3.calls.length = 0;
  await Proof.daily({ ...services, bucket: forgetful }, log);
  expect(s3.calls).toEqual([]);
  await Proof.keep(database.db, { ok: true, at: new Date(Date.now() - 86_400_001).toISOString() });
  await Proof.daily({ ...services, bucket: forgetful }, log);
  expect(await Proof.last(database.db)).toMatchObject({ ok: false, error: "overwritten" });
});
