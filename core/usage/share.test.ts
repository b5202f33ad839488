import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import * as Share from "#core/usage/share";
import { usageTable } from "#core/usage/usage.sql";
import * as TestDatabase from "#test/support/test-database";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
beforeAll(async () => {
  database = await TestDatabase.start();
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.db.query.delete(usageTable);
});

const now = new Date("2026-11-23T23:59:00Z");
const minuteMs = 60_000;
const used = (keyId: string, minutes: number, day = "2026-11-23", taskId = "receipt_v1") =>
  database.db.query.insert(usageTable).values({ keyId, day, taskId, modelMs: minutes * minuteMs });

test("the largest share is of today's model time over all tasks", async () => {
  await used("a", 40);
  await used("a", 20, "2026-11-23", "payment_v1");
  await used("b", 20);
  await used("b", 500, "2026-11-22");
  expect(await Share.largestShare(database.db, now)).toEqual({ keyId: "a", percent: 75 });
});

test("one key alone has no share, and neither has a day of a few minutes", async () => {
  expect(await Share.largestShare(database.db, now)).toBeUndefined();
  await used("a", 60);
  await used("idle", 0);
  expect(await Share.largestShare(database.db, now)).toBeUndefined();
  await database.db.query.delete(usageTable);
  await used("a", 8);
  await used("b", 1);
  expect(await Share.largestShare(database.db, now)).toBeUndefined();
});
