import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import * as Place from "#core/artifact/place";
import { extractTable } from "#core/extraction/extract.sql";
import * as ExtractionWork from "#core/extraction/work";
import type { Log } from "#core/log";
import * as Extracts from "#core/reconcile/extracts";
import * as Runs from "#core/reconcile/runs";
import { itemTable, runTable } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";
import { answer } from "#test/support/batches/batches";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";
import * as RunStores from "#test/support/run-stores";
import { artifactKey } from "./artifact.ts";
import * as DeadLetter from "./dead-letter.ts";
import * as ItemWork from "./work.ts";

/*
 * What happens to work that failed repeatedly, to rows that cannot be repaired, and to answers whose key holds
 * another artifact.
 */

const { silent } = RunStores;
let stores: RunStores.Stores;
let model: ModelServer.ModelServer;
let services: RunServices;
let runs = 0;
let runUid: string;

beforeAll(async () => {
  stores = await RunStores.open();
  model = await ModelServer.start({ model: "scripted", respond: () => answer() });
  services = {
    ...stores.services,
    model: {
      ...{ baseUrl: model.url, apiKey: undefined, model: "scripted", maxModelLen: 8_192 },
      ...{ maxTokens: undefined, maxImages: 4, look: true, connectTimeoutMs: 5_000, readTimeoutMs: 90_000 },
    },
  };
  await stores.bucket.put("data/shared/x.jpg", Buffer.from(await picture()) as never);
});
afterAll(async () => {
  await model?.close();
  await stores?.close();
});
beforeEach(async () => {
  stores.bucket.hook.answer = () => undefined;
  for (const table of [runTable, itemTable, extractTable]) await services.db.query.delete(table);
  model.requests.length = 0;
  runUid = `u-${++runs}`;
});

const away = { status: 503 };
const past = () => new Date(Date.now() - 60_000);
const mine = () => ({
  keyId: "key-1",
  taskId: "receipt_fields_v1",
  payloadHash: "hash",
  createdAt: new Date(),
});
async function item(more: Partial<typeof itemTable.$inferInsert> = {}, uid = runUid) {
  const now = new Date();
  const [run] = await services.db.query
    .insert(runTable)
    .values({
      ...{ ...mine(), runUid: uid, runId: uid, principalRole: "client", state: "running", epoch: 5 },
      ...{
        concurrency: 1,
        source: "manifest",
        persistInputs: false,
        total: 1,
        startedAt: now,
        touchedAt: now,
      },
    })
    .returning();
  const [row] = await services.db.query
    .insert(itemTable)
    .values({
      ...{ runUid: uid, index: 0, sourceKind: "data", objectKey: "data/shared/x.jpg", status: "queued" },
      ...{ sentEpoch: 5, slot: 0, ...more },
    })
    .returning();
  if (run === undefined || row === undefined) throw new Error("no row");
  return { run, row };
}
const itemRow = async (uid = runUid) => (await stores.items(uid))[0];
const message = () => ({ run_uid: runUid, epoch: 5, index: 0, seq: 0, slot: 0 });
const job = () => {
  const now = Date.now();
  return {
    ...{ startedAt: now, deadline: now + 20_000, leaseUntil: new Date(now + 60_000), receiveCount: 1 },
    ...{ held: Promise.resolve(), hold: async () => undefined },
    renewal: {
      ...{ everyMs: 60_000, retryMs: 60_000, lastAt: now + 20_000 },
      ...{ until: (at: number) => at + 60_000, hold: async () => undefined },
    },
  };
};
const foreign = JSON.stringify({
  ...{ request_id: "x", payload_hash: "another", principal: { key_id: "key-1" } },
  run: { run_id: "nightly", run_uid: "another", index: 0 },
});

test("a dead letter during an outage of the bucket is not counted: the item gets its new message when the bucket is back", async () => {
  await item({ token: 99 });
  stores.bucket.hook.answer = () => away;
  const bury = () => DeadLetter.buryItem(services, message(), new Date(Date.now() - 1), silent);
  for (let receive = 1; receive <= 2; receive += 1) {
    expect(await RunStores.failure(bury())).toMatchObject({ code: "storage_unavailable" });
    expect(await itemRow()).toMatchObject({ buried: 0, sendSeq: 0 });
  }
  stores.bucket.hook.answer = () => undefined;
  expect(await bury()).toBe("done");
  expect(await itemRow()).toMatchObject({ status: "queued", buried: 1, sendSeq: 1, errorCode: null });
});

