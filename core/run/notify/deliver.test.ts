import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { eq } from "drizzle-orm";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import * as Config from "#core/config";
import * as Key from "#core/key/key";
import { keyTable } from "#core/key/key.sql";
import type { Queues } from "#core/queue/queue";
import { type RunRow, runTable } from "#core/run/run.sql";
import * as Secret from "#core/webhook/secret";
import { type QueueServer, start as startQueues } from "#local/queue/server";
import * as Limits from "#spec/limits";
import { queues as queueTable } from "#spec/queues";
import { recording } from "#test/support/test-bucket";
import * as TestDatabase from "#test/support/test-database";
import { deliver } from "./deliver.ts";
import { webhookDueTable, webhookHostTable } from "./due.sql.ts";
import * as Due from "./due.ts";
import { type Message, order } from "./due.ts";

const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const oldSecret = `whsec_${Buffer.alloc(32, 2).toString("base64")}`;

interface Call {
  method: string | undefined;
  url: string | undefined;
  headers: http.IncomingHttpHeaders;
  body: string;
}

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
let queueServer: QueueServer;
let queues: Queues;
let dir: string;
let receiver: http.Server;
let receiverUrl: string;
let calls: Call[];
/** What the receiver answers; each test sets its own. */
let answer: (response: http.ServerResponse) => void;
const { log, lines } = recording();
const times = {
  ...Limits.times(1),
  webhookTimeoutMs: 1_000,
  // Nothing is held back, so that what was ordered can be seen at once.
  webhookDelaysMs: [0, 0, 0, 0],
};

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocrlty-webhook-"));
  database = await TestDatabase.start();
  queueServer = await startQueues({
    dir,
    queues: { later: queueTable.later },
    timeScale: 1,
    region: "us-east-1",
  });
  const later = queueServer.queues.later?.url ?? "";
  queues = {
    client: queueServer.client,
    urls: { plan: later, item: later, single: later, later, urgent: later },
    timeoutMs: 5_000,
  };
  receiver = http.createServer(async (request, response) => {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    calls.push({ method: request.method, url: request.url, headers: request.headers, body });
    answer(response);
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook?token=canary`;
});

afterAll(async () => {
  receiver.closeAllConnections();
  receiver.close();
  await Promise.all([database.close(), queueServer.close()]);
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

beforeEach(async () => {
  for (const table of [webhookDueTable, webhookHostTable]) await database.db.query.delete(table);
  calls = [];
  lines.length = 0;
  answer = (response) => void response.end("ok");
  environment({ WEBHOOK_SECRET: secret, WEBHOOK_ALLOW_PRIVATE: "1" });
});
afterEach(() => {
  vi.unstubAllEnvs();
  Config.reset();
});

function environment(values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) vi.stubEnv(name, value);
  Config.reset();
}

let made = 0;
async function makeRun(more: Partial<RunRow> = {}): Promise<RunRow> {
  made += 1;
  const now = new Date();
  const row = {
    runUid: `uid-${made}`,
    keyId: "shop",
    runId: `run-${made}`,
    taskId: "receipt_fields_v1",
    payloadHash: "hash",
    principalRole: "client",
    state: "succeeded",
    epoch: 1,
    concurrency: 4,
    source: "manifest",
    persistInputs: false,
    webhookUrl: receiverUrl,
    total: 3,
    succeeded: 2,
    failed: 1,
    createdAt: now,
    startedAt: now,
    finishedAt: now,
    touchedAt: now,
    ...more,
  } as const;
  const [stored] = await database.db.query.insert(runTable).values(row).returning();
  if (stored === undefined) throw new Error("no row");
  return stored;
}

async function attemptsOf(run: RunRow) {
  const [row] = await database.db.query.select().from(runTable).where(eq(runTable.runUid, run.runUid));
  return row?.webhook ?? [];
}

/** The messages that were ordered, and with that taken. */
async function ordered(): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl: queues.urls.later,
    MaxNumberOfMessages: 10,
    VisibilityTimeout: 3_600,
  });
  const { Messages } = await queues.client.send(command);
  return (Messages ?? []).map(({ Body }) => JSON.parse(Body ?? "") as Message);
}

const send = (run: RunRow, attempt: number) =>
  deliver({ db: database.db, queues, times }, { kind: "webhook", run_uid: run.runUid, attempt }, log);

test("a run that ended is told once, signed so that the scheme's own verifier takes it", async () => {
  const run = await makeRun();
  await order({ db: database.db, queues, times }, run, log);
  const [first] = await ordered();
  expect(first).toEqual({ kind: "webhook", run_uid: run.runUid, attempt: 1 });
  await send(run, 1);

  expect(calls).toHaveLength(1);
  const [call] = calls;
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
  expect(await attemptsOf(run)).toEqual([
    {
      at: expect.any(String),
      ok: true,
      status: 200,
      error: null,
      duration_ms: expect.any(Number),
    },
  ]);
  // Later and repeated messages call nobody any more.
  await send(run, 1);
  await send(run, 2);
  expect(calls).toHaveLength(1);
  expect(await ordered()).toEqual([]);
  expect(lines.map(({ event }) => event)).toEqual(["webhook_ordered", "webhook_sent"]);
  expect(JSON.stringify(lines)).not.toMatch(/canary|127\.0\.0\.1/);
});

test("while a secret is replaced, receivers with the old one and with the new one verify", async () => {
  environment({ WEBHOOK_SECRET: `${secret},${oldSecret}` });
  await send(await makeRun(), 1);
  const [call] = calls;
  for (const one of [secret, oldSecret])
    expect(() =>
      new Webhook(one).verify(call?.body ?? "", call?.headers as Record<string, string>),
    ).not.toThrow();
});

test("no receiver's secret signs for another key: each key has its own, from the stage's, with an overlap", async () => {
  const pepper = "pepper-of-the-webhook-tests";
  for (const keyId of ["new-1", "new-2"]) await Key.create(database.db, pepper, { keyId, role: "client" });
  const old = { keyId: "old-1", role: "client", scopes: [], createdAt: new Date() } as const;
  await database.db.query.insert(keyTable).values({ ...old, scopes: [] });
  const secretOf = async (keyId: string) => (await Secret.show(database.db, [secret], keyId)).secret;
  /** Who of these could have signed a call for the key. */
  const signers = async (keyId: string, secrets: readonly string[]) => {
    calls = [];
    await send(await makeRun({ keyId }), 1);
    const [{ body = "", headers = {} } = {}] = calls;
    return secrets.map((each) => {
      try {
        new Webhook(each).verify(body, headers as Record<string, string>);
        return true;
      } catch {
        return false;
      }
    });
  };
  const [one, two] = [await secretOf("new-1"), await secretOf("new-2")];
  expect(one).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(await signers("new-1", [one, two, secret])).toEqual([true, false, false]);
  // A key of before goes on with the stage's secret until it is rotated, and then with both for the overlap.
  expect(await secretOf("old-1")).toBe(secret);
  await Secret.rotate(database.db, "old-1", 60_000);
  expect(await signers("old-1", [secret, await secretOf("old-1"), one])).toEqual([true, true, false]);
  await Secret.rotate(database.db, "new-1", 60_000);
  const next = await secretOf("new-1");
  expect(await signers("new-1", [next, one, two, secret])).toEqual([true, true, false, false]);
  // A third would have to drop the one that receivers were promised: not without a word.
  await expect(Secret.rotate(database.db, "new-1", 60_000)).rejects.toMatchObject({
    code: "conflict",
    details: { reason: "still_overlaps" },
  });
  expect(await signers("new-1", [next, one])).toEqual([true, true]);
  await Secret.rotate(database.db, "new-1", 0);
  expect(await signers("new-1", [await secretOf("new-1"), next, one])).toEqual([true, false, false]);
  // While the stage's own is replaced, receivers with what was made of the old one verify as well.
  environment({ WEBHOOK_SECRET: `${secret},${oldSecret}` });
  const before = Secret.derive(oldSecret, "new-2", 1);
  expect(await signers("new-2", [two, before, oldSecret])).toEqual([true, true, false]);
});

test("a receiver that fails is asked five times in all, each recorded, with one id", async () => {
  answer = (response) => void response.writeHead(500).end("x".repeat(100_000));
  const run = await makeRun({ state: "failed" });
  const numbers: number[] = [];
  for (let messages: Message[] = [{ kind: "webhook", run_uid: run.runUid, attempt: 1 }]; messages[0]; ) {
    numbers.push(messages[0].attempt);
    await send(run, messages[0].attempt);
    messages = await ordered();
    expect(messages.length).toBeLessThanOrEqual(1);
  }
  expect(numbers).toEqual([1, 2, 3, 4, 5]);
  expect((await attemptsOf(run)).map(({ ok, status }) => [ok, status])).toEqual(Array(5).fill([false, 500]));
  expect(new Set(calls.map(({ headers }) => headers["webhook-id"]))).toEqual(new Set([`msg_${run.runUid}`]));
  expect(calls.map(({ body }) => JSON.parse(body).type)).toEqual(Array(5).fill("run.failed"));
  expect(lines.filter(({ event }) => event === "webhook_failed")).toHaveLength(5);
});

test("a later attempt waits in its row, for days if it must, and is sent when it is due", async () => {
  answer = (response) => void response.writeHead(503).end();
  const run = await makeRun();
  const hour = 3_600_000;
  const stores = { db: database.db, queues, times: { ...times, webhookDelaysMs: [20 * hour] } };
  await deliver(stores, { kind: "webhook", run_uid: run.runUid, attempt: 1 }, log);
  expect(await ordered()).toEqual([]);
  expect(await Due.all(stores)).toBe(0);
  const [row] = await database.db.query.select().from(webhookDueTable);
  const pause = (row?.dueAt.getTime() ?? 0) - Date.now();
  expect(pause).toBeGreaterThan(19.9 * hour);
  expect(pause).toBeLessThan(22.1 * hour);
  await database.db.query.update(webhookDueTable).set({ dueAt: new Date() });
  expect(await Due.all(stores)).toBe(1);
  expect(await ordered()).toEqual([{ kind: "webhook", run_uid: run.runUid, attempt: 2 }]);
  // It is under way, so the next minute sends no other.
  expect(await Due.all(stores)).toBe(0);
});

test("the attempts of a receiver that stays away are spread over three days", () => {
  const { webhookDelaysMs, webhookGiveUpMs } = Limits.times();
  const together = webhookDelaysMs.reduce((sum, ms) => sum + ms, 0);
  expect(webhookDelaysMs[0]).toBe(5_000);
  expect(together / 86_400_000).toBeGreaterThan(3);
  expect(1.1 * together).toBeLessThan(webhookGiveUpMs);
});

test("a receiver that never answers costs its own runs alone: its key has one call under way, the host is left alone after three, and they go on when it is back", async () => {
  const hole = http.createServer(() => undefined).listen(0, "127.0.0.1");
  await once(hole, "listening");
  const port = (hole.address() as AddressInfo).port;
  const stores = {
    db: database.db,
    queues,
    times: { ...times, webhookTimeoutMs: 100, webhookDelaysMs: [3_600_000] },
  };
  const step = async () => {
    const messages = await ordered();
    for (const message of messages) await deliver(stores, message, log);
    return messages.length;
  };
  try {
    const silent: RunRow[] = [];
    for (let i = 0; i < 20; i += 1) {
      const run = await makeRun({ keyId: "quiet", webhookUrl: `http://127.0.0.1:${port}/` });
      silent.push(run);
      await order(stores, run, log);
    }
    expect(queueServer.counts(queues.urls.later).ready).toBe(1);
    const other = await makeRun();
    await order(stores, other, log);
    // Both keys' calls are at the front of the queue, whatever stands behind.
    expect(await step()).toBe(2);
    expect((await attemptsOf(other))[0]).toMatchObject({ ok: true });
    while ((await step()) > 0);
    const tried = async () =>
      (await Promise.all(silent.map(attemptsOf))).filter((all) => all.length > 0).length;
    expect(await tried()).toBe(3);
    hole
      .removeAllListeners("request")
      .on("request", (_, response: http.ServerResponse) => void response.end());
    expect(await Due.all(stores), "left alone").toBe(0);
    // By that key alone: at a host that takes everybody's webhooks another key's are called.
    const shares = await makeRun({ keyId: "loud", webhookUrl: `http://127.0.0.1:${port}/` });
    await order(stores, shares, log);
    expect(await step()).toBe(1);
    expect((await attemptsOf(shares))[0]).toMatchObject({ ok: true });
    await database.db.query.update(webhookHostTable).set({ retryAt: new Date(0) });
    await database.db.query.update(webhookDueTable).set({ dueAt: new Date(0) });
    expect(await Due.all(stores)).toBe(1);
    while ((await step()) > 0);
    const last = (await Promise.all(silent.map(attemptsOf))).map((all) => all.at(-1)?.ok);
    expect(last).toEqual(Array(20).fill(true));
    expect(await database.db.query.select().from(webhookDueTable)).toEqual([]);
  } finally {
    hole.closeAllConnections();
    hole.close();
  }
});

