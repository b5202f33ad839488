import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keyTable } from "#core/key/key.sql";
import { itemTable, runTable } from "#core/run/run.sql";
import * as Create from "#core/run/source/create";
import { noLimits } from "#spec/key-limits";
import * as RunStores from "#test/support/run-stores";
import { slotsOf } from "./share.ts";
import * as Window from "./window.ts";

const { silent, client, callerOf, failure } = RunStores;
let stores: RunStores.Stores;
beforeAll(async () => {
  stores = await RunStores.open();
  const key = { role: "client" as const, scopes: ["extract:run"], createdAt: new Date() };
  await stores.services.db.query.insert(keyTable).values([
    { ...key, keyId: "many", maxInFlight: 4 },
    { ...key, keyId: "free" },
  ]);
  await stores.bucket.put("data/shared/a.png", "a");
});
afterAll(() => stores.close());

const run = (runUid: string, concurrency: number, left = 100) => ({ runUid, concurrency, left });

test.each([
  ["one run has all that it asks for", [run("a", 4)], 8, [4]],
  ["two share evenly, the older one has what is odd", [run("a", 8), run("b", 8)], 7, [4, 3]],
  ["what one does not ask for is the others'", [run("a", 2), run("b", 8)], 8, [2, 6]],
  ["nor what it has no items for", [run("a", 8, 1), run("b", 8)], 8, [1, 7]],
  [
    "each goes on, though there are more runs than slots",
    [run("a", 8), run("b", 8), run("c", 8)],
    2,
    [1, 1, 1],
  ],
])("%s", (_, runs, most, shares) => {
  expect(runs.map((each) => slotsOf(each, runs, most))).toEqual(shares);
});

/** Makes a run of this many items and fills its window. @returns the slots that have messages then. */
async function begin(runId: string, keyId: string, items: number) {
  const manifest = Array.from({ length: items }, (_, i) => ({
    image_key: "shared/a.png",
    custom_id: `${i}`,
  }));
  const body = { task_id: "receipt_fields_v1", run_id: runId, concurrency: 4, manifest };
  const limits = keyId === "many" ? { ...noLimits, maxInFlight: 4 } : noLimits;
  const caller = callerOf(client(keyId, { limits }));
  const { run: made } = await Create.create(stores.services, silent, Create.parse(body), caller);
  return made.runUid;
}
async function slots(runUid: string): Promise<number[]> {
  await Window.fill(stores.services, runUid, silent);
  const sent = (await stores.items(runUid)).filter(({ sentEpoch }) => sentEpoch > 0);
  return [...new Set(sent.map(({ slot }) => slot ?? -1))].toSorted();
}

test("all runs of a key share its limit of items in flight, and no more runs begin than fit", async () => {
  const { query } = stores.services.db;
  const first = await begin("first", "many", 40);
  expect(await slots(first)).toEqual([0, 1, 2, 3]);
  const second = await begin("second", "many", 40);
  expect(await slots(second)).toEqual([0, 1]);
  // From now on the first run sends messages only for its half.
  await query.update(itemTable).set({ status: "succeeded", slot: null }).where(eq(itemTable.runUid, first));
  await query.update(itemTable).set({ status: "queued", sentEpoch: 0 }).where(eq(itemTable.runUid, first));
  expect(await slots(first)).toEqual([0, 1]);
  await begin("third", "many", 1);
  await begin("fourth", "many", 1);
  expect(await failure(begin("fifth", "many", 1))).toMatchObject({
    code: "rate_limited",
    retryAfterS: 30,
    details: { limit: "max_in_flight", allowed: 4, used: 4 },
  });
  // A repeated call makes no further run; once a run has ended there is room for another.
  expect(await begin("fourth", "many", 1)).toBeDefined();
  await query.update(runTable).set({ state: "succeeded" }).where(eq(runTable.runId, "third"));
  expect(await begin("fifth", "many", 1)).toBeDefined();
  const free = await Promise.all(["x", "y"].map((name) => begin(name, "free", 10)));
  for (const uid of free) expect(await slots(uid)).toHaveLength(4);
});
