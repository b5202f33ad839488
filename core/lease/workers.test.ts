import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import { extractTable } from "#core/extraction/extract.sql";
import * as ExtractionWork from "#core/extraction/work";
import * as ItemWork from "#core/run/item/work";
import { itemTable, runTable } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";
import * as RunStores from "#test/support/run-stores";

/*
 * Both workers as functions call them, in this process, with stores over their protocols: what their leases cost, and
 * what happens to work that they have lost. test/leases.test.ts tests separate processes.
 */

const { silent } = RunStores;
const kinds = ["item", "single"] as const;
type Kind = (typeof kinds)[number];

let stores: RunStores.Stores;
let model: ModelServer.ModelServer;
let services: RunServices;
/** SQL of the statements that were sent. */
let sent: string[];
/** Calls to the queue for a longer invisibility. */
let holds: number;
/** While this is set, the database refuses renewals. */
let refuses: boolean;

const renewals = () =>
  sent.filter((sql) => /^update "(item|extract)" set "lease_until" = \? where/.test(sql));

beforeAll(async () => {
  stores = await RunStores.open();
  model = await ModelServer.start({ model: "scripted" });
  const { client } = stores.services.db;
  const batch = client.batch.bind(client);
  client.batch = (statements, mode) => {
    const before = renewals().length;
    for (const each of statements) sent.push(typeof each === "object" && "sql" in each ? each.sql : "");
    if (refuses && renewals().length > before) return Promise.reject(new TypeError("fetch failed"));
    return batch(statements, mode);
  };
  services = {
    ...stores.services,
    model: {
      ...{ baseUrl: model.url, apiKey: undefined, model: "scripted", maxModelLen: 8_192 },
      ...{ maxTokens: undefined, maxImages: 4, look: true, connectTimeoutMs: 5_000, readTimeoutMs: 90_000 },
    },
  };
  const body = { body: await picture(), contentType: "image/jpeg" };
  await Bucket.replace(services.bucket, silent, "data/k.jpg", body);
});
afterAll(async () => {
  await model?.close();
  await stores?.close();
});

let runs = 0;
let id: string;
beforeEach(async () => {
  runs += 1;
  id = `r-${runs}`;
  sent = [];
  holds = 0;
  refuses = false;
  const now = new Date();
  const mine = { keyId: "key-1", taskId: "receipt_fields_v1", payloadHash: "hash", createdAt: now };
  await services.db.query.insert(runTable).values({
    ...{ ...mine, runUid: id, runId: id, principalRole: "client", state: "running", epoch: 7 },
    ...{ concurrency: 1, source: "manifest", persistInputs: false, total: 1, startedAt: now, touchedAt: now },
  });
  await services.db.query
    .insert(itemTable)
    .values({ runUid: id, index: 0, sourceKind: "data", objectKey: "data/k.jpg", status: "queued" });
  await services.db.query.insert(extractTable).values({
    ...{ ...mine, requestId: id, status: "queued", leaseUntil: now, token: 1 },
    input: {
      ...{ source: "inline", declaredMimeType: null, objectKey: "data/k.jpg", etag: null, temporary: false },
      ...{ debug: null, principalRole: "client" },
    },
  });
});

