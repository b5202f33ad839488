import { AbortMultipartUploadCommand, S3Client } from "@aws-sdk/client-s3";
import { eq } from "drizzle-orm";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Finishing from "#core/run/finishing";
import { type RunRow, runTable } from "#core/run/run.sql";
import {
  artifactOf,
  counting,
  crashing,
  filesOf,
  MiB,
  type Rig,
  small,
  start,
} from "#test/support/finish-rig";

let rig: Rig;
beforeAll(async () => {
  rig = await start();
});
afterAll(() => rig.close());
afterEach(() => rig.reset());

describe("the writing of large results", () => {
  let run: RunRow;
  let whole: Record<string, string | undefined>;
  /**
   * Two documents: a table, and the artifact, which has the most sections. Also the documents that both are made from.
   */
  let lastTwo: typeof whole;
  beforeAll(async () => {
    const id = { runId: "big" };
    // 5.5 MiB: two parts for every document except one table, and some results are only in the bucket.
    const items = await Promise.all(
      Array.from({ length: 120 }, (_, i) =>
        rig.stores.succeeded(id, i, {
          items: [{ name: `é${i} `.repeat(i % 4 === 0 ? 2_000 : 12_500), price: "1" }],
        }),
      ),
    );
    run = await rig.stores.insert(
      { ...id, finishedAt: new Date("2026-11-24T00:05:00Z"), persistInputs: true },
      items,
    );
    await rig.rewind(run);
    await rig.finish(run, { sizes: { partBytes: 64 * MiB, rows: 500, reads: 16 } });
    whole = await rig.documents(run);
    expect(Object.keys(whole)).toHaveLength(5);
    lastTwo = Object.fromEntries(
      [filesOf(run).jsonl, filesOf(run).lineItemsCsv, artifactOf(run)].map((rel) => [rel, whole[rel]]),
    );
  });

  test("in parts gives the bytes that one put gives, and holds no more than a chunk of rows", async () => {
    await rig.rewind(run);
    const { db, most } = counting(rig.stores.db);
    rig.stores.store.calls.length = 0;
    await rig.finish(run, { services: { ...rig.stores.services, db } });
    const operations = rig.stores.store.calls.map(({ operation }) => operation);
    expect(operations.filter((operation) => operation === "UploadPart").length).toBe(8);
    expect(operations.filter((operation) => operation === "CompleteMultipartUpload").length).toBe(4);
    expect(most()).toBe(small.rows);
    expect(await rig.documents(run)).toEqual(whole);
  });

  test("goes on after a crash at every save, with the same bytes", async () => {
    for (const applied of [false, true]) {
      await rig.rewind(run, 3);
      const { db, writes } = crashing(rig.stores.db, applied);
      const { threw } = await rig.finish(run, { services: { ...rig.stores.services, db } });
      // Each write to the database failed once, or its answer was lost.
      expect(threw).toBeGreaterThanOrEqual(2);
      expect(writes()).toBeGreaterThan(6);
      expect(await rig.documents(run)).toEqual(lastTwo);
    }
  });

  test("goes on after failures of the bucket", async () => {
    await rig.rewind(run, 3);
    let writes = 0;
    rig.stores.store.hook.answer = ({ operation }) => {
      if (!/Put|Create|Upload|Complete/.test(operation)) return undefined;
      writes += 1;
      return writes % 3 === 0 ? { status: 403 } : undefined;
    };
    expect((await rig.finish(run)).threw).toBeGreaterThan(1);
    expect(await rig.documents(run)).toEqual(lastTwo);
  });

  test("begins a document again if another process ended its upload", async () => {
    await rig.rewind(run, 3);
    rig.stores.store.hook.answer = ({ operation }) =>
      operation === "CompleteMultipartUpload" ? { status: 403 } : undefined;
    await expect(rig.step(run, { sizes: small })).rejects.toMatchObject({ code: "storage_unavailable" });
    rig.stores.store.hook.answer = () => undefined;
    const { finishing } = await rig.stores.reload(run);
    expect(finishing?.etags).toHaveLength(1);
    const { accessKeyId, secretAccessKey, ...settings } = rig.stores.store.bucket.settings;
    const client = new S3Client({
      ...{ endpoint: settings.endpoint ?? "", region: settings.region, forcePathStyle: true },
      credentials: { accessKeyId, secretAccessKey },
    });
    await client.send(
      new AbortMultipartUploadCommand({
        Bucket: "test",
        Key: Bucket.absolute(rig.stores.store.bucket, filesOf(run).lineItemsCsv),
        UploadId: finishing?.uploadId ?? "",
      }),
    );
    client.destroy();
    await rig.finish(run);
    expect(rig.lines).toContainEqual(expect.objectContaining({ event: "finish_restarted", document: 3 }));
    expect(await rig.documents(run)).toEqual(lastTwo);
  });

  test("begins at the first document again if that is lost, or if another version of the code began it", async () => {
    for (const [document, version] of [
      [2, "test"],
      [5, "older"],
    ] as const) {
      await rig.rewind(run);
      const finishing = { ...Finishing.begin("succeeded", version), document };
      await rig.stores.db.query.update(runTable).set({ finishing }).where(eq(runTable.runUid, run.runUid));
      await rig.finish(run);
      expect(await rig.documents(run)).toEqual(whole);
    }
  });

  test("keeps the bytes of an unfinished part between steps", async () => {
    await rig.rewind(run, 3);
    const startedAt = performance.now();
    await rig.finish(run);
    // A fraction of the time that this machine just needed for the whole.
    const timeMs = (performance.now() - startedAt) / 20;
    await rig.rewind(run, 3);
    const { more } = await rig.finish(run, { timeMs });
    expect(more).toBeGreaterThan(1);
    expect(await rig.documents(run)).toEqual(lastTwo);
  }, 120_000);
});
