import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReceiveMessageCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { breakerTable } from "#core/breaker/breaker.sql";
import * as Probe from "#core/breaker/probe";
import * as Evaluation from "#core/evaluation/evaluation";
import type { Row } from "#core/evaluation/evaluation.sql";
import * as Claim from "#core/evaluation/job/claim";
import { extractTable } from "#core/extraction/extract.sql";
import type { Name } from "#core/queue/queue";
import * as Window from "#core/run/dispatch/window";
import * as Due from "#core/run/notify/due";
import { webhookDueTable } from "#core/run/notify/due.sql";
import { itemTable, runTable, type State } from "#core/run/run.sql";
import * as Client from "#local/queue/client";
import { type QueueServer, start as startQueues } from "#local/queue/server";
import { forget, resume } from "#local/restart";
import * as Limits from "#spec/limits";
import { queues } from "#spec/queues";
import { queueUrls } from "#test/support/queue-urls";
import { silent } from "#test/support/test-bucket";
import * as TestDatabase from "#test/support/test-database";

let dir: string;
let database: Awaited<ReturnType<typeof TestDatabase.start>>;
let server: QueueServer;

const begin = () => startQueues({ dir, queues, timeScale: 1, region: "us-east-1" });
const urls = () => queueUrls(server);
const counts = (name: Name) => server.counts(urls()[name]);

