/** Work whose message is in line behind others is not lost, and work whose message is lost does not wait forever. */
import { DeleteMessageCommand, ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import * as Breaker from "#core/breaker/breaker";
import { breakerTable } from "#core/breaker/breaker.sql";
import * as Probe from "#core/breaker/probe";
import { extractTable } from "#core/extraction/extract.sql";
import { probe } from "#core/outage/probe";
import { queueLookTable } from "#core/queue/looks.sql";
import * as Queue from "#core/queue/queue";
import type { Job } from "#core/reading/job";
import * as Extracts from "#core/reconcile/extracts";
import * as Runs from "#core/reconcile/runs";
import { urgent } from "#core/run/control/urgent";
import * as Cancel from "#core/run/dispatch/cancel";
import * as Order from "#core/run/dispatch/order";
import * as Window from "#core/run/dispatch/window";
import * as Work from "#core/run/item/work";
import { itemTable, runTable } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";
import * as Mapping from "#local/queue/mapping";
import { functions } from "#spec/functions";
import { queues as specs } from "#spec/queues";
import { open, type Stores, silent } from "#test/support/run-stores";

const minuteMs = 60_000;
const ago = (minutes: number) => new Date(Date.now() - minutes * minuteMs);
const epoch = 5;

let stores: Stores;
let services: RunServices;
let runs = 0;
const db = () => stores.services.db.query;

beforeAll(async () => {
  stores = await open();
  services = {
    ...stores.services,
    // Every check counts as if a minute had passed since the last one.
    times: { ...stores.services.times, queueLookMs: 0 },
    model: {
      ...{ baseUrl: "http://127.0.0.1:9/v1", apiKey: undefined, model: "m", maxModelLen: 8192 },
      ...{ maxTokens: undefined, maxImages: 4, look: true, connectTimeoutMs: 500, readTimeoutMs: 500 },
    } as RunServices["model"],
  };
});
afterAll(async () => {
  await stores.close();
});
beforeEach(async () => {
  for (const table of [runTable, itemTable, extractTable, queueLookTable, breakerTable])
    await db().delete(table);
  for (const name of ["plan", "item", "single", "urgent"] as const) while ((await taken(name)).length > 0);
});

const remove = (name: Queue.Name, ReceiptHandle: string | undefined) =>
  stores.queue.client.send(new DeleteMessageCommand({ QueueUrl: services.queues.urls[name], ReceiptHandle }));

/** Receives at most ten messages from a queue. */
async function taken(name: Queue.Name): Promise<Record<string, unknown>[]> {
  const { client } = stores.queue;
  const { urls } = services.queues;
  const { Messages = [] } = await client.send(
    new ReceiveMessageCommand({ QueueUrl: urls[name], MaxNumberOfMessages: 10 }),
  );
  for (const { ReceiptHandle } of Messages) await remove(name, ReceiptHandle);
  return Messages.map(({ Body = "" }) => JSON.parse(Body));
}
const waiting = (name: Queue.Name) => stores.queue.counts(services.queues.urls[name]);

async function run(more: Partial<typeof runTable.$inferInsert> = {}) {
  const runUid = `line-${runs++}`;
  const [row] = await db()
    .insert(runTable)
    .values({
      ...{ runUid, keyId: "key-1", runId: runUid, taskId: "receipt_fields_v1", payloadHash: "h" },
      ...{ principalRole: "client", state: "running", epoch, concurrency: 1, source: "manifest" },
      ...{ persistInputs: false, total: 3, createdAt: ago(120), startedAt: ago(120), touchedAt: ago(120) },
      ...more,
    })
    .returning();
  if (row === undefined) throw new Error("no row");
  for (let index = 0; index < 3; index += 1)
    await db()
      .insert(itemTable)
      .values({
        ...{ runUid, index, sourceKind: "data", objectKey: "data/shared/none.jpg", status: "queued" },
        ...{ sentEpoch: epoch, slot: 0 },
      });
  return row;
}
/** Other keys' messages in the queue for items. */
async function others(n: number): Promise<void> {
  const body = (index: number) => ({ run_uid: "other", epoch: 1, index, seq: runs, slot: index });
  await Window.send(
    services,
    Array.from({ length: n }, (_, i) => body(i)),
    silent,
  );
}
async function minutes(n: number) {
  const repairs = [];
  for (let i = 0; i < n; i += 1) repairs.push(await Runs.reconcile(services, silent));
  return repairs;
}

const job = (more: Partial<Job> = {}): Job => ({
  ...{ startedAt: Date.now(), deadline: Date.now() + 5_000, leaseUntil: new Date(Date.now() + 5_000) },
  ...{ receiveCount: 1, held: Promise.resolve(), hold: async () => undefined },
  renewal: {
    ...{ everyMs: 60_000, retryMs: 60_000, lastAt: Date.now() + 5_000 },
    ...{ until: (now) => now + 5_000, hold: async () => undefined },
  },
  ...more,
});

test("an item that waits for a suspect twice, for as long as a picture may take, is far from a dead letter", async () => {
  const row = await run();
  const message = { run_uid: row.runUid, epoch, index: 0, seq: 0, slot: 0 };
  expect(await Breaker.mayBeAlone(services.db, 600_000)).toBe(true);
  let waitedMs = 0;
  let receives = 0;
  const hold = async (ms: number) => {
    waitedMs += ms;
  };
  while (waitedMs < functions.item.timeoutMs) {
    receives += 1;
    expect(await Work.work(services, silent, message, job({ receiveCount: receives, hold }))).toBe("again");
  }
  await Breaker.aloneNoMore(services.db);
  expect(2 * receives).toBeLessThan(0.8 * specs.item.maxReceiveCount);
  expect((await stores.items(row.runUid))[0]).toMatchObject({ status: "queued", attempts: 0, claims: 0 });
});

describe("a run whose items no worker has taken for two hours", () => {
  test("keeps its place while the messages in front need that long", async () => {
    const row = await run();
    await others(120);
    for (const repairs of await minutes(4))
      expect(repairs).toMatchObject({ runs_renumbered: 0, items_sent_again: 0 });
    expect(await stores.run(row.runId)).toMatchObject({ epoch, touchedAt: row.touchedAt });
    expect(waiting("item").ready).toBe(120);
  });

  test("is sent again when the queue was empty three times, but not while a worker has a message", async () => {
    const row = await run({ touchedAt: ago(4) });
    await others(1);
    const { urls } = services.queues;
    const received = await stores.queue.client.send(new ReceiveMessageCommand({ QueueUrl: urls.item }));
    for (const repairs of await minutes(4)) expect(repairs.runs_renumbered).toBe(0);
    await remove("item", received.Messages?.[0]?.ReceiptHandle);
    expect((await minutes(3)).map(({ runs_renumbered }) => runs_renumbered)).toEqual([0, 0, 1]);
    expect((await stores.run(row.runId)).epoch).toBe(epoch + 1);
    expect(await taken("urgent")).toEqual([{ kind: "refill", run_uid: row.runUid }]);
  });

  test("gets its oldest message again under its old number if the queue is never empty; if that copy is received first, the others are lost", async () => {
    const row = await run();
    await others(5);
    expect((await minutes(3)).map(({ items_sent_again }) => items_sent_again)).toEqual([1, 0, 0]);
    expect((await stores.run(row.runId)).epoch).toBe(epoch);
    const copies = (await taken("item")).filter(({ run_uid }) => run_uid === row.runUid);
    expect(copies).toEqual([expect.objectContaining({ epoch, index: 0, seq: 0, slot: 0, again: true })]);
    await Work.work(services, silent, copies[0] as unknown as Window.ItemMessage, job());
    expect(await stores.run(row.runId)).toMatchObject({ epoch: epoch + 1, failed: 1 });
    expect((await taken("urgent"))[0]).toMatchObject({ kind: "refill", run_uid: row.runUid });
  });

  test("is sent anew when its messages have outlived the queue's retention", async () => {
    await run({ touchedAt: ago(14 * 24 * 60 + 1) });
    await others(1);
    expect(await minutes(1)).toMatchObject([{ runs_renumbered: 1 }]);
  });
});

test("a run whose planner waits behind steps of other runs gets no second order; otherwise it gets the same order again", async () => {
  const steps = Array.from({ length: 40 }, (_, i) => ({
    body: { kind: "delete", run_uid: `other-${i}` },
    group: `other-${i}`,
    deduplicationId: `${runs}.${i}`,
  }));
  await Queue.sendFifo(services.queues, "plan", steps, silent);
  const row = await run({ state: "finishing", touchedAt: ago(60), planN: 7 });
  expect(await minutes(2)).toMatchObject([{ runs_ordered: 0 }, { runs_ordered: 0 }]);
  expect(waiting("plan").ready).toBe(40);
  while ((await taken("plan")).length > 0);
  expect(await minutes(2)).toMatchObject([{ runs_ordered: 1 }, { runs_ordered: 0 }]);
  expect(await stores.run(row.runId)).toMatchObject({ planN: 7 });
  expect(await taken("plan")).toEqual([{ kind: "finish", run_uid: row.runUid }]);
});

describe("a queued extract whose message was sent an hour ago", () => {
  const extract = (sentAt: Date) =>
    db()
      .insert(extractTable)
      .values({
        ...{ keyId: "key-1", requestId: "single", taskId: "receipt_fields_v1", payloadHash: "h", token: 1 },
        ...{ status: "queued", createdAt: sentAt, leaseUntil: sentAt, sentAt },
        input: {
          ...{ source: "inline", declaredMimeType: null, objectKey: "x", etag: null, temporary: false },
          ...{ debug: null, principalRole: "client" },
        },
      });
  const requeued = async (n: number) => {
    const found = [];
    for (let i = 0; i < n; i += 1) found.push((await Extracts.reconcile(services, silent)).requeued);
    return found;
  };

  test("is not sent again while it is in line", async () => {
    await extract(ago(60));
    const bodies = Array.from({ length: 30 }, (_, i) => ({ key_id: "other", request_id: `${i}` }));
    await Queue.sendAll(services.queues, "single", bodies, silent);
    expect(await requeued(3)).toEqual([0, 0, 0]);
    expect(waiting("single").ready).toBe(30);
  });

  test("is sent again, once, when it is not in the queue any more", async () => {
    await extract(ago(7));
    // There is nothing before it, so it need not wait.
    expect(await requeued(4)).toEqual([1, 0, 0, 0]);
    expect(await taken("single")).toEqual([{ key_id: "key-1", request_id: "single" }]);
  });
});

test("probes of the model server stay in one chain, however long each waits in line", async () => {
  await Breaker.trip(services.db, 1);
  const expire = () =>
    db()
      .update(breakerTable)
      .set({ messageUntil: ago(1) })
      .where(eq(breakerTable.name, "model_server"));
  const at = { ...services, times: { ...services.times, probeFirstDelayMs: 0, probeTimeoutMs: 200 } };
  for (let minute = 0; minute < 3; minute += 1) {
    expect(await Probe.ensure(at, silent)).toBe(true);
    await expire();
  }
  for (let round = 0; round < 2; round += 1) {
    const messages = await taken("urgent");
    expect(messages).toHaveLength(round === 0 ? 3 : 1);
    for (const message of messages) await probe(at, message as { n: number; chain: string }, silent);
  }
});

test("a run's next part, its cancellation and a probe of the model server never wait for a deletion, a check or a webhook", async () => {
  const long = Promise.withResolvers<never>();
  long.promise.catch(() => undefined);
  let busy = 0;
  const done: string[] = [];
  const invoke = async (name: string, event: object) => {
    if (name !== "urgent") {
      busy += 1;
      return long.promise;
    }
    const message = JSON.parse((event as { Records: { body: string }[] }).Records[0]?.body ?? "");
    if (message.kind === "probe") await probe(services, message, silent);
    else await urgent(services, message, { deadline: Date.now() + 5_000 }, silent);
    done.push(message.kind);
    return { type: "result", payload: "null" } as never;
  };
  // More messages than there are workers.
  for (let i = 0; i < 2 * specs.plan.subscription.maxConcurrency; i += 1)
    await Order.order(services, { runUid: `gone-${i}`, epoch: 1, planN: 0 }, "delete", silent);
  for (let i = 0; i < specs.later.subscription.maxConcurrency + 4; i += 1)
    await Queue.send(services.queues, "later", { kind: "webhook", run_uid: `told-${i}`, attempt: 1 });
  const mappings = (["plan", "later", "urgent"] as const).map((name) => {
    const queue = stores.queue.queues[name];
    if (queue === undefined) throw new Error(`no queue ${name}`);
    const { subscription } = specs[name];
    return Mapping.start({
      client: stores.queue.client,
      queue,
      subscription,
      lambda: { invoke },
      region: "r",
    });
  });
  try {
    const workers = specs.plan.subscription.maxConcurrency + specs.later.subscription.maxConcurrency;
    await vi.waitFor(() => expect(busy).toBe(workers));
    const fills = await run({ touchedAt: new Date() });
    await db().update(itemTable).set({ sentEpoch: 0 });
    await Order.order(services, fills, "refill", silent);
    const canceled = await run({ touchedAt: new Date() });
    await Cancel.cancel(services, canceled, silent);
    await Breaker.trip(services.db, 1);
    await Breaker.close(services.db);
    await Probe.ensure({ ...services, times: { ...services.times, probeFirstDelayMs: 0 } }, silent);
    await vi.waitFor(() => expect(done.sort()).toEqual(["probe", "refill", "sweep"]), 5_000);
    expect((await stores.items(fills.runUid)).map(({ sentEpoch }) => sentEpoch)).toEqual([
      epoch,
      epoch,
      epoch,
    ]);
    expect(await stores.run(canceled.runId)).toMatchObject({ canceled: 3 });
    expect(busy).toBe(workers);
  } finally {
    long.reject(new Error("over"));
    await Promise.all(mappings.map((mapping) => mapping.stop()));
  }
});
