import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import { extractTable } from "#core/extraction/extract.sql";
import * as Send from "#core/extraction/send";
import * as Limits from "#spec/limits";
import { answer, type Batches, open, queuesOf, silent } from "#test/support/batches/batches";
import type * as ModelServer from "#test/support/model-server/model-server";

/** A worker's five minutes are 15 seconds; its lease is below six seconds and renewed every 1.5. */
const timeScale = 1 / 20;
const times = Limits.times(timeScale);
const twoMinutesMs = 120_000 * timeScale;
/** Delays of a busy machine; together a third of the queue's own visibility. */
const slackMs = 6_000;

let batches: Batches;
let keys: string[];
const away = { queue: false, database: false };

beforeAll(async () => {
  batches = await open({
    timeScale,
    env: { ITEM_MAX_CONCURRENCY: "4", SINGLE_MAX_CONCURRENCY: "2" },
    onRequest: {
      sqs: ({ action, byFunction }) => {
        if (!byFunction || action !== "ChangeMessageVisibility") return;
        if (away.queue) throw new Error("away");
      },
      sql: () => {
        if (away.database) throw new Error("away");
      },
    },
  });
  keys = await batches.keys(2);
  // Processes that must start first, and may fail to on a busy machine, are not part of what is tested here.
  await both(async (kind) => {
    await ended(kind, await begin[kind](`warm-${kind}`), 60_000);
  });
}, 120_000);
afterAll(async () => {
  await batches?.close();
});
beforeEach(() => {
  Object.assign(away, { queue: false, database: false });
});

/** An answer whose pieces arrive for about this long. */
const slow = (ms: number): ModelServer.Behavior => {
  const whole = answer();
  if (whole.kind !== "text") throw new Error("no text");
  const pieces = Math.ceil(whole.text.length / 4);
  return { ...whole, chunkCharacters: 4, chunkDelayMs: ms / pieces };
};
const idOf = ({ headers }: ModelServer.Received) => String(headers["x-request-id"]);
const askedFor = (id: string) => batches.model.requests.filter((request) => idOf(request) === id);
const until = (check: () => unknown, timeout = 30_000) => vi.waitFor(check, { timeout, interval: 25 });
const asked = (id: string, often: number) => until(() => expect(askedFor(id).length).toBe(often));

/** The id under which the model is asked. */
const idIn = { item: (id: string) => `${id}~0`, single: (id: string) => id };
/**
 * A run of one picture, and a single extract that was handed over. Both are made without the API, whose calls have
 * one second at this scale.
 */
const begin = {
  item: async (id: string) => {
    await batches.seed({ runId: id, total: 1, concurrency: 1, key: keys[0] ?? "" });
    return idIn.item(id);
  },
  single: async (id: string) => {
    const objectKey = `data/${keys[1]}`;
    const now = new Date();
    const [row] = await batches.db.query
      .insert(extractTable)
      .values({
        ...{ keyId: "local-admin", requestId: id, taskId: "receipt_fields_v1", payloadHash: "hash" },
        ...{ status: "queued", createdAt: now, leaseUntil: now, token: 1 },
        input: {
          ...{ source: "inline", declaredMimeType: null, objectKey, etag: null, temporary: false },
          ...{ debug: null, principalRole: "admin" },
        },
      })
      .returning();
    if (row === undefined) throw new Error("no row");
    await Send.send({ db: batches.db, queues: queuesOf(batches.loop) }, row);
    return id;
  },
};
type Kind = keyof typeof begin;
const kinds: Kind[] = ["item", "single"];

const rowOf = {
  item: async (id: string) => (await batches.items(id.replace(/~0$/, "")))[0],
  single: async (id: string) => {
    const [row] = await batches.db.query.select().from(extractTable).where(eq(extractTable.requestId, id));
    return row;
  },
};
const ended = async (kind: Kind, id: string, timeout = 60_000) => {
  await until(async () => expect((await rowOf[kind](id))?.status).toBe("succeeded"), timeout);
  return rowOf[kind](id);
};
const artifactsOf = async (id: string) => {
  const { objects } = await Bucket.list(batches.bucket, silent, { prefix: "extracts/" });
  return objects.map(({ rel }) => rel).filter((rel) => rel.includes(`/${id}`));
};
const busy = (kind: Kind) =>
  batches.loop.lambda
    .instances()
    .filter(({ functionName, state }) => functionName === kind && state === "busy")
    .map(({ pid }) => pid);

