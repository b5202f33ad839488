import { sql } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as TestDatabase from "#test/support/test-database";
import { gpuOf } from "./gpu.ts";
import * as ModelTime from "./model-time.ts";
import { podSessionTable } from "./pod-session.sql.ts";
import * as Spent from "./spent.ts";
import { usageCosts } from "./usage-costs.ts";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
let db: Database.Db;

const at = (hour: number, minute = 0) => new Date(Date.UTC(2026, 10, 23, hour, minute));
const now = at(12);
const span = { from: at(0), to: at(24), now };

beforeAll(async () => {
  vi.stubEnv("POD_MANAGER", "on");
  Config.reset();
  database = await TestDatabase.start();
  db = database.db;
  await db.client.execute("CREATE TABLE counted (id TEXT)");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  Config.reset();
  await database.close();
});
beforeEach(async () => {
  for (const table of ["model_time", "run_model_time", "pod_session"])
    await db.client.execute(`DELETE FROM "${table}"`);
});

/** A pod that was paid for from 8 to 9, or is up since 8, at 1 USD an hour, and had work for half an hour. */
async function session(id: string, more: Partial<typeof podSessionTable.$inferInsert> = {}) {
  const row = {
    id,
    provider: "runpod",
    podId: "pod-1",
    startedAt: at(8),
    ratePerHour: 1,
    busyMs: 30 * 60_000,
  };
  await Database.batch(db, [db.query.insert(podSessionTable).values({ ...row, ...more })]);
}

/** Counts model time as the end of an item does: behind a statement that changed a row, or none. */
async function spend(ms: number, whose: Partial<ModelTime.Whose> = {}, changes = true) {
  const who = { keyId: "client-1", taskId: "receipt_v1", now: at(8, 30), ...whose };
  await Database.batch(db, [
    Database.statement(sql`INSERT INTO counted SELECT 'x' WHERE ${changes ? 1 : 0} = 1`),
    ...ModelTime.record(who, ms),
  ]);
}
const close = (id: string) =>
  db.client.execute(`UPDATE pod_session SET ended_at = ${at(9).getTime()} WHERE id = '${id}'`);

test("model time is counted in the session that is open, once for each answer that was counted", async () => {
  await session("before", { startedAt: at(5), endedAt: at(6) });
  await spend(9_000);
  await session("open");
  await spend(1_000);
  await spend(2_000, { runUid: "run-1" });
  await spend(5_000, {}, false);
  const rowsOf = async (query: string) => (await db.client.execute(query)).rows.map((row) => ({ ...row }));
  expect(await rowsOf("SELECT session_id, ms FROM model_time")).toEqual([{ session_id: "open", ms: 3_000 }]);
  expect(await rowsOf("SELECT * FROM run_model_time")).toEqual([
    { run_uid: "run-1", session_id: "open", ms: 2_000 },
  ]);
});

test("keys, tasks and runs have their parts of the sessions, and together they are what was paid", async () => {
  await session("early");
  await spend(1_000, { runUid: "run-1" });
  await spend(3_000, { keyId: "client-2", taskId: "invoice_v1" });
  await close("early");
  await session("in-vain", { startedAt: at(10), endedAt: at(10, 30), busyMs: 0 });
  await session("late", { startedAt: at(11), ratePerHour: 0.5, busyMs: 0 });
  await spend(4_000, { keyId: "client-2", runUid: "run-2" });

  const days = { from: "2026-11-23", to: "2026-11-23", keyId: undefined };
  const { by: byKey } = await Spent.ofUsage(db, { ...days, by: "key_id" }, now);
  expect(Object.fromEntries(byKey)).toEqual({
    "client-1": { usd: 0.25, idleUsd: 0.125, provisional: false },
    "client-2": { usd: 1.25, idleUsd: 0.875, provisional: true },
  });
  expect(await Spent.unallocated(db, span)).toEqual({ usd: 0.5, idleUsd: 0.5, provisional: false });
  // An hour at 1, half an hour at 1, and an hour at 0.50.
  const paid = 1 + 0.5 + 0.5;
  const together = [...byKey.values()].reduce((sum, { usd }) => sum + (usd ?? Number.NaN), 0);
  expect(together + 0.5).toBeCloseTo(paid, 12);
  expect(await gpuOf(db, { runUid: "run-1", modelMs: 1_000 }, undefined, now)).toEqual({
    ...{ basis: "pod_sessions", provisional: false, usd: 0.25, idle: 0.125 },
  });
});

test("one key sees its own part and nothing of what is unallocated", async () => {
  await session("open");
  await spend(1_000);
  await spend(1_000, { keyId: "client-2" });
  await session("in-vain", { startedAt: at(6), endedAt: at(7) });
  const wanted = { from: "2026-11-23", to: "2026-11-23", groupBy: "task" as const };
  const costs = usageCosts(db, wanted, at(9));
  expect(await costs?.("client-1")).toMatchObject({ total: { usd: 0.5 }, unallocated: undefined });
  expect(await costs?.(undefined)).toMatchObject({
    by: new Map([["receipt_v1", { usd: 1, idleUsd: 0.5, provisional: true }]]),
    unallocated: { usd: 1, provisional: false },
  });
  const later = usageCosts(db, { ...wanted, from: "2026-11-24", to: "2026-11-24" }, at(9));
  expect(await later?.(undefined)).toMatchObject({ total: undefined, unallocated: { usd: 0 } });
});

test("what a removed key used stays in its sessions, without its name", async () => {
  await session("open");
  await spend(1_000, { runUid: "run-1" });
  await spend(1_000, { runUid: "run-2" });
  await spend(2_000, { keyId: "client-2" });
  await Database.batch(db, ModelTime.forget("client-1"));
  await Database.batch(db, ModelTime.forget("client-1"));
  const { rows } = await db.client.execute("SELECT key_id, ms FROM model_time ORDER BY key_id");
  expect(rows.map((row) => ({ ...row }))).toEqual([
    { key_id: "", ms: 2_000 },
    { key_id: "client-2", ms: 2_000 },
  ]);
});

test("without sessions a run costs its model seconds at the operator's price, or nothing is said", async () => {
  const run = { runUid: "run-9", modelMs: 1_800_000 };
  expect(await gpuOf(db, run, 0.5, now)).toEqual({
    ...{ basis: "gpu_cost_per_hour", provisional: false, usd: 0.25, idle: null },
  });
  expect(await gpuOf(db, run, undefined, now)).toBeUndefined();
});
