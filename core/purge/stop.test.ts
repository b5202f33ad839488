import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as Claim from "#core/extraction/claim";
import { extractTable } from "#core/extraction/extract.sql";
import * as Row from "#core/extraction/row";
import * as Key from "#core/key/key";
import * as Runs from "#core/reconcile/runs";
import * as Plan from "#core/run/control/plan";
import * as Create from "#core/run/source/create";
import { noLimits } from "#spec/key-limits";
import * as RunStores from "#test/support/run-stores";
import * as Stop from "./stop.ts";

const { silent, client, callerOf } = RunStores;
let stores: RunStores.Stores;
beforeAll(async () => {
  stores = await RunStores.open();
});
afterAll(() => stores.close());

/** A key with a run of three pictures. */
async function begun(keyId: string) {
  const { services, bucket } = stores;
  await Key.create(services.db, "pepper-of-the-stop-tests", { keyId, role: "client" });
  await bucket.put("data/shared/a.png", "picture");
  const manifest = [1, 2, 3].map((n) => ({ custom_id: `c${n}`, image_key: "shared/a.png" }));
  const request = { task_id: "receipt_fields_v1", concurrency: 1, persist_inputs: false, manifest };
  const { run } = await Create.create(services, silent, { ...request, run_id: "r" }, callerOf(client(keyId)));
  return run;
}
const step = (kind: "plan" | "refill" | "sweep" | "finish", runUid: string) =>
  Plan.plan(stores.services, { kind, run_uid: runUid }, { deadline: Date.now() + 10_000 }, silent);
const state = async (keyId: string) => (await stores.run("r", keyId)).state;

test("the planner sends no items of a revoked key, and its run ends as canceled", async () => {
  const run = await begun("revoked-1");
  await Key.revoke(stores.services.db, "revoked-1");
  const sent = stores.queue.counts(stores.services.queues.urls.item).ready;
  for (const kind of ["plan", "refill"] as const) await step(kind, run.runUid);
  expect(stores.queue.counts(stores.services.queues.urls.item).ready).toBe(sent);
  for (const kind of ["sweep", "finish", "finish"] as const) await step(kind, run.runUid);
  expect(await state("revoked-1")).toBe("canceled");
  expect((await stores.items(run.runUid)).map(({ status }) => status)).toEqual(Array(3).fill("canceled"));
});

test("the open work of a key is counted, and stopped without access to the queues", async () => {
  const { db } = stores.services;
  const run = await begun("stopped-1");
  await step("plan", run.runUid);
  for (const requestId of ["waits", "runs"]) {
    const wish = { keyId: "stopped-1", requestId, taskId: "receipt_fields_v1", payloadHash: "p" };
    const { claim } = await Claim.claim(
      db,
      { ...wish, leaseUntil: new Date(Date.now() + 60_000) },
      { mustBeNew: true, handoverWindowMs: 1, limits: noLimits },
    );
    if (requestId === "runs" || claim === undefined) continue;
    const input = { source: "inline", declaredMimeType: null, etag: null, debug: null } as const;
    const objectKey = "inputs/tmp/stopped-1/waits~1";
    await stores.bucket.put(objectKey, "picture");
    await Row.enqueue(
      db,
      claim.row,
      { ...input, objectKey, temporary: true, principalRole: "client" },
      { cutOff: false, waitingFor: null, used: undefined },
    );
  }
  expect(await Stop.going(db, "stopped-1")).toEqual({
    runs: [{ run_id: "r", status: "running", items_left: 3 }],
    run_count: 1,
    extracts_queued: 1,
    extracts_running: 1,
  });
  expect(await Stop.stop(db, "stopped-1")).toEqual({ runs: 1, extracts: 1 });
  expect(await Stop.stop(db, "stopped-1")).toEqual({ runs: 0, extracts: 0 });
  expect(await Row.find(db, "stopped-1", "waits")).toMatchObject({
    status: "failed",
    errorCode: "forbidden",
  });
  expect(await Row.find(db, "stopped-1", "runs")).toMatchObject({ status: "running" });
  // The next reconcile does the rest without a delay.
  const ordered = stores.orders();
  await Runs.reconcile(stores.services, silent);
  expect(stores.orders()).toBeGreaterThan(ordered);
  for (const kind of ["sweep", "finish", "finish"] as const) await step(kind, run.runUid);
  expect(await state("stopped-1")).toBe("canceled");
  await db.query.delete(extractTable).where(eq(extractTable.keyId, "stopped-1"));
});
