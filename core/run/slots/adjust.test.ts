import { eq, sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as Overdue from "#core/run/dispatch/overdue";
import * as Window from "#core/run/dispatch/window";
import * as Claim from "#core/run/item/claim";
import * as Ending from "#core/run/item/ending";
import { itemTable, type RunRow, runTable } from "#core/run/run.sql";
import * as Create from "#core/run/source/create";
import { noLimits } from "#spec/key-limits";
import { callerOf, client, open, type Stores, silent } from "#test/support/run-stores";
import { random } from "#test/support/simulated-server";
import * as Controller from "./controller.ts";
import { slotsTable } from "./slots.sql.ts";

let stores: Stores;
beforeAll(async () => {
  stores = await open();
  await stores.bucket.put("data/shared/a.png", "a");
});
afterAll(() => stores.close());

const soon = () => new Date(Date.now() + 60_000);
const query = () => stores.services.db.query;
let count = 0;

/** A run on auto, the only one that has not ended. */
async function made(items: number, principal = client()): Promise<RunRow> {
  count += 1;
  await query().update(runTable).set({ state: "succeeded" });
  const manifest = Array.from({ length: items }, () => ({ image_key: "shared/a.png" }));
  const body = { run_id: `auto-${count}`, manifest, concurrency: "auto" };
  return (await Create.create(stores.services, silent, Create.parse(body), callerOf(principal))).run;
}

/** Stores a decision of the controller: this many slots for all runs together. */
async function decide(slots: number): Promise<void> {
  const seen = {
    at: Date.now(),
    calls: 0,
    callMs: 0,
    runs: "",
    most: 64,
    left: 1,
    ours: 0,
    server: undefined,
  };
  const state = { ...Controller.next(undefined, seen, stores.services.times.slots), slots };
  await query().delete(slotsTable);
  await query().insert(slotsTable).values({ name: "model_server", version: 1, state });
}

const fill = async (run: RunRow) => (await Window.fill(stores.services, run.runUid, silent)) as RunRow;
const now = async (run: RunRow) => (await stores.run(run.runId)).slots;

/** The items that have a message, by slot. */
async function sent(run: RunRow) {
  const rows = await stores.items(run.runUid);
  return rows.filter(({ status, sentEpoch }) => status === "queued" && sentEpoch === run.epoch);
}
const slotsOf = async (run: RunRow) => [...new Set((await sent(run)).map(({ slot }) => slot))].toSorted();
const messageOf = (run: RunRow, { index, sendSeq, slot }: Awaited<ReturnType<typeof sent>>[number]) => ({
  ...{ run_uid: run.runUid, epoch: run.epoch, index, seq: sendSeq, slot: slot ?? -1 },
});

test("a run on auto begins with four slots, and its answer shows its slots and the most that it may get", async () => {
  await query().delete(slotsTable);
  const run = await made(30);
  expect(run).toMatchObject({ slots: 4, concurrency: 16, slotsWhy: null });
  await fill(run);
  expect(await slotsOf(run)).toEqual([0, 1, 2, 3]);
  expect((await stores.run(run.runId)).slotsWhy).toMatchObject({ reason: "start", calls_per_minute: null });
  const few = await made(30, client("key-2", { limits: { ...noLimits, maxInFlight: 2 } }));
  expect(few).toMatchObject({ slots: 2, concurrency: 2 });
});

test("more slots get messages at once, and never more than the setting allows", async () => {
  const run = await made(300);
  await fill(run);
  await decide(9);
  await fill(run);
  expect(await now(run)).toBe(9);
  expect(await slotsOf(run)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  await decide(40);
  await fill(run);
  expect(await now(run)).toBe(16);
});

test("a slot that is taken away gets no new message, and its old messages start nothing", async () => {
  const run = await made(100);
  await decide(8);
  await fill(run);
  const old = (await sent(run)).filter(({ slot }) => (slot ?? 0) >= 2);
  expect(old.length).toBeGreaterThan(12);
  await decide(2);
  await fill(run);
  expect(await slotsOf(run)).toEqual([0, 1]);
  for (const each of old)
    expect((await Claim.claim(stores.services.db, messageOf(run, each), soon()))?.item).toBeUndefined();
  // Also a message that a worker sent while the slot was being taken away.
  const [late] = await sent(run);
  if (late === undefined) throw new Error("nothing was sent");
  const message = { ...messageOf(run, late), slot: 5 };
  expect((await Claim.claim(stores.services.db, message, soon()))?.item).toBeUndefined();
  await Ending.recall(stores.services.db, run, message);
  expect((await stores.items(run.runUid))[late.index]).toMatchObject({
    sentEpoch: 0,
    slot: null,
    sendSeq: 1,
  });
  // Every recalled item is sent again, in an existing slot.
  await query()
    .update(itemTable)
    .set({ status: "succeeded" })
    .where(sql`run_uid = ${run.runUid} AND sent_epoch > 0`);
  for (let i = 0; i < 20; i += 1) {
    await fill(run);
    await query()
      .update(itemTable)
      .set({ status: "succeeded" })
      .where(sql`run_uid = ${run.runUid} AND sent_epoch > 0`);
  }
  expect((await stores.items(run.runUid)).filter(({ status }) => status === "queued")).toEqual([]);
});

test("two runs have the same share, and a run that is alone again has all slots", async () => {
  await decide(10);
  const first = await made(100);
  const second = await made(100);
  await query().update(runTable).set({ state: "running" }).where(eq(runTable.runUid, first.runUid));
  for (const run of [first, second]) {
    await fill(run);
    expect(await now(run)).toBe(5);
  }
  await query().update(runTable).set({ state: "canceled" }).where(eq(runTable.runUid, first.runUid));
  await fill(second);
  expect(await now(second)).toBe(10);
});

test("a run with a fixed number of slots keeps it, whatever the controller decided", async () => {
  await decide(2);
  const body = { run_id: "fixed", concurrency: 5, manifest: Array(40).fill({ image_key: "shared/a.png" }) };
  const { run } = await Create.create(stores.services, silent, Create.parse(body), callerOf());
  await fill(run);
  expect(await slotsOf(run)).toEqual([0, 1, 2, 3, 4]);
  expect(await now(run)).toBeNull();
});

test("a run on auto whose slots were not checked for a while is checked, unless it waits for the model server", async () => {
  const run = await made(20);
  const times = { ...stores.services.times, slotsLookMs: 60_000 };
  const ordered = async (lookedAt: Date, more: Partial<RunRow> = {}) => {
    await query()
      .update(runTable)
      .set({ lookedAt, planN: sql`plan_n + 1`, waitingFor: null, ...more })
      .where(eq(runTable.runUid, run.runUid));
    const before = stores.orders();
    await Overdue.order({ ...stores.services, times }, silent);
    return stores.orders() - before;
  };
  expect(await ordered(new Date(Date.now() - 90_000))).toBe(1);
  expect(await ordered(new Date())).toBe(0);
  expect(await ordered(new Date(Date.now() - 90_000), { waitingFor: "model_server" })).toBe(0);
});

test("in random schedules there are never more items at work than the most slots since the oldest of them began", async () => {
  for (let seed = 1; seed <= 8; seed += 1) await schedule(seed);
}, 120_000);

/** Workers claim, end and fail items in any order, while the slots change and messages are sent at bad moments. */
async function schedule(seed: number): Promise<void> {
  const next = numbers(seed);
  const run = await made(60);
  const { db } = stores.services;
  /** For each item at work: its slot and the step at which it began. */
  const working = new Map<
    number,
    { slot: number; step: number; row: Awaited<ReturnType<typeof Claim.claim>> }
  >();
  const inForce: number[] = [];
  for (let step = 0; step < 40; step += 1) {
    const action = next(5);
    if (action === 0) await decide(1 + next(12));
    if (action <= 1) await fill(run);
    inForce.push((await now(run)) ?? 0);
    const waiting = await sent(run);
    const chosen = waiting[next(waiting.length)];
    if (action >= 2 && chosen !== undefined) {
      // A quarter of the messages is sent to a slot that may have been taken away.
      const slot = next(4) === 0 ? next(14) : (chosen.slot ?? 0);
      // SQS delivers one message of a slot at a time.
      if ([...working.values()].some((each) => each.slot === slot)) continue;
      const message = { ...messageOf(run, chosen), slot };
      const row = await Claim.claim(db, message, soon());
      if (row?.item !== undefined) working.set(chosen.index, { slot, step, row });
      else if (slot >= (inForce.at(-1) ?? 0)) await Ending.recall(db, run, message);
    }
    const oldest = Math.min(step, ...[...working.values()].map((each) => each.step));
    const most = Math.max(...inForce.slice(oldest));
    expect(working.size, `schedule ${seed}, step ${step}`).toBeLessThanOrEqual(most);
    const [ended] = [...working].filter(() => next(3) === 0);
    if (ended === undefined) continue;
    const [index, { row }] = ended;
    const how = { countAttempt: false, suspect: false, notBefore: null, spent: undefined };
    if (row?.item !== undefined) await Ending.requeue(db, run, row.item, how);
    working.delete(index);
  }
}

/** Whole numbers below a bound. */
function numbers(seed: number): (below: number) => number {
  const next = random(seed);
  return (below) => Math.floor(next() * below);
}