test("a message that comes back after its attempt was recorded calls nobody, and orders what is missing", async () => {
  answer = (response) => void response.writeHead(500).end();
  const run = await makeRun();
  // Nothing listens on the port that is reserved for nothing.
  const closed = { endpoint: "http://127.0.0.1:9", region: "us-east-1", maxAttempts: 1 };
  const client = new SQSClient({
    ...closed,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    useQueueUrlAsEndpoint: false,
  });
  const away = { ...queues, client };
  const message: Message = { kind: "webhook", run_uid: run.runUid, attempt: 1 };
  await expect(deliver({ db: database.db, queues: away, times }, message, log)).rejects.toMatchObject({
    code: "storage_unavailable",
  });
  expect(await attemptsOf(run)).toHaveLength(1);
  // Its row knows what comes next, and the minute sends it; a second copy of the message does nothing.
  await send(run, 1);
  expect(await ordered()).toEqual([]);
  expect(await Due.all({ db: database.db, queues, times })).toBe(1);
  expect(await ordered()).toEqual([{ ...message, attempt: 2 }]);
  expect(calls).toHaveLength(1);
});

test("a message that comes back after its worker died behind the record orders the next attempt", async () => {
  const at = new Date().toISOString();
  const run = await makeRun({ webhook: [{ at, ok: false, status: 500, error: null, duration_ms: 1 }] });
  await send(run, 1);
  expect(await ordered()).toEqual([{ kind: "webhook", run_uid: run.runUid, attempt: 2 }]);
  expect(calls).toEqual([]);
});

