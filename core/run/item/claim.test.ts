import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Breaker from "#core/breaker/breaker";
import { breakerTable } from "#core/breaker/breaker.sql";
import { type ItemRow, itemTable, type RunRow, runTable } from "#core/run/run.sql";
import * as TestDatabase from "#test/support/test-database";
import * as Claim from "./claim.ts";
import * as Ending from "./ending.ts";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
let row: ItemRow;
let runRow: RunRow;

const inMs = (ms: number) => new Date(Date.now() + ms);
const message = { run_uid: "r_1", epoch: 7, index: 0, seq: 0, slot: 0 };
const take = (leaseUntil: Date) => Claim.claim(database.db, message, leaseUntil);
const now = async () => {
  const [found] = await database.db.query.select().from(itemTable).where(eq(itemTable.runUid, "r_1"));
  return found;
};
const aloneUntil = async () => {
  const rows = await database.db.query.select().from(breakerTable);
  return Breaker.aloneUntil(rows, Date.now());
};

beforeAll(async () => {
  database = await TestDatabase.start();
});
afterAll(() => database.close());
beforeEach(async () => {
  for (const table of [itemTable, runTable, breakerTable]) await database.db.query.delete(table);
  const at = new Date();
  await database.db.query.insert(runTable).values({
    ...{ runUid: "r_1", keyId: "key-1", runId: "r", taskId: "receipt_fields_v1", payloadHash: "hash" },
    ...{ principalRole: "client", state: "running", epoch: 7, concurrency: 1, source: "manifest" },
    ...{ persistInputs: false, total: 1, createdAt: at, startedAt: at, touchedAt: at },
  });
  await database.db.query
    .insert(itemTable)
    .values({ runUid: "r_1", index: 0, sourceKind: "data", objectKey: "data/k", status: "queued" });
  const claimed = await take(inMs(20));
  if (claimed?.item === undefined) throw new Error("not claimed");
  row = claimed.item;
  runRow = claimed.run;
});

describe("an item's lease", () => {
  test("is renewed while the worker has the item, and no other worker gets it", async () => {
    const until = inMs(60_000);
    expect(await Claim.renew(database.db, row, until, { alone: false })).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect((await take(inMs(60_000)))?.item).toBeUndefined();
    expect(await now()).toMatchObject({ leaseUntil: until, token: 1, claims: 1 });
  });

  test("is renewed in a canceled run: items in flight are finished", async () => {
    await database.db.query.update(runTable).set({ state: "canceling", epoch: 8 });
    expect(await Claim.renew(database.db, row, inMs(60_000), { alone: false })).toBe(true);
  });

  test.each([
    [
      "was taken over",
      async () => {
        await database.db.query.update(itemTable).set({ leaseUntil: inMs(-1) });
        expect((await take(inMs(60_000)))?.item?.token).toBe(2);
      },
    ],
    [
      "was put back",
      async () => {
        const how = { countAttempt: false, suspect: false, notBefore: null, spent: undefined };
        await Ending.requeue(database.db, runRow, row, how);
      },
    ],
    ["was given back", () => Ending.unclaim(database.db, row)],
  ])("is not moved any more when the item %s, nor is the isolation of a suspect", async (_what, change) => {
    await Breaker.mayBeAlone(database.db, 10_000);
    await change();
    const before = [(await now())?.leaseUntil, await aloneUntil()];
    expect(await Claim.renew(database.db, row, inMs(600_000), { alone: true })).toBe(false);
    expect([(await now())?.leaseUntil, await aloneUntil()]).toEqual(before);
  });
});

describe("the isolation of a suspect", () => {
  test("lasts as long as the lease of the item that has it", async () => {
    await Breaker.mayBeAlone(database.db, 10_000);
    const until = inMs(60_000);
    await Claim.renew(database.db, row, until, { alone: true });
    expect(await aloneUntil()).toBe(until.getTime());
  });

  test("of another item is left as it is", async () => {
    await Breaker.mayBeAlone(database.db, 10_000);
    const before = await aloneUntil();
    await Claim.renew(database.db, row, inMs(60_000), { alone: false });
    expect(await aloneUntil()).toBe(before);
  });

  test("that has run out, or was given back, cannot be renewed", async () => {
    expect(await Claim.renew(database.db, row, inMs(60_000), { alone: true })).toBe(true);
    await Breaker.mayBeAlone(database.db, 10_000);
    await Breaker.aloneNoMore(database.db);
    expect(await Claim.renew(database.db, row, inMs(60_000), { alone: true })).toBe(true);
    expect(await aloneUntil()).toBeUndefined();
  });
});
