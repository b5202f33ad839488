/** What tests of webhooks share: a receiver, the queue that orders deliveries, and rows of runs that ended. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import { eq } from "drizzle-orm";
import { vi } from "vitest";
import * as Config from "#core/config";
import type * as Database from "#core/db/database";
import type { Queues } from "#core/queue/queue";
import { deliver } from "#core/run/notify/deliver";
import type { Message } from "#core/run/notify/due";
import { webhookDueTable, webhookHostTable } from "#core/run/notify/due.sql";
import { type RunRow, runTable } from "#core/run/run.sql";
import * as Client from "#local/queue/client";
import { type QueueServer, start as startQueues } from "#local/queue/server";
import * as Limits from "#spec/limits";
import { queues as queueTable } from "#spec/queues";
import { recording } from "#test/support/test-bucket";
import * as TestDatabase from "#test/support/test-database";

export const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
export const oldSecret = `whsec_${Buffer.alloc(32, 2).toString("base64")}`;

interface Call {
  method: string | undefined;
  url: string | undefined;
  headers: http.IncomingHttpHeaders;
  body: string;
}

const times = {
  ...Limits.times(1),
  webhookTimeoutMs: 1_000,
  // Messages are not delayed, so that tests see them at once.
  webhookDelaysMs: [0, 0, 0, 0],
};

/** Sets the configuration until the test ends. */
function environment(values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) vi.stubEnv(name, value);
  Config.reset();
}

/** A receiver, queues and a database; what is set in it lasts until `reset`. */
export async function start() {
  const dir = mkdtempSync(join(tmpdir(), "ocrlty-webhook-"));
  const database = await TestDatabase.start();
  const { queueServer, queues } = await openQueues(dir);
  const { later } = queues.urls;
  const { db } = database;
  const stores = { db, queues, times };
  const { log, lines } = recording();
  const receiver = http.createServer(async (request, response) => {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    rig.calls.push({ method: request.method, url: request.url, headers: request.headers, body });
    rig.answer(response);
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook?token=canary`;
  let made = 0;
  const rig = {
    stores,
    log,
    lines,
    receiverUrl,
    environment,
    calls: [] as Call[],
    /** What the receiver answers; each test sets its own. */
    answer: (response: http.ServerResponse): void => void response.end("ok"),
    /** The row of a run that ended. */
    makeRun: (more: Partial<RunRow> = {}): Promise<RunRow> => {
      made += 1;
      return insert(db, { ...endedRun(made), webhookUrl: receiverUrl, ...more });
    },
    attemptsOf: async (run: RunRow) => {
      const [row] = await db.query.select().from(runTable).where(eq(runTable.runUid, run.runUid));
      return row?.webhook ?? [];
    },
    ordered: () => takeAll(queueServer),
    send: (run: Pick<RunRow, "runUid">, attempt: number) =>
      deliver(stores, { kind: "webhook", run_uid: run.runUid, attempt }, log),
    ready: () => queueServer.counts(later).ready,
    reset: async () => {
      for (const table of [webhookDueTable, webhookHostTable]) await db.query.delete(table);
      rig.calls = [];
      lines.length = 0;
      rig.answer = (response) => void response.end("ok");
      environment({ WEBHOOK_SECRET: secret, WEBHOOK_ALLOW_PRIVATE: "1" });
    },
    close: async () => {
      receiver.closeAllConnections();
      receiver.close();
      await Promise.all([database.close(), queueServer.close()]);
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  return rig;
}
export type Rig = Awaited<ReturnType<typeof start>>;

async function openQueues(dir: string) {
  const queueServer = await startQueues({
    dir,
    queues: { later: queueTable.later },
    timeScale: 1,
    region: "us-east-1",
  });
  const later = queueServer.queues.later?.url ?? "";
  const queues: Queues = {
    client: Client.through(queueServer.client),
    urls: { plan: later, item: later, single: later, later, urgent: later },
    timeoutMs: 5_000,
  };
  return { queueServer, queues };
}

/** Receives and returns the messages that were ordered. */
async function takeAll({ client, queues }: QueueServer): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl: queues.later?.url,
    MaxNumberOfMessages: 10,
    VisibilityTimeout: 3_600,
  });
  const { Messages } = await client.send(command);
  return (Messages ?? []).map(({ Body }) => JSON.parse(Body ?? "") as Message);
}

const endedRun = (n: number) => {
  const now = new Date();
  return {
    runUid: `uid-${n}`,
    keyId: "shop",
    runId: `run-${n}`,
    taskId: "receipt_fields_v1",
    payloadHash: "hash",
    principalRole: "client",
    state: "succeeded",
    epoch: 1,
    concurrency: 4,
    source: "manifest",
    persistInputs: false,
    total: 3,
    succeeded: 2,
    failed: 1,
    createdAt: now,
    startedAt: now,
    finishedAt: now,
    touchedAt: now,
  } as const;
};

async function insert(db: Database.Db, row: typeof runTable.$inferInsert): Promise<RunRow> {
  const [stored] = await db.query.insert(runTable).values(row).returning();
  if (stored === undefined) throw new Error("no row");
  return stored;
}