test("a row that cannot be repaired does not stop the repair of others, and is logged with its ids", async () => {
  const told: unknown[] = [];
  const log: Log = { ...silent, error: (event, fields) => void told.push({ event, ...fields }) };
  const bad = await item({ status: "running", token: 3, leaseUntil: past() }, "bad");
  await item({ status: "running", token: 1, leaseUntil: past() }, "good");
  // A value that is not a date, so no artifact key can be made from it.
  await services.db.client.execute("UPDATE run SET created_at = 9000000000000000 WHERE run_uid = 'bad'");
  await Runs.reconcile(services, log);
  expect(await itemRow("good")).toMatchObject({ status: "queued", sendSeq: 1 });
  expect(told).toEqual([
    expect.objectContaining({ event: "repair_failed", run_uid: bad.run.runUid, index: 0 }),
  ]);
});

test.each([
  ["somebody else's artifact", foreign, 0],
  ["no artifact", "{ not an artifact", 0],
  ["somebody else's artifact, which its first worker cannot know of", foreign, 1],
])(
  "an item at whose key is %s ends as a failure that says so, both in its run and after its dead letter",
  async (_, body, asked) => {
    const { run, row } = await item({ token: asked === 1 ? 0 : 3 });
    await stores.bucket.put(artifactKey(run, row), body);
    expect(await ItemWork.work(services, silent, message(), job())).toBe("done");
    expect(model.requests).toHaveLength(asked);
    expect(await itemRow()).toMatchObject({
      ...{ status: "failed", errorCode: "conflict", errorDetails: { reason: "artifact_taken" } },
      ...{ artifactRel: null, modelCalls: asked },
    });
    expect(await stores.run(runUid)).toMatchObject({ failed: 1, modelCalls: asked });
  },
);

test("an item at whose key another artifact is stored is ended by reconcile, too", async () => {
  const { run, row } = await item({ status: "running", token: 3, leaseUntil: past() });
  await stores.bucket.put(artifactKey(run, row), "{ not an artifact");
  await Runs.reconcile(services, silent);
  expect(await itemRow()).toMatchObject({ status: "failed", errorCode: "conflict" });
});

async function extract(): Promise<void> {
  await services.db.query.insert(extractTable).values({
    ...{ ...mine(), requestId: runUid, status: "queued", leaseUntil: new Date(), token: 1 },
    input: {
      ...{ source: "inline", declaredMimeType: null, objectKey: "data/shared/x.jpg", etag: null },
      ...{ temporary: false, debug: null, principalRole: "client" },
    },
  });
}
const extractRow = async () =>
  (await services.db.query.select().from(extractTable).where(eq(extractTable.requestId, runUid)))[0];
const single = () => ExtractionWork.work(services, silent, { key_id: "key-1", request_id: runUid }, job());

test("an extract at whose key another artifact is stored ends as a failure that says so", async () => {
  await extract();
  await stores.bucket.put(Place.extractKey("key-1", runUid, new Date()), foreign);
  await single();
  expect(await extractRow()).toMatchObject({
    ...{ status: "failed", errorCode: "conflict", errorDetails: { reason: "artifact_taken" } },
  });
  await Extracts.reconcile(services, silent);
  await single();
  expect(model.requests.length).toBeLessThanOrEqual(1);
});

test("an outage of the bucket costs a queued extract no claim", async () => {
  await extract();
  stores.bucket.hook.answer = () => away;
  for (let receive = 0; receive < 6; receive += 1)
    expect(await RunStores.failure(single())).toMatchObject({ code: "storage_unavailable" });
  expect(await extractRow()).toMatchObject({ status: "queued", claims: 0 });
  stores.bucket.hook.answer = () => undefined;
  await single();
  expect(await extractRow()).toMatchObject({ status: "succeeded" });
});
