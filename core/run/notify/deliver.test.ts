import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import * as Config from "#core/config";
import * as Client from "#core/queue/client";
import * as Limits from "#spec/limits";
import { oldSecret, type Rig, secret, start } from "#test/support/webhook-rig";
import { deliver } from "./deliver.ts";
import { webhookDueTable } from "./due.sql.ts";
import * as Due from "./due.ts";
import { type Message, order } from "./due.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await start();
});
afterAll(() => rig.close());
beforeEach(() => rig.reset());
afterEach(() => {
  vi.unstubAllEnvs();
  Config.reset();
});

test("the end of a run is sent once, with a signature that the scheme's own verifier accepts", async () => {
  const run = await rig.makeRun();
  await order(rig.stores, run, rig.log);
  const [first] = await rig.ordered();
  expect(first).toEqual({ kind: "webhook", run_uid: run.runUid, attempt: 1 });
  await rig.send(run, 1);

  expect(rig.calls).toHaveLength(1);
  const [call] = rig.calls;
  const headers = call?.headers as Record<string, string>;
  expect(headers["webhook-id"]).toBe(`msg_${run.runUid}`);
  expect(headers["content-type"]).toBe("application/json");
  expect(call).toMatchObject({ method: "POST", url: "/hook?token=canary" });
  expect(new Webhook(secret).verify(call?.body ?? "", headers)).toMatchObject({
    type: "run.succeeded",
    timestamp: run.finishedAt?.toISOString(),
    data: {
      run_id: run.runId,
      status: "succeeded",
      counts: { total: 3, succeeded: 2, failed: 1, queued: 0, running: 0 },
    },
  });
  expect(() => new Webhook(oldSecret).verify(call?.body ?? "", headers)).toThrow();
  expect(() => new Webhook(secret).verify(`${call?.body} `, headers)).toThrow();
  expect(await rig.attemptsOf(run)).toEqual([
    {
      at: expect.any(String),
      ok: true,
      status: 200,
      error: null,
      duration_ms: expect.any(Number),
    },
  ]);
  // Later and repeated messages make no call.
  await rig.send(run, 1);
  await rig.send(run, 2);
  expect(rig.calls).toHaveLength(1);
  expect(await rig.ordered()).toEqual([]);
  expect(rig.lines.map(({ event }) => event)).toEqual(["webhook_ordered", "webhook_sent"]);
  expect(JSON.stringify(rig.lines)).not.toMatch(/canary|127\.0\.0\.1/);
});

test("a later attempt waits in its row, for days if it must, and is sent when it is due", async () => {
  rig.answer = (response) => void response.writeHead(503).end();
  const run = await rig.makeRun();
  const hour = 3_600_000;
  const stores = { ...rig.stores, times: { ...rig.stores.times, webhookDelaysMs: [20 * hour] } };
  await deliver(stores, { kind: "webhook", run_uid: run.runUid, attempt: 1 }, rig.log);
  expect(await rig.ordered()).toEqual([]);
  expect(await Due.all(stores)).toBe(0);
  const [row] = await rig.stores.db.query.select().from(webhookDueTable);
  const pause = (row?.dueAt.getTime() ?? 0) - Date.now();
  expect(pause).toBeGreaterThan(19.9 * hour);
  expect(pause).toBeLessThan(22.1 * hour);
  await rig.stores.db.query.update(webhookDueTable).set({ dueAt: new Date() });
  expect(await Due.all(stores)).toBe(1);
  expect(await rig.ordered()).toEqual([{ kind: "webhook", run_uid: run.runUid, attempt: 2 }]);
  // A message is under way, so the next minute sends no other.
  expect(await Due.all(stores)).toBe(0);
});

test("the attempts for a receiver that stays down are spread over three days", () => {
  const { webhookDelaysMs, webhookGiveUpMs } = Limits.times();
  const together = webhookDelaysMs.reduce((sum, ms) => sum + ms, 0);
  expect(webhookDelaysMs[0]).toBe(5_000);
  expect(together / 86_400_000).toBeGreaterThan(3);
  expect(1.1 * together).toBeLessThan(webhookGiveUpMs);
});

test("a message that comes back after its attempt was recorded calls no receiver, and orders what is missing", async () => {
  rig.answer = (response) => void response.writeHead(500).end();
  const run = await rig.makeRun();
  // Nothing listens on this reserved port.
  const closed = { endpoint: "http://127.0.0.1:9", region: "us-east-1", maxAttempts: 1 };
  const client = Client.open({
    ...closed,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    useQueueUrlAsEndpoint: false,
  });
  const away = { ...rig.stores.queues, client };
  const message: Message = { kind: "webhook", run_uid: run.runUid, attempt: 1 };
  await expect(deliver({ ...rig.stores, queues: away }, message, rig.log)).rejects.toMatchObject({
    code: "storage_unavailable",
  });
  expect(await rig.attemptsOf(run)).toHaveLength(1);
  // The row stores the next attempt, and the minute sends it; a second copy of the message has no effect.
  await rig.send(run, 1);
  expect(await rig.ordered()).toEqual([]);
  expect(await Due.all(rig.stores)).toBe(1);
  expect(await rig.ordered()).toEqual([{ ...message, attempt: 2 }]);
  expect(rig.calls).toHaveLength(1);
});

test("a message that comes back after its worker died after the record orders the next attempt", async () => {
  const at = new Date().toISOString();
  const run = await rig.makeRun({ webhook: [{ at, ok: false, status: 500, error: null, duration_ms: 1 }] });
  await rig.send(run, 1);
  expect(await rig.ordered()).toEqual([{ kind: "webhook", run_uid: run.runUid, attempt: 2 }]);
  expect(rig.calls).toEqual([]);
});

test("copies of one message that run at once record one attempt and order one", async () => {
  rig.answer = (response) => void response.writeHead(500).end();
  const run = await rig.makeRun();
  await Promise.all([rig.send(run, 1), rig.send(run, 1), rig.send(run, 1)]);
  expect(await rig.attemptsOf(run)).toHaveLength(1);
  expect(await rig.ordered()).toHaveLength(1);
});

test("no receiver is called for a run that goes on, is deleted, or has no webhook", async () => {
  for (const more of [
    { state: "running" },
    { state: "finishing" },
    { state: "deleting" },
    { state: "deleted" },
    { webhookUrl: null },
  ] as const) {
    const run = await rig.makeRun(more);
    await rig.send(run, 1);
    expect(await rig.attemptsOf(run)).toEqual([]);
  }
  await rig.send({ ...(await rig.makeRun()), runUid: "unknown" }, 1);
  await order(rig.stores, await rig.makeRun({ webhookUrl: null }), rig.log);
  expect(rig.calls).toEqual([]);
  expect(await rig.ordered()).toEqual([]);
});
