import { eq, sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Breaker from "#core/breaker/breaker";
import * as Database from "#core/db/database";
import * as Evaluation from "#core/evaluation/evaluation";
import * as Reconcile from "#core/evaluation/job/reconcile";
import * as Claim from "#core/extraction/claim";
import { extractTable } from "#core/extraction/extract.sql";
import * as Send from "#core/extraction/send";
import * as GroundTruth from "#core/ground-truth/ground-truth";
import * as Known from "#core/known/known";
import { probe } from "#core/outage/probe";
import * as Store from "#core/pod/store";
import type { Services } from "#core/reading/services";
import * as Extracts from "#core/reconcile/extracts";
import * as Runs from "#core/reconcile/runs";
import * as Plan from "#core/run/control/plan";
import * as Stalled from "#core/run/control/stalled";
import * as Cancel from "#core/run/dispatch/cancel";
import * as Pause from "#core/run/dispatch/pause";
import * as Window from "#core/run/dispatch/window";
import * as ItemClaim from "#core/run/item/claim";
import * as DeadLetter from "#core/run/item/dead-letter";
import * as Ending from "#core/run/item/ending";
import * as Suspect from "#core/run/item/suspect";
import * as Due from "#core/run/notify/due";
import * as Items from "#core/run/results/items";
import * as Run from "#core/run/run";
import { itemTable, type RunRow, runTable } from "#core/run/run.sql";
import { runStatuses } from "#core/run/schema";
import { fault, planOf, senders } from "#test/support/plans";
import { client, open, type Stores, silent } from "#test/support/run-stores";
import * as TestDatabase from "#test/support/test-database";

let stores: Stores;
let services: Services & Stores["services"];
beforeAll(async () => {
  stores = await open();
  const model = { baseUrl: "http://127.0.0.1:9/v1", apiKey: undefined, model: "m", maxModelLen: 8_192 };
  const more = { maxTokens: undefined, maxImages: 4, look: true, connectTimeoutMs: 50, readTimeoutMs: 50 };
  services = { ...stores.services, model: { ...model, ...more } } as typeof services;
});
afterAll(() => stores.close());

const minuteMs = 60_000;
const ago = (ms: number) => new Date(Date.now() - ms);
const soon = () => new Date(Date.now() + minuteMs);
let count = 0;

/** A run whose items wait, as the planner leaves it. */
async function waitingRun(items: number, more: Partial<RunRow> = {}): Promise<RunRow> {
  count += 1;
  const runUid = `uid-${count}`;
  const values = {
    ...{ runUid, keyId: "key-1", runId: `run-${count}`, taskId: "receipt_v1", payloadHash: "h" },
    ...{ principalRole: "client", state: "running" as const, epoch: 5, concurrency: 2, total: items },
    ...{ source: "manifest" as const, persistInputs: false, createdAt: new Date(), touchedAt: new Date() },
  };
  const [row] = await services.db.query
    .insert(runTable)
    .values({ ...values, ...more })
    .returning();
  for (let index = 0; index < items; index += 1)
    await services.db.query
      .insert(itemTable)
      .values({ runUid, index, sourceKind: "data", objectKey: "data/shared/1.png", status: "queued" });
  if (row === undefined) throw new Error("the run was not inserted");
  return row;
}

const wantedBy = (principal: Evaluation.Wanted["principal"], evalId: string): Evaluation.Wanted => ({
  ...{ evalId, principal, keyId: undefined, log: silent },
});

const messageOf = (run: RunRow, index: number): Window.ItemMessage => ({
  ...{ run_uid: run.runUid, epoch: run.epoch, index, seq: 0, slot: 0 },
});

describe("every statement that core sends reads few rows, however much history there is", () => {
  // Statements that no other test of core sends to a database of its own; test/support/plans.ts checks them.
  test("in housekeeping, with something to repair of each kind", async () => {
    const { db } = services;
    const lost = await waitingRun(2, { touchedAt: ago(60 * minuteMs) });
    await Window.fill(services, lost.runUid, silent);
    expect((await ItemClaim.claim(db, messageOf(lost, 0), ago(10 * minuteMs)))?.item).toBeDefined();
    const old = ago(60 * minuteMs);
    const canceling = await waitingRun(1, { state: "canceling", touchedAt: old });
    await db.query
      .update(itemTable)
      .set({ pendingArtifact: "{}" })
      .where(eq(itemTable.runUid, canceling.runUid));
    await waitingRun(0, { state: "succeeded", webhookUrl: "https://x/", touchedAt: old, finishedAt: old });
    await db.query.update(runTable).set({ touchedAt: old }).where(sql`state IN ('running', 'canceling')`);
    const wish = {
      keyId: "key-1",
      requestId: "e",
      taskId: "receipt_v1",
      payloadHash: "h",
      leaseUntil: soon(),
    };
    const how = { mustBeNew: true, handoverWindowMs: 1, limits: client().limits };
    const { claim } = await Claim.claim(db, wish, how);
    await db.query.update(extractTable).set({ status: "queued", leaseUntil: old });

    const extracts = await Extracts.reconcile(services, silent);
    const auto = await waitingRun(1, { slots: 4, createdAt: old });
    const runs = await Runs.reconcile(services, silent);
    await Window.fill(services, auto.runUid, silent);

    expect(claim?.kind).toBe("ours");
    expect(extracts).toMatchObject({ requeued: 1, interrupted: 1 });
    expect(runs).toMatchObject({ items_requeued: 1, webhooks_ordered: 1 });
  });

  test("in planning, waiting, canceling and failing", async () => {
    const { db } = services;
    const run = await waitingRun(3);
    await Plan.plan(services, { kind: "plan", run_uid: run.runUid }, { deadline: 0 }, silent);
    const claimed = await ItemClaim.claim(db, messageOf(run, 0), soon());
    if (claimed?.item === undefined) throw new Error("not claimed");
    const time = { leaseUntil: soon(), until: 0, signal: AbortSignal.timeout(1_000) };
    expect(await Suspect.take(services, claimed.item, time, () => {})).toBe(true);
    await Suspect.beside(db);
    await Breaker.aloneNoMore(db);
    await Ending.unclaim(db, claimed.item);
    expect(await DeadLetter.buryItem(services, messageOf(run, 1), soon(), silent)).toBe("done");
    stores.bucket.hook.answer = ({ operation }) => (operation === "PutObject" ? { status: 503 } : undefined);
    const second = { ...messageOf(run, 1), seq: 1 };
    await expect(DeadLetter.buryItem(services, second, soon(), silent)).rejects.toThrow("bucket");
    stores.bucket.hook.answer = () => undefined;
    await DeadLetter.buryOrder(services, { kind: "plan", run_uid: run.runUid }, silent);
    await Pause.pause(services, run, silent);
    expect(await Pause.resume(services, silent)).toBe(1);
    await Cancel.cancel(services, run, silent);
    await Plan.plan(services, { kind: "sweep", run_uid: run.runUid }, { deadline: Date.now() + 1e4 }, silent);
    // The item whose answer waits for the bucket is left to reconcile.
    expect((await stores.run(run.runId)).canceled).toBe(2);
  });

  test("in sending lost messages again", async () => {
    const { db } = services;
    const old = ago(600 * minuteMs);
    const run = await waitingRun(1, { touchedAt: old });
    await db.query.update(itemTable).set({ sentEpoch: 5, slot: 0 }).where(eq(itemTable.runUid, run.runUid));
    const seen = { name: "item" as const, visible: 0, inFlight: 0, delayed: 0 };
    const inLine = async () => ({ ...seen, lostBefore: new Date(0) });
    expect(await Stalled.messages(services, run, inLine, silent)).toBe("again");
    const lost = async () => ({ ...seen, lostBefore: new Date() });
    expect(await Stalled.messages(services, run, lost, silent)).toBe("anew");
    expect(await Send.sendQueued(services, silent)).toBe(0);
    await Due.postpone(services, run.runUid, soon(), silent);
  });

  test("in probing the model server", async () => {
    const { db } = services;
    await Breaker.trip(db, 0);
    const chain = "chain-1";
    await Breaker.mayMessage(db, 1);
    await probe(services, { n: 1, chain }, silent);
    expect((await Breaker.state(db)).kind).toBe("open");
    await Breaker.mayProbe(db, 1);
    await Breaker.close(db);
    await probe(services, { n: 1, chain }, silent);
  });

  test("in every list of runs, with any filter, on any page", async () => {
    const { db } = services;
    const run = await waitingRun(1);
    const admin = client("admin", { scopes: ["admin:all_keys"] });
    for (const principal of [client(), admin])
      for (const taskId of [undefined, "receipt_v1"])
        for (const status of [undefined, ...runStatuses]) {
          const query = { principal, log: silent, keyId: undefined, taskId, status, limit: 1 };
          const { items, next_cursor } = await Run.list(db, { ...query, cursor: undefined });
          if (next_cursor === null) continue;
          const next = await Run.list(db, { ...query, cursor: next_cursor });
          expect(next.items[0]?.run_id).not.toBe(items[0]?.run_id);
        }
    const wanted = { runId: run.runId, keyId: undefined, principal: client(), log: silent };
    expect((await Run.find(db, wanted)).running).toBe(0);
    for (const status of [undefined, "queued" as const])
      await Items.page(db, wanted, { status, limit: 1, cursor: undefined });
    expect(await Run.itemBy(db, "key-1", `${run.runId}~0`)).toBeDefined();
  });
});

describe("and of labels and evaluations", () => {
  test("in every list, with any filter, on any page", async () => {
    const { db } = services;
    const run = await waitingRun(1);
    const wish = {
      labels: { object_key: "data/shared/labels.json", etag: "e", image_key: "file" },
      groundTruth: undefined,
      strMode: "strip" as const,
    };
    const rows = [];
    for (const _ of [1, 2])
      rows.push(await Evaluation.order(services, silent, { evalId: Evaluation.newId(), run, wish }));
    const ids = rows.map(({ evalId }) => evalId);
    expect(ids).toContain((await Evaluation.latestOf(db, run.runUid))?.evalId);
    expect(await Evaluation.isThere(db, ids[0] ?? "")).toBe(true);
    await Reconcile.resume(services);
    const admin = client("admin", { scopes: ["admin:all_keys"] });
    expect((await Evaluation.find(db, wantedBy(client(), ids[0] ?? ""))).runUid).toBe(run.runUid);
    for (const principal of [client(), admin])
      for (const runUid of [undefined, run.runUid]) {
        const query = { principal, log: silent, keyId: undefined, runUid, limit: 1 };
        const { items, next_cursor } = await Evaluation.list(db, { ...query, cursor: undefined });
        const next = await Evaluation.list(db, { ...query, cursor: next_cursor ?? "" });
        expect([...items, ...next.items].map((item) => item.eval_id).toSorted()).toEqual(ids.toSorted());
      }
    const labels = { principal: admin, log: silent, keyId: undefined, name: undefined, limit: 1 };
    expect((await GroundTruth.list(db, { ...labels, cursor: undefined })).items).toEqual([]);
    await expect(Known.demand(db, { keyId: "unknown" })).rejects.toMatchObject({ code: "not_found" });
    expect(await Breaker.unmanage(db)).toBe(false);
    await Store.release(db, "nobody");
  });
});

describe("the check of query plans", () => {
  const verdict = (text: string) => fault(text, planOf(text));

  test("refuses statements that scan a table, use an index that is not listed, or sort more rows than they return", () => {
    expect(verdict("SELECT * FROM extract WHERE task_id = ?")).toBe("goes through extract");
    // With a parameter instead of the literal SQLite does not use the partial index.
    expect(verdict("SELECT * FROM extract WHERE status = ? AND lease_until < ?")).toBe(
      "goes through extract",
    );
    expect(verdict("SELECT * FROM extract WHERE status = 'running' AND lease_until < ?")).toBeUndefined();
    expect(verdict("SELECT * FROM item WHERE object_key = ? AND source_kind = 'upload'")).toBeUndefined();
    expect(verdict("SELECT * FROM item WHERE run_uid = ? AND custom_id > ?")).toContain("is not in");
    const newest = "SELECT * FROM run WHERE state = ? ORDER BY created_at DESC, run_uid DESC";
    expect(verdict(`${newest} LIMIT ?`)).toBeUndefined();
    expect(verdict(newest)).toContain("sorts all of");
    expect(verdict(newest.replace("created_at", "total").concat(" LIMIT ?"))).toContain("sorts all of");
  });

  test("is made for every statement of core, and for none of a test's own", async () => {
    const database = await TestDatabase.start();
    try {
      const all = database.db.query.select().from(extractTable).where(eq(extractTable.taskId, "t"));
      expect(await all).toEqual([]);
      expect(await Database.read(all)).toEqual([]);
      expect(await Database.batch(database.db, [all])).toHaveLength(1);
      expect([...senders()].filter((site) => site.startsWith("test/"))).toEqual([]);
      // A check that no longer recognizes core's stack frames would see no statements.
      await Breaker.state(database.db);
      expect([...senders()].some((site) => site.startsWith("core/breaker/breaker.ts:"))).toBe(true);
    } finally {
      await database.close();
    }
  });
});
