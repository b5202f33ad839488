import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import * as Config from "#core/config";
import type { RunRow } from "#core/run/run.sql";
import { type Rig, start } from "#test/support/webhook-rig";
import { deliver } from "./deliver.ts";
import { webhookDueTable, webhookHostTable } from "./due.sql.ts";
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

test("a receiver that fails is asked five times in all, each recorded, with one id", async () => {
  rig.answer = (response) => void response.writeHead(500).end("x".repeat(100_000));
  const run = await rig.makeRun({ state: "failed" });
  const numbers: number[] = [];
  for (let messages: Message[] = [{ kind: "webhook", run_uid: run.runUid, attempt: 1 }]; messages[0]; ) {
    numbers.push(messages[0].attempt);
    await rig.send(run, messages[0].attempt);
    messages = await rig.ordered();
    expect(messages.length).toBeLessThanOrEqual(1);
  }
  expect(numbers).toEqual([1, 2, 3, 4, 5]);
  expect((await rig.attemptsOf(run)).map(({ ok, status }) => [ok, status])).toEqual(
    Array(5).fill([false, 500]),
  );
  expect(new Set(rig.calls.map(({ headers }) => headers["webhook-id"]))).toEqual(
    new Set([`msg_${run.runUid}`]),
  );
  expect(rig.calls.map(({ body }) => JSON.parse(body).type)).toEqual(Array(5).fill("run.failed"));
  expect(rig.lines.filter(({ event }) => event === "webhook_failed")).toHaveLength(5);
});

test("a receiver that never answers costs its own runs alone: its key has one call under way, the host is left alone after three, and they go on when it is back", async () => {
  const hole = http.createServer(() => undefined).listen(0, "127.0.0.1");
  await once(hole, "listening");
  const port = (hole.address() as AddressInfo).port;
  const stores = {
    ...rig.stores,
    times: { ...rig.stores.times, webhookTimeoutMs: 100, webhookDelaysMs: [3_600_000] },
  };
  const step = async () => {
    const messages = await rig.ordered();
    for (const message of messages) await deliver(stores, message, rig.log);
    return messages.length;
  };
  try {
    const silent: RunRow[] = [];
    for (let i = 0; i < 20; i += 1) {
      const run = await rig.makeRun({ keyId: "quiet", webhookUrl: `http://127.0.0.1:${port}/` });
      silent.push(run);
      await order(stores, run, rig.log);
    }
    expect(rig.ready()).toBe(1);
    const other = await rig.makeRun();
    await order(stores, other, rig.log);
    // The calls of both keys are at the front of the queue, regardless of what is behind them.
    expect(await step()).toBe(2);
    expect((await rig.attemptsOf(other))[0]).toMatchObject({ ok: true });
    while ((await step()) > 0);
    const tried = async () =>
      (await Promise.all(silent.map(rig.attemptsOf))).filter((all) => all.length > 0).length;
    expect(await tried()).toBe(3);
    hole
      .removeAllListeners("request")
      .on("request", (_, response: http.ServerResponse) => void response.end());
    expect(await Due.all(stores), "left alone").toBe(0);
    // Only for that key: at a shared host the calls of other keys are made.
    const shares = await rig.makeRun({ keyId: "loud", webhookUrl: `http://127.0.0.1:${port}/` });
    await order(stores, shares, rig.log);
    expect(await step()).toBe(1);
    expect((await rig.attemptsOf(shares))[0]).toMatchObject({ ok: true });
    await rig.stores.db.query.update(webhookHostTable).set({ retryAt: new Date(0) });
    await rig.stores.db.query.update(webhookDueTable).set({ dueAt: new Date(0) });
    expect(await Due.all(stores)).toBe(1);
    while ((await step()) > 0);
    const last = (await Promise.all(silent.map(rig.attemptsOf))).map((all) => all.at(-1)?.ok);
    expect(last).toEqual(Array(20).fill(true));
    expect(await rig.stores.db.query.select().from(webhookDueTable)).toEqual([]);
  } finally {
    hole.closeAllConnections();
    hole.close();
  }
});

test("410 Gone ends it", async () => {
  rig.answer = (response) => void response.writeHead(410).end();
  const run = await rig.makeRun();
  await rig.send(run, 1);
  expect((await rig.attemptsOf(run))[0]).toMatchObject({ ok: false, status: 410 });
  expect(await rig.ordered()).toEqual([]);
});

test("a redirect is not followed and is not a delivery", async () => {
  rig.answer = (response) => void response.writeHead(307, { location: rig.receiverUrl }).end();
  const run = await rig.makeRun();
  await rig.send(run, 1);
  expect(rig.calls).toHaveLength(1);
  expect((await rig.attemptsOf(run))[0]).toMatchObject({ ok: false, status: 307 });
  expect(await rig.ordered()).toHaveLength(1);
});

test("a receiver that is silent, cuts off or never ends its answer does not hold up others", async () => {
  const stores = { ...rig.stores, times: { ...rig.stores.times, webhookTimeoutMs: 150 } };
  const outcome = async () => {
    const run = await rig.makeRun();
    await deliver(stores, { kind: "webhook", run_uid: run.runUid, attempt: 1 }, rig.log);
    await rig.ordered();
    return (await rig.attemptsOf(run))[0];
  };
  rig.answer = () => undefined;
  expect(await outcome()).toMatchObject({ ok: false, status: null, error: "url_timeout" });
  rig.answer = (response) => void response.destroy();
  expect(await outcome()).toMatchObject({ ok: false, status: null, error: "url_unreachable" });
  rig.answer = (response) => {
    response.writeHead(200);
    response.write("and");
  };
  expect(await outcome()).toMatchObject({ ok: true, status: 200 });
});

test("a host that has moved into the private network since is not connected to", async () => {
  rig.environment({ WEBHOOK_ALLOW_PRIVATE: "0" });
  const run = await rig.makeRun({ webhookUrl: "https://127.0.0.1/hook" });
  await rig.send(run, 1);
  expect((await rig.attemptsOf(run))[0]).toMatchObject({
    ok: false,
    status: null,
    error: "address_not_allowed",
  });
  await rig.ordered();
});
