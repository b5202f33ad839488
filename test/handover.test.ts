import { createClient } from "@libsql/client";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Database from "#core/db/database";
import { extractTable } from "#core/extraction/extract.sql";
import * as Row from "#core/extraction/row";
import * as Send from "#core/extraction/send";
import * as Queues from "#spec/queues";
import { queuesOf } from "#test/support/batches/batches";
import { type Answer, startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Pdf from "#test/support/pdf";
import { encrypted } from "#test/support/pdf-encryption";
import { base64 } from "#test/support/pictures";

const fields = {
  total: "12.00",
  subtotal: "10.00",
  tax: "2.00",
  service: null,
  discount: null,
  cash: null,
  card: null,
  change: null,
};

/**
 * A call's 25 s become 4 s, and the 4 s for the hand-over 0.7 s. Less is impossible, because the speed of bucket and
 * queue does not scale.
 */
const timeScale = 1 / 6;

let loop: TestLoop;
let model: ModelServer.ModelServer;
let db: Database.Db;

beforeAll(async () => {
  model = await ModelServer.start({ model: "scripted" });
  loop = await startLoop({ timeScale, env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" } });
  db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
});
afterAll(async () => {
  db?.client.close();
  await loop?.close();
  await model?.close();
});
beforeEach(() => {
  model.respond = () => ModelServer.json(fields);
});
afterEach(async () => {
  await db.client.execute("UPDATE extract SET handed_over_at = NULL");
});

let count = 0;
const extract = async (id: string, headers: Record<string, string> = {}) => {
  count += 1;
  return loop.call("/v1/extract", { json: { image_base64: await base64(count), request_id: id }, headers });
};
const again = async (id: string) =>
  loop.call("/v1/extract", { json: { image_base64: await base64(count), request_id: id } });
const poll = (id: string) => loop.call(`/v1/extracts/${id}`);
const statusOf = (answer: Answer) => (answer.body as { status?: string }).status;
const row = async (id: string) =>
  (await db.query.select().from(extractTable)).find((each) => each.requestId === id);

/** Polls until the address answers 200; returns that answer. */
async function ended(id: string, timeout = 15_000): Promise<Answer> {
  await expect.poll(async () => (await poll(id)).status, { timeout, interval: 100 }).toBe(200);
  return poll(id);
}

describe("a call that becomes 202", () => {
  test("`Prefer: respond-async` answers at once, and the worker ends it; its picture is deleted", async () => {
    const answer = await extract("async-1", { prefer: "respond-async" });
    expect(answer.status, answer.text).toBe(202);
    expect(answer.body).toEqual({
      request_id: "async-1",
      status: "running",
      poll_url: "/v1/extracts/async-1",
    });
    expect(answer.headers.get("location")).toBe("/v1/extracts/async-1");
    expect(answer.headers.get("preference-applied")).toBe("respond-async");
    const done = await ended("async-1");
    expect(done.body).toMatchObject({ status: "succeeded", result: fields });
    await expect.poll(async () => (await row("async-1"))?.input, { timeout: 5_000 }).toBeNull();
  });

  test("`Prefer: wait=N` waits that long and not longer; the model's connection is closed then", async () => {
    model.respond = (_request, n) => (n === first ? { kind: "hang" } : ModelServer.json(fields));
    const first = model.requests.length + 1;
    const startedAt = Date.now();
    const answer = await extract("wait-1", { prefer: "wait=5" });
    expect(answer.status, answer.text).toBe(202);
    expect(Date.now() - startedAt).toBeLessThan(2_500);
    expect(answer.headers.get("preference-applied")).toBe("wait=5");
    await expect.poll(() => model.requests[first - 1]?.aborted, { timeout: 2_000 }).toBe(true);
    expect(statusOf(await ended("wait-1"))).toBe("succeeded");
  });

  test("it gives no 202 earlier, whichever call holds the claim and however many calls were cut off recently", async () => {
    await db.client.execute({
      sql: "UPDATE extract SET handed_over_at = ? WHERE request_id = 'wait-1'",
      args: [Date.now()],
    });
    const waitMs = 9_000 * timeScale;
    // The model takes longer for the first call than any caller waits; the second call finds it in progress.
    model.respond = () => ({ ...ModelServer.json(fields), delayMs: 1_000 });
    const startedAt = Date.now();
    const [one, other] = await Promise.all([
      extract("wait-2", { prefer: "wait=9" }),
      loop.call("/v1/extract", {
        json: { image_base64: await base64(count), request_id: "wait-2" },
        headers: { prefer: "wait=9" },
      }),
    ]);
    expect([one.status, other.status], one.text).toEqual([200, 200]);
    expect(one.headers.get("preference-applied")).toBe("wait=9");
    model.respond = () => ({ ...ModelServer.json(fields), delayMs: 3_000 });
    const late = await extract("wait-3", { prefer: "wait=9" });
    expect(late.status).toBe(202);
    expect(Date.now() - startedAt).toBeGreaterThan(waitMs);
    await ended("wait-3");
  });

  test("a slow model: the call is handed over before the platform's limit, repeats get 202, and the work is done once more", async () => {
    const first = model.requests.length + 1;
    model.respond = (_request, n) => (n === first ? { kind: "hang" } : ModelServer.json(fields));
    const startedAt = Date.now();
    const answer = await extract("slow-1");
    expect(answer.status, answer.text).toBe(202);
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    expect([200, 202]).toContain((await again("slow-1")).status);
    await ended("slow-1");
    expect(model.requests.length).toBe(first + 1);
    const repeat = await again("slow-1");
    expect(repeat.status).toBe(200);
    expect(repeat.headers.get("idempotent-replayed")).toBe("true");
  });

  test("a call with a password is not handed over, because no worker could open the file: it fails, is not stored, and may be sent again", async () => {
    const pdf = encrypted(Pdf.partsOf([{ content: Pdf.lines(["Invoice 4711"]) }]), {
      method: "aes256",
      user: "sesame",
    });
    const image_base64 = Buffer.from(pdf).toString("base64");
    const json = { image_base64, password: "sesame", request_id: "sealed-1" };
    const first = model.requests.length + 1;
    model.respond = (_request, n) => (n === first ? { kind: "hang" } : ModelServer.json(fields));
    const late = await loop.call("/v1/extract", { json });
    expect(late.status, late.text).toBe(504);
    expect(late.body).toMatchObject({
      error: { code: "inference_timeout", details: { reason: "password_not_queued" } },
    });
    expect(await row("sealed-1")).toMatchObject({ status: "retryable", input: null });
    // Calls that were cut off before are no reason to hand it over, either.
    await db.client.execute({ sql: "UPDATE extract SET handed_over_at = ?", args: [Date.now()] });
    const again = await loop.call("/v1/extract", { json });
    expect([again.status, statusOf(again)], again.text).toEqual([200, "succeeded"]);
  });

  test("after three calls that were cut off, the next is handed over before the model is asked", async () => {
    const answered = (await extract("before")).status;
    expect(answered).toBe(200);
    await db.client.execute({
      sql: "UPDATE extract SET handed_over_at = ? WHERE request_id IN ('before', 'slow-1', 'wait-1')",
      args: [Date.now()],
    });
    const before = model.requests.length;
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    model.respond = async () => {
      await gate;
      return ModelServer.json(fields);
    };
    const answer = await extract("guarded-1");
    expect(answer.status, answer.text).toBe(202);
    // From here on only the worker asks the model, not the call.
    expect(model.requests.length - before).toBeLessThanOrEqual(1);
    release();
    expect(statusOf(await ended("guarded-1"))).toBe("succeeded");
  });
});

describe("the model server is away", () => {
  test("calls become 202, nothing is asked meanwhile, and all are answered once it is back", async () => {
    await model.down();
    const first = await extract("away-1");
    expect(first.status).toBe(202);
    const before = model.requests.length;
    const startedAt = Date.now();
    const second = await extract("away-2");
    expect(second.status).toBe(202);
    expect(Date.now() - startedAt).toBeLessThan(1_500);
    const refused = await extract("away-3", { prefer: "wait=0" });
    expect(refused.status).toBe(503);
    expect((refused.body as { error: { code: string } }).error.code).toBe("inference_unavailable");
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await poll("away-3")).body).toMatchObject({
      status: "failed",
      error: { code: "inference_unavailable" },
    });
    expect((await row("away-1"))?.waitingFor).toBe("model_server");
    expect((await row("away-1"))?.attempts).toBe(0);
    expect(model.requests.length).toBe(before);
    await model.up();
    expect(statusOf(await ended("away-1"))).toBe("succeeded");
    expect(statusOf(await ended("away-2"))).toBe("succeeded");
    expect((await extract("back-1")).status).toBe(200);
  });

  test("the error page of a proxy in front of a stopped server counts as an outage, too", async () => {
    model.respond = () => ModelServer.html(502);
    model.models = ModelServer.html(502);
    expect((await extract("proxy-1")).status).toBe(202);
    expect((await row("proxy-1"))?.waitingFor).toBe("model_server");
    model.models = "list";
    model.respond = () => ModelServer.json(fields);
    expect(statusOf(await ended("proxy-1"))).toBe("succeeded");
  });
});

describe("the cleanup after an extract", () => {
  test("does not take the picture of a later hand-over of the same id", async () => {
    model.respond = () => ModelServer.error(400, "this request is refused");
    await extract("twice-1", { prefer: "respond-async" });
    await ended("twice-1");
    const stale = await row("twice-1");
    expect(stale).toMatchObject({ status: "retryable", attempts: 0 });
    model.respond = () => ({ kind: "hang" });
    await loop.call("/v1/extract", {
      json: { image_base64: await base64(count), request_id: "twice-1" },
      headers: { prefer: "respond-async" },
    });
    // The first worker, or reconcile, acts late on outdated knowledge.
    if (stale === undefined) throw new Error("no row");
    const late = {
      ...stale,
      input: {
        source: "inline" as const,
        objectKey: "x",
        temporary: true,
        etag: null,
        declaredMimeType: null,
        debug: null,
        principalRole: "admin",
      },
    };
    expect(await Row.forgetInput(db, late)).toBe(false);
    expect((await row("twice-1"))?.input).not.toBeNull();
    model.respond = () => ModelServer.json(fields);
    await model.down();
    await model.up();
    expect(statusOf(await ended("twice-1", 25_000))).toBe("succeeded");
  });
});

describe("queued work has a budget", () => {
  test("a request that the model server refuses is asked once", async () => {
    const before = model.requests.length;
    model.respond = () => ModelServer.error(400, "this request is refused");
    await extract("refused-1", { prefer: "respond-async" });
    expect((await ended("refused-1")).body).toMatchObject({
      status: "failed",
      error: { code: "inference_failed" },
    });
    expect(model.requests.length).toBe(before + 1);
  });

  test("an extract at which the model server fails every time is not asked again by the queue, is readable as failed, and may be sent again", async () => {
    model.respond = () => ModelServer.text("no JSON here");
    await extract("hopeless-1", { prefer: "respond-async" });
    const done = await ended("hopeless-1", 25_000);
    expect(done.body).toMatchObject({ status: "failed", error: { code: "invalid_model_output" } });
    model.respond = () => ModelServer.json(fields);
    expect((await again("hopeless-1")).status).toBe(200);
  });

  test("a bad picture is a final failure at once", async () => {
    const answer = await loop.call("/v1/extract", {
      json: { image_base64: (await base64(99)).slice(0, -1200), request_id: "broken-1" },
      headers: { prefer: "respond-async" },
    });
    expect(answer.status, answer.text).toBe(202);
    expect((await ended("broken-1")).body).toMatchObject({
      status: "failed",
      error: { code: "invalid_image" },
    });
  });
});

test("a key with many extracts in line delays another key's extract only until one worker is free", async () => {
  const gates: (() => void)[] = [];
  const from = model.requests.length;
  const asked = () => model.requests.slice(from).map(({ headers }) => String(headers["x-request-id"]));
  model.respond = async () => {
    await new Promise<void>((resolve) => gates.push(resolve));
    return ModelServer.json(fields);
  };
  const crowd = Array.from({ length: 8 }, (_, i) => `crowd-${i}`);
  for (const id of crowd) expect((await extract(id, { prefer: "respond-async" })).status).toBe(202);
  const workers = Queues.queues.single.subscription.maxConcurrency;
  await expect.poll(asked, { timeout: 20_000 }).toHaveLength(workers);
  const one = await row("crowd-7");
  if (one?.input == null) throw new Error("no input");
  const other = {
    ...one,
    keyId: "another-key",
    requestId: "alone",
    input: { ...one.input, temporary: false },
  };
  await db.query.insert(extractTable).values(other);
  await Send.send({ db, queues: queuesOf(loop) }, other);
  gates.shift()?.();
  await expect.poll(asked, { timeout: 20_000 }).toHaveLength(workers + 1);
  expect(asked().at(-1)).toBe("alone");
  model.respond = () => ModelServer.json(fields);
  for (const release of gates) release();
  const left = async () =>
    (await db.query.select().from(extractTable)).filter(
      ({ requestId, status }) => [...crowd, "alone"].includes(requestId) && status !== "succeeded",
    );
  await expect.poll(left, { timeout: 20_000 }).toEqual([]);
}, 60_000);
