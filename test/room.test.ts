import { readFile } from "node:fs/promises";
import { createClient } from "@libsql/client";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Database from "#core/db/database";
import { extractTable } from "#core/extraction/extract.sql";
import type { Extract } from "#core/reading/schema";
import type { Item } from "#core/run/schema";
import { startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Vllm from "#test/support/model-server/vllm";
import { base64, picture } from "#test/support/pictures";

/*
 * Long receipts and interrupted answers, from the call to the table: an answer that does not fit is reported, and the
 * rows that were read are kept.
 */

const house: Vllm.House = { contextTokens: 32_768 };
const receipt = (lines: number) => JSON.stringify(Vllm.receipt(lines));

let loop: TestLoop;
let model: ModelServer.ModelServer;
let db: Database.Db;

beforeAll(async () => {
  model = await ModelServer.start({ model: "scripted", maxModelLen: house.contextTokens });
  loop = await startLoop({
    timeScale: 1 / 4,
    env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" },
  });
  db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
});
afterAll(async () => {
  db?.client.close();
  await loop?.close();
  await model?.close();
});
beforeEach(() => {
  model.requests.length = 0;
});

let seed = 700;
const answers = (lines: number) => {
  model.respond = (request) => Vllm.answer(house, request, receipt(lines));
};
async function extract(id: string, more: Record<string, unknown> = {}, headers: Record<string, string> = {}) {
  seed += 1;
  const json = { image_base64: await base64(seed), request_id: id, task_id: "receipt_v1", ...more };
  return { json, answer: await loop.call("/v1/extract", { json, headers }) };
}
const errorOf = ({ body }: { body: unknown }) =>
  (body as { error: { code: string; details: Record<string, unknown> } }).error;
const poll = async (id: string) => (await loop.call(`/v1/extracts/${id}`)).body as Extract;
const ended = (id: string) =>
  expect.poll(async () => (await loop.call(`/v1/extracts/${id}`)).status, { timeout: 60_000 }).toBe(200);

const statusOf = async (runId: string) =>
  ((await loop.call(`/v1/runs/${runId}`)).body as { status?: string }).status;
/** A run over one picture. Repeated if a busy machine made the bucket too slow for the loop's short limits. */
async function batch(runId: string): Promise<void> {
  seed += 1;
  const form = new FormData();
  form.set("run_id", runId);
  form.set("task_id", "receipt_v1");
  form.append("files", new Blob([new Uint8Array(await picture(seed))], { type: "image/jpeg" }), "a.jpg");
  const sent = new Response(form);
  const body = new Uint8Array(await sent.arrayBuffer());
  const headers = { "content-type": sent.headers.get("content-type") ?? "" };
  const send = async () => (await loop.call("/v1/batch_extract_upload", { body, headers })).status;
  await expect.poll(send, { timeout: 60_000, interval: 500 }).toBe(202);
}
const itemOf = async (runId: string) =>
  ((await loop.call(`/v1/runs/${runId}/items`)).body as { items: Item[] }).items[0];
const rowsOf = ({ result }: Pick<Extract, "result">) => (Array.isArray(result?.items) ? result.items : []);

test("a receipt of 300 lines is read if the context has room for it: two calls, no row missing", async () => {
  answers(300);
  const { answer } = await extract("long-1");
  expect(answer.status, answer.text).toBe(200);
  const body = answer.body as Extract;
  expect(rowsOf(body).length).toBe(300);
  expect(body.schema_ok).toBe(true);
  expect(body.rows?.returned).toBe(300);
  expect(Object.keys(body.normalized)).toContain("items[299].price");
  expect(model.requests.length).toBe(2);
  expect(body.usage.attempts).toBe(2);
});

describe("an answer that does not fit", () => {
  test("is 422 with its numbers; the rows that were read are kept, and a repeat gets the same answer without a model call", async () => {
    answers(2_000);
    const { json, answer } = await extract("too-long-1");
    expect(answer.status, answer.text).toBe(422);
    const error = errorOf(answer);
    const { artifact_rel, rows, max_tokens, context_tokens } = error.details;
    expect([error.code, context_tokens]).toEqual(["answer_too_long", 32_768]);
    expect(max_tokens).toBe(model.requests[1]?.body.max_tokens);
    expect(artifact_rel).toMatch(/\/too-long-1\.json$/);
    expect(model.requests.length).toBe(2);

    const stored = await poll("too-long-1");
    expect(stored).toMatchObject({
      status: "failed",
      complete: false,
      schema_ok: null,
      schema_errors: [],
      error: { code: "answer_too_long", details: { rows, max_tokens, context_tokens } },
    });
    const kept = rowsOf(stored);
    expect(kept).toEqual(Vllm.receipt(2_000).items.slice(0, Number(rows)));
    expect(stored.normalized["items[0].price"]?.value).toBe("0");
    // The sum of some of the rows says nothing about the receipt.
    expect(stored.checks.filter(({ ok }) => !ok)).toEqual([]);

    const again = await loop.call("/v1/extract", { json });
    expect([again.status, errorOf(again).details]).toEqual([422, error.details]);
    expect(model.requests.length).toBe(2);
  });

  test("ends an item with its rows, its numbers and its error code, in lists and in every file", async () => {
    answers(2_000);
    await batch("long-run");
    await expect.poll(() => statusOf("long-run"), { timeout: 60_000 }).toBe("succeeded");
    expect(model.requests.length).toBe(2);
    const item = await itemOf("long-run");
    expect(item).toMatchObject({
      status: "failed",
      complete: false,
      schema_ok: null,
      attempts: 1,
      error: { code: "answer_too_long", details: { context_tokens: 32_768 } },
    });
    const rows = Number(item?.error?.details?.rows);
    expect(rows).toBeGreaterThan(500);
    // Lists leave out results above 16 KiB; the files have them from the artifact.
    expect(item?.result).toBeNull();
    const file = async (format: string) =>
      (await loop.call(`/v1/runs/long-run/results?format=${format}`)).text;
    const line = JSON.parse(await file("jsonl")) as Item;
    expect(rowsOf(line).length).toBe(rows);
    expect(line.complete).toBe(false);
    const lines = parse<Record<string, string>>(await file("line_items_csv"), { columns: true });
    expect(lines.length).toBe(rows);
    for (const each of lines) expect(each.complete).toBe("false");
    expect(await poll("long-run~0")).toMatchObject({ complete: false, error: item?.error });
  });
});

test("a final failure keeps its details, also for later readers", async () => {
  const broken = (await picture(900)).subarray(0, -900).toString("base64");
  const { json, answer } = await extract("broken-1", { image_base64: broken });
  expect([answer.status, errorOf(answer).code]).toEqual([400, "invalid_image"]);
  expect(errorOf(answer).details).toMatchObject({ reason: "damaged" });
  expect((await poll("broken-1")).error?.details).toEqual({ reason: "damaged" });
  const again = await loop.call("/v1/extract", { json });
  expect(errorOf(again).details).toEqual(errorOf(answer).details);
});

test("if no call of the ladder gave a usable answer, the queue does not ask again", async () => {
  model.respond = () => ModelServer.text("no JSON here");
  await extract("hopeless-1", {}, { prefer: "respond-async" });
  await ended("hopeless-1");
  const stored = await poll("hopeless-1");
  expect(stored.error).toMatchObject({ code: "invalid_model_output", details: { reason: "no_object" } });
  expect(model.requests.length).toBe(3);
});

describe("a server that is shut down with half an answer", () => {
  const half = receipt(4).slice(0, 200);
  const usage = { prompt_tokens: 2_000, completion_tokens: 100 };

  /** Interrupts the answer and ends, as vLLM does: its port closes first. */
  function shutDown(): void {
    model.models = ModelServer.html(502);
    model.respond = () => ModelServer.text(half, { finishReason: "abort", usage });
  }
  function comeBack(): void {
    model.models = "list";
    answers(4);
  }

  test("turns a call into 202, which ends when the server is back: no attempt and no suspicion is counted, but its tokens are", async () => {
    shutDown();
    const { answer } = await extract("shut-1");
    expect(answer.status, answer.text).toBe(202);
    const row = async () =>
      (await db.query.select().from(extractTable)).find(({ requestId }) => requestId === "shut-1");
    expect(await row()).toMatchObject({ waitingFor: "model_server", attempts: 0, suspects: 0 });
    expect(model.requests.length).toBe(1);
    comeBack();
    await ended("shut-1");
    expect(await poll("shut-1")).toMatchObject({ status: "succeeded", schema_ok: true });
    expect(await row()).toMatchObject({ attempts: 0, suspects: 0 });
    expect(model.requests.length).toBe(2);
  });

  test("lets a queued extract wait", async () => {
    shutDown();
    await extract("shut-2", {}, { prefer: "respond-async" });
    const row = async () =>
      (await db.query.select().from(extractTable)).find(({ requestId }) => requestId === "shut-2");
    await expect.poll(async () => (await row())?.waitingFor, { timeout: 60_000 }).toBe("model_server");
    expect(await row()).toMatchObject({ status: "queued", attempts: 0, suspects: 0 });
    comeBack();
    await ended("shut-2");
    expect(await row()).toMatchObject({ status: "succeeded", attempts: 0, suspects: 0 });
  });

  test("lets an item wait", async () => {
    shutDown();
    await batch("shut-run");
    const run = async () => (await loop.call("/v1/runs/shut-run")).body as Record<string, unknown>;
    await expect.poll(async () => (await run()).waiting_for, { timeout: 60_000 }).toBe("model_server");
    comeBack();
    await expect.poll(async () => (await run()).status, { timeout: 60_000 }).toBe("succeeded");
    expect(await run()).toMatchObject({ counts: { succeeded: 1, failed: 0 } });
    const item = await itemOf("shut-run");
    expect(item).toMatchObject({ status: "succeeded", attempts: 1 });
    // The half answer counts for the run as well as the whole one.
    const paid = (await run()).usage as { completion_tokens: number; attempts: number };
    expect(paid.attempts).toBe(2);
    expect(paid.completion_tokens).toBeGreaterThan((item?.usage.completion_tokens ?? 0) + 99);
  });
});

interface Case {
  id: string;
  task_id: string;
  answer: unknown;
  expect: { items: number; max_model_len?: number };
}

describe("answers of real length", async () => {
  const path = new URL("../../shared/cases/answers.json", import.meta.url);
  const cases: Case[] = await readFile(path, "utf8").then(JSON.parse, () => []);
  const long = cases.filter(({ expect: { items } }) => items !== undefined);
  test.skipIf(long.length === 0)("exist: skipped if ../shared/cases is missing", () => {
    expect(long.length).toBeGreaterThan(0);
  });
  for (const each of long) {
    test(`${each.id}: ${each.expect.items} items`, async () => {
      const text = JSON.stringify(each.answer);
      model.respond = (request) => Vllm.answer(house, request, text);
      const { answer } = await extract(`case-${each.id}`, { task_id: each.task_id });
      expect(answer.status, answer.text).toBe(200);
      expect(rowsOf(answer.body as Extract).length).toBe(each.expect.items);
    });
  }
});
