import { and, eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type ItemRow, itemTable, runTable } from "#core/run/run.sql";
import { answer, seed } from "#test/support/batches/batches";
import { chaos } from "#test/support/batches/chaos";
import * as Messages from "#test/support/batches/messages";
import * as Storm from "#test/support/batches/storm";
import * as ModelServer from "#test/support/model-server/model-server";

let storm: Storm.Storm;
let key: string;

beforeAll(async () => {
  storm = await Storm.open({
    // The lease of an item is four seconds instead of two minutes; after that the message of a killed worker comes
    // back.
    timeScale: 1 / 30,
    env: { ITEM_MAX_CONCURRENCY: "8" },
    respond: () => answer(40),
    lateMs: 9_000,
  });
  [key = ""] = await storm.batches.keys(1);
});
afterAll(async () => {
  await storm?.batches.close();
});

describe("chaos", () => {
  test("60 items, processes killed between any two steps, messages twice and late, stores away: each item ends once, with one artifact, and the run ends by itself", async () => {
    const line = await chaos(storm, {
      ...{ runId: "chaos", items: 60, key, concurrency: 8, rounds: 1 },
      ...{ awayMs: 700, timeoutMs: 60_000 },
    });
    console.info(line);
    expect(storm.report.kills).toEqual(Object.fromEntries(Storm.windows.map((window) => [window, 1])));
  }, 120_000);
});

const change = async (runId: string, index: number, values: Partial<ItemRow>) => {
  const where = and(eq(itemTable.runUid, `seed_${runId}`), eq(itemTable.index, index));
  await storm.batches.db.query.update(itemTable).set(values).where(where);
};
const asked = (runId: string) =>
  storm.batches.model.requests
    .map(({ headers }) => String(headers["x-request-id"]))
    .filter((id) => id.startsWith(`${runId}~`))
    .sort();

describe("messages that were received too often without success", () => {
  test("an item's message: the item is sent once more, and fails the second time; an item with a worker waits for the worker; the run ends", async () => {
    const { batches } = storm;
    const runId = "buried";
    await seed(batches.db, { runId, total: 3, concurrency: 3, key });
    const { runUid, epoch } = await batches.row(runId);
    // According to the rows all messages are sent, but in fact they are lost.
    for (const index of [0, 1, 2]) await change(runId, index, { sentEpoch: epoch, slot: index });
    await change(runId, 1, { buried: 1 });
    await change(runId, 2, { status: "running", token: 1, leaseUntil: new Date(Date.now() + 3_000) });
    const message = (index: number) => ({ run_uid: runUid, epoch, index, seq: 0, slot: index });
    // A message of another epoch is no evidence about the current state of the item.
    await Messages.bury(batches, "item", { ...message(1), epoch: epoch - 1 });
    for (const index of [0, 1, 2]) await Messages.bury(batches, "item", message(index));
    const run = await batches.ended(runId, 60_000);
    expect(run).toMatchObject({ status: "succeeded", counts: { total: 3, succeeded: 2, failed: 1 } });
    const rows = await batches.verify(runId);
    expect(rows.map(({ status, errorCode, attempts }) => ({ status, errorCode, attempts }))).toEqual([
      { status: "succeeded", errorCode: null, attempts: 1 },
      { status: "failed", errorCode: "internal", attempts: 1 },
      { status: "succeeded", errorCode: null, attempts: 1 },
    ]);
    expect(asked(runId)).toEqual([`${runId}~0`, `${runId}~2`]);
  }, 60_000);

  test("a planner's order: the planner is ordered again", async () => {
    const { batches } = storm;
    await seed(batches.db, { runId: "unplanned", total: 2, concurrency: 2, key });
    const { runUid } = await batches.row("unplanned");
    await Messages.bury(batches, "plan", { kind: "refill", run_uid: runUid });
    // Long before reconcile handles silent runs.
    await batches.ended("unplanned", 5_000);
    await batches.verify("unplanned");
  }, 60_000);
});

test("an item that would be requeued in a run that was canceled in between ends as canceled, and is not asked again", async () => {
  const { batches } = storm;
  const canceled = Promise.withResolvers<void>();
  const before = batches.model.respond;
  batches.model.respond = async () => {
    await canceled.promise;
    return ModelServer.reset();
  };
  try {
    await batches.seed({ runId: "back", total: 3, concurrency: 1, key });
    await vi.waitFor(() => expect(asked("back")).toEqual(["back~0"]), { timeout: 10_000, interval: 10 });
    await vi.waitFor(
      async () =>
        expect((await batches.loop.call("/v1/runs/back/cancel", { method: "POST" })).status).toBe(202),
      { timeout: 10_000, interval: 50 },
    );
    canceled.resolve();
    expect(await batches.ended("back")).toMatchObject({ status: "canceled", counts: { canceled: 3 } });
    await batches.verify("back");
    expect(asked("back")).toEqual(["back~0"]);
  } finally {
    canceled.resolve();
    batches.model.respond = before;
  }
}, 60_000);

test("a message of an epoch that is over, or of an older number, has no effect", async () => {
  const { batches } = storm;
  const runId = "late";
  await seed(batches.db, { runId, total: 2, concurrency: 2, key });
  const { runUid, epoch } = await batches.row(runId);
  // The run waits for the model server, and no probe is under way.
  await batches.db.query
    .update(runTable)
    .set({ waitingFor: "model_server", epoch: epoch + 1 })
    .where(eq(runTable.runUid, runUid));
  await change(runId, 1, { sendSeq: 3 });
  await Messages.copy(batches, { run_uid: runUid, epoch, index: 0, seq: 0, slot: 0 });
  await Messages.copy(batches, { run_uid: runUid, epoch: epoch + 1, index: 1, seq: 2, slot: 1 });
  await vi.waitFor(async () => expect(await Messages.counts(batches)).toEqual({ waiting: 0, invisible: 0 }), {
    timeout: 10_000,
    interval: 50,
  });
  expect(asked(runId)).toEqual([]);
  for (const { status, token, claims } of await batches.items(runId))
    expect({ status, token, claims }).toEqual({ status: "queued", token: 0, claims: 0 });
}, 60_000);