test("copies of one message that run at once record one attempt and order one", async () => {
  answer = (response) => void response.writeHead(500).end();
  const run = await makeRun();
  await Promise.all([send(run, 1), send(run, 1), send(run, 1)]);
  expect(await attemptsOf(run)).toHaveLength(1);
  expect(await ordered()).toHaveLength(1);
});

test("410 Gone ends it", async () => {
  answer = (response) => void response.writeHead(410).end();
  const run = await makeRun();
  await send(run, 1);
  expect((await attemptsOf(run))[0]).toMatchObject({ ok: false, status: 410 });
  expect(await ordered()).toEqual([]);
});

test("a redirect is not followed and is no delivery", async () => {
  answer = (response) => void response.writeHead(307, { location: receiverUrl }).end();
  const run = await makeRun();
  await send(run, 1);
  expect(calls).toHaveLength(1);
  expect((await attemptsOf(run))[0]).toMatchObject({ ok: false, status: 307 });
  expect(await ordered()).toHaveLength(1);
});

test("a receiver that is silent, cuts off or never ends its answer is not waited for", async () => {
  const stores = { db: database.db, queues, times: { ...times, webhookTimeoutMs: 150 } };
  const outcome = async () => {
    const run = await makeRun();
    await deliver(stores, { kind: "webhook", run_uid: run.runUid, attempt: 1 }, log);
    await ordered();
    return (await attemptsOf(run))[0];
  };
  answer = () => undefined;
  expect(await outcome()).toMatchObject({ ok: false, status: null, error: "url_timeout" });
  answer = (response) => void response.destroy();
  expect(await outcome()).toMatchObject({ ok: false, status: null, error: "url_unreachable" });
  answer = (response) => {
    response.writeHead(200);
    response.write("and");
  };
  expect(await outcome()).toMatchObject({ ok: true, status: 200 });
});

test("a host that has moved into the private network since is not connected to", async () => {
  environment({ WEBHOOK_ALLOW_PRIVATE: "0" });
  const run = await makeRun({ webhookUrl: "https://127.0.0.1/hook" });
  await send(run, 1);
  expect((await attemptsOf(run))[0]).toMatchObject({ ok: false, status: null, error: "address_not_allowed" });
  await ordered();
});

test("nobody is called for a run that goes on, is deleted, or has no webhook", async () => {
  for (const more of [
    { state: "running" },
    { state: "finishing" },
    { state: "deleting" },
    { state: "deleted" },
    { webhookUrl: null },
  ] as const) {
    const run = await makeRun(more);
    await send(run, 1);
    expect(await attemptsOf(run)).toEqual([]);
  }
  await send({ ...(await makeRun()), runUid: "unknown" }, 1);
  await order({ db: database.db, queues, times }, await makeRun({ webhookUrl: null }), log);
  expect(calls).toEqual([]);
  expect(await ordered()).toEqual([]);
});