/** The messages that are ready in a queue, by run and kind. */
async function taken(name: Name): Promise<string[]> {
  const { Messages = [] } = await server.client.send(
    new ReceiveMessageCommand({ QueueUrl: urls()[name], MaxNumberOfMessages: 10 }),
  );
  return Messages.map(({ Body = "" }) => JSON.parse(Body))
    .map(({ kind, run_uid }) => `${run_uid}: ${kind}`)
    .sort();
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocrlty restart "));
  database = await TestDatabase.start();
});
afterAll(async () => {
  await Promise.all([database.close(), server.close()]);
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

async function run(state: State, more: Partial<typeof runTable.$inferInsert> = {}): Promise<void> {
  const now = new Date();
  await database.db.query.insert(runTable).values({
    ...{ runUid: state, keyId: "key-1", runId: state, taskId: "receipt_fields_v1", payloadHash: "h", state },
    ...{ principalRole: "client", epoch: 5, concurrency: 1, source: "manifest", persistInputs: false },
    ...{ total: 2, createdAt: now, touchedAt: now, ...more },
  });
}
const item = (runUid: string, index: number, status: "running" | "queued") =>
  database.db.query.insert(itemTable).values({
    ...{ runUid, index, sourceKind: "data", objectKey: "data/shared/x", status, sentEpoch: 5, slot: 0 },
    ...{ token: 1, claims: 1, leaseUntil: new Date(Date.now() + 115_000) },
  });
const extract = (requestId: string, more: Partial<typeof extractTable.$inferInsert>) => {
  const now = new Date();
  return database.db.query.insert(extractTable).values({
    ...{ keyId: "key-1", requestId, taskId: "receipt_fields_v1", payloadHash: "h", status: "running" },
    ...{ createdAt: now, leaseUntil: new Date(Date.now() + 115_000), token: 1, ...more },
  });
};
const input = {
  ...{ source: "inline" as const, declaredMimeType: null, objectKey: "x", etag: null, temporary: false },
  ...{ debug: null, principalRole: "client" },
};

const soon = () => new Date(Date.now() + 600_000);
const queuesOf = () => ({ client: Client.through(server.client), urls: urls(), timeoutMs: 5_000 });

/** Two items of a run, a webhook, a backup and a probe. */
async function sendMessages(): Promise<void> {
  const later = (body: object, DelaySeconds = 0) =>
    server.client.send(
      new SendMessageCommand({ QueueUrl: urls().later, MessageBody: JSON.stringify(body), DelaySeconds }),
    );
  const sent = { run_uid: "running", epoch: 5, index: 0, seq: 0, slot: 0 };
  const connected = queuesOf();
  await Window.send({ queues: connected }, [sent, { ...sent, index: 1 }], silent);
  await later({ kind: "webhook", run_uid: "succeeded", attempt: 1 });
  await Due.add(database.db, { runUid: "succeeded", keyId: "key-1", webhookUrl: "https://x.example/" });
  await database.db.query.update(webhookDueTable).set({ sentUntil: soon() });
  await later({ kind: "backup", state: "backups/x/a.json", job: "a", step: 1 }, 300);
  await Probe.send(connected, { n: 3, chain: "c" }, 300_000, silent);
}

/** Runs and extracts in every state that a killed loop can leave, and an open breaker. */
async function insertRows(): Promise<void> {
  await run("running");
  await item("running", 0, "running");
  await item("running", 1, "queued");
  await run("canceling");
  await item("canceling", 0, "running");
  for (const state of ["planning", "finishing", "deleting", "succeeded"] as const) await run(state);
  await run("planning", { runUid: "receiving", runId: "receiving", planning: { phase: "receiving" } });
  await run("running", { runUid: "waiting", runId: "waiting", waitingFor: "model_server" });
  await extract("call", {});
  await extract("at-work", { input, claims: 1 });
  await extract("waits", {
    status: "queued",
    input,
    sentAt: new Date(),
    notBefore: new Date(Date.now() + 60_000),
  });
  const hour = new Date(Date.now() + 3_600_000);
  await database.db.query.insert(breakerTable).values({
    name: "model_server",
    openedAt: new Date(),
    retryAt: hour,
    messageUntil: hour,
    messageChain: "c",
  });
}

async function orderEvaluation() {
  const evaluated = {
    evalId: Evaluation.newId(),
    run: { keyId: "key-1", runUid: "succeeded", runId: "succeeded", taskId: "receipt_v1", total: 2 },
    wish: {
      labels: { gt_id: "gt_1", image_key: "file" },
      ...{ groundTruth: undefined, strMode: "strip" as const },
    },
  };
  const evaluations = { db: database.db, queues: queuesOf(), times: Limits.times(1) };
  return Evaluation.order(evaluations, silent, evaluated);
}

test("a loop that was killed between a message and its first step continues all work at once when it starts again", async () => {
  expect(forget(dir), "nothing was here").toBe(false);
  server = await begin();
  await sendMessages();
  await server.client.send(new ReceiveMessageCommand({ QueueUrl: urls().item }));
  await server.client.send(new ReceiveMessageCommand({ QueueUrl: urls().later }));
  expect([counts("item").inFlight, counts("later").inFlight]).toEqual([1, 1]);

  await insertRows();
  const { evalId } = await orderEvaluation();
  const held = await Claim.claim(database.db, evalId, soon());
  await server.close();

  expect(forget(dir)).toBe(true);
  server = await begin();
  expect(counts("item")).toEqual({ ready: 0, delayed: 0, inFlight: 0 });
  expect(counts("later")).toEqual({ ready: 0, delayed: 1, inFlight: 0 });
  expect(await resume(database, server, 1)).toEqual({ runs: 6, extracts: 2 });

  // The killed worker's writes have no effect any more, and another worker continues without waiting for the lease.
  await expect(Claim.release(database.db, held as Row)).rejects.toThrow(Claim.Overtaken);
  expect(await Claim.claim(database.db, evalId, soon())).toMatchObject({ token: (held?.token ?? 0) + 2 });

  const rows = await database.db.query.select().from(runTable);
  expect(rows.filter(({ epoch }) => epoch === 6).map(({ runUid }) => runUid)).toEqual(
    expect.arrayContaining(["running", "planning"]),
  );
  const items = await database.db.query.select().from(itemTable);
  expect(items.filter(({ runUid }) => runUid === "running")).toMatchObject([
    { status: "queued", token: 2, claims: 1, sentEpoch: 0, sendSeq: 1, leaseUntil: null },
    { status: "queued", token: 1, sentEpoch: 5, sendSeq: 0 },
  ]);
  // Reconcile does that in its first minute.
  const over = Date.now() - Limits.times().leaseGraceMs;
  expect(items.find(({ runUid }) => runUid === "canceling")?.leaseUntil?.getTime()).toBeLessThan(over);
  expect(await taken("plan")).toEqual(["deleting: delete", "finishing: finish", "planning: plan"]);
  expect(counts("single").ready).toBe(2);
  expect(await taken("later")).toEqual(["succeeded: webhook", "undefined: evaluation"]);
  const extracts = await database.db.query.select().from(extractTable);
  expect(extracts.map(({ requestId, status, notBefore }) => ({ requestId, status, notBefore }))).toEqual([
    { requestId: "call", status: "running", notBefore: null },
    { requestId: "at-work", status: "queued", notBefore: null },
    { requestId: "waits", status: "queued", notBefore: null },
  ]);
  expect(extracts[0]?.leaseUntil.getTime()).toBeLessThan(over);
  // There is also a new probe for the run that waits for the model server; the old message is gone.
  expect(await taken("urgent")).toEqual(["canceling: sweep", "running: refill", "undefined: probe"]);
});