/** Works on the message as functions/worker.ts does, at another pace. */
function work(kind: Kind, { leaseMs, everyMs }: { leaseMs: number; everyMs: number }): Promise<unknown> {
  const startedAt = Date.now();
  const job = {
    startedAt,
    deadline: startedAt + 30_000,
    leaseUntil: new Date(startedAt + leaseMs),
    renewal: {
      ...{ everyMs, retryMs: everyMs, lastAt: startedAt + 30_000 },
      until: (now: number) => now + leaseMs,
      hold: async () => {
        holds += 1;
      },
    },
    ...{ receiveCount: 1, held: Promise.resolve(), hold: async () => undefined },
  };
  if (kind === "single")
    return ExtractionWork.work(services, silent, { key_id: "key-1", request_id: id }, job);
  return ItemWork.work(services, silent, { run_uid: id, epoch: 7, index: 0, seq: 0, slot: 0 }, job);
}
const rowOf = async (kind: Kind) => {
  const { query } = services.db;
  const [row] =
    kind === "item"
      ? await query.select().from(itemTable).where(eq(itemTable.runUid, id))
      : await query.select().from(extractTable).where(eq(extractTable.requestId, id));
  return row;
};
/** Takes the work over, like another worker that saw the lease end. */
const steal = async (kind: Kind) => {
  const values = { token: 50, leaseUntil: new Date(Date.now() + 60_000) };
  const { query } = services.db;
  if (kind === "item") await query.update(itemTable).set(values).where(eq(itemTable.runUid, id));
  else await query.update(extractTable).set(values).where(eq(extractTable.requestId, id));
};
const requests = () => model.requests.filter(({ headers }) => String(headers["x-request-id"]).startsWith(id));
const artifacts = async () => (await stores.below("extracts")).filter((rel) => rel.includes(`/${id}`));

/** An answer whose pieces keep coming for about this long. */
const answer = (ms: number) =>
  ModelServer.json(
    {
      ...{ total: "12.00", subtotal: null, tax: null, service: null },
      ...{ discount: null, cash: null, card: null, change: null },
    },
    { chunkDelayMs: ms / 10 },
  );
const patient = { leaseMs: 20_000, everyMs: 10_000 };
const eager = { leaseMs: 20_000, everyMs: 50 };

describe.each(kinds)("the worker of queue %s", (kind) => {
  test("renews neither message nor row during a short call", async () => {
    model.respond = () => answer(0);
    await work(kind, patient);
    expect(await rowOf(kind)).toMatchObject({ status: "succeeded" });
    expect([holds, renewals()]).toEqual([0, []]);
  });

  test("renews both during a long call, with one statement and one call each time, and asks the model once", async () => {
    model.respond = () => answer(1_000);
    await work(kind, eager);
    expect(await rowOf(kind)).toMatchObject({ status: "succeeded", claims: 1 });
    expect(holds).toBeGreaterThan(1);
    expect(renewals()).toHaveLength(holds);
    expect(requests()).toHaveLength(1);
    // Nothing continues after the invocation.
    const after = sent.length;
    await new Promise((resolve) => setTimeout(resolve, 3 * eager.everyMs));
    expect(sent).toHaveLength(after);
  });

  test("ends the model call when another worker has the work, and writes and counts nothing", async () => {
    model.respond = () => ({ kind: "hang" });
    const working = work(kind, eager);
    await vi.waitFor(() => expect(requests()).toHaveLength(1), { timeout: 10_000, interval: 10 });
    await steal(kind);
    const before = await rowOf(kind);
    await working;
    await vi.waitFor(() => expect(requests()[0]?.aborted).toBe(true), { timeout: 5_000, interval: 10 });
    expect(await rowOf(kind)).toEqual(before);
    expect(await artifacts()).toEqual([]);
    expect(await stores.run(id)).toMatchObject({ modelCalls: 0, succeeded: 0, failed: 0, state: "running" });
  });

  test("ends the model call when the lease could not be renewed; that costs no attempt, and the work is done once more", async () => {
    model.respond = () => ({ kind: "hang" });
    refuses = true;
    const settled = work(kind, { leaseMs: 1_500, everyMs: 50 });
    await expect(settled).rejects.toMatchObject({ code: "storage_unavailable" });
    expect(requests().map(({ aborted }) => aborted)).toEqual([true]);
    expect(await artifacts()).toEqual([]);
    refuses = false;
    model.respond = () => answer(0);
    await work(kind, patient);
    expect(await rowOf(kind)).toMatchObject({ status: "succeeded", attempts: kind === "item" ? 1 : 0 });
    expect(requests()).toHaveLength(2);
    expect(await artifacts()).toHaveLength(1);
  });
});