/** Each worker separately, because on a busy machine one may start much later. */
const both = (what: (kind: Kind) => Promise<void>) => Promise.all(kinds.map(what));

describe("a call that takes longer than its lease, of an item and of a single extract", () => {
  test("is asked once, by one worker, although queue and database are away for a part of the time", async () => {
    batches.model.respond = () => slow(1.6 * twoMinutesMs);
    const tokens = new Map<Kind, number | undefined>();
    await both(async (kind) => {
      const id = await begin[kind](`long-${kind}`);
      await asked(id, 1);
      tokens.set(kind, (await rowOf[kind](id))?.token);
    });
    Object.assign(away, { queue: true, database: true });
    // Both workers have failed.
    const failures = () => new Set(batches.loop.events("lease_not_renewed").map((line) => line.function));
    await until(() => expect([...failures()].sort()).toEqual(kinds));
    Object.assign(away, { queue: false, database: false });
    await both(async (kind) => {
      const id = idIn[kind](`long-${kind}`);
      expect(await ended(kind, id)).toMatchObject({ token: tokens.get(kind), claims: 1 });
      expect(askedFor(id)).toHaveLength(1);
      expect((askedFor(id)[0]?.endedAt ?? 0) - (askedFor(id)[0]?.at ?? 0)).toBeGreaterThan(twoMinutesMs);
      expect(await artifactsOf(id)).toHaveLength(1);
    });
    expect((await batches.ended("long-item")).status).toBe("succeeded");
    expect(batches.loop.events("lease_lost")).toEqual([]);
  }, 120_000);

  test("costs two minutes when its process is killed, even if the process had worked on it for longer", async () => {
    batches.model.respond = (request) =>
      askedFor(idOf(request)).length > 1 ? answer() : slow(2 * twoMinutesMs);
    await both(async (kind) => {
      const id = await begin[kind](`killed-${kind}`);
      await asked(id, 1);
      // The lease of the claim would have ended by now.
      await until(() => expect(Date.now() - (askedFor(id)[0]?.at ?? 0)).toBeGreaterThan(1.1 * twoMinutesMs));
      const [pid] = busy(kind);
      expect(pid !== undefined && batches.loop.lambda.killInstance(pid)).toBe(true);
      const killedAt = Date.now();
      const leaseUntil = (await rowOf[kind](id))?.leaseUntil?.getTime() ?? 0;
      expect(leaseUntil).toBeGreaterThan(killedAt);
      expect(leaseUntil).toBeLessThanOrEqual(killedAt + times.leaseMs);
      // Another worker has its message; what a slow machine does afterwards is not tested here.
      await until(() => expect(busy(kind).filter((other) => other !== pid)).toHaveLength(1));
      expect(Date.now() - killedAt).toBeLessThan(twoMinutesMs + slackMs);
      await ended(kind, id);
      expect(askedFor(id)).toHaveLength(2);
      expect(await artifactsOf(id)).toHaveLength(1);
    });
  }, 120_000);
});

test("work is done even if the queue refuses to hold its message for longer: by planner, item and single", async () => {
  batches.model.respond = () => answer();
  away.queue = true;
  await both(async (kind) => {
    await ended(kind, await begin[kind](`unheld-${kind}`), 20_000);
  });
  expect((await batches.ended("unheld-item")).status).toBe("succeeded");
  const functions = new Set(batches.loop.events("message_not_held").map((line) => line.function));
  expect([...functions]).toEqual(expect.arrayContaining(["plan", "item", "single"]));
  for (const kind of kinds) expect(askedFor(idIn[kind](`unheld-${kind}`))).toHaveLength(1);
}, 60_000);
