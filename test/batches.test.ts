import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import type { Item } from "#core/run/schema";
import type { Upload } from "#core/upload/upload";
import { answer, type Batches, mostInFlight, open, silent } from "#test/support/batches/batches";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Papers from "#test/support/papers";
import { picture, twoFrames } from "#test/support/pictures";

let batches: Batches;
let keys: string[];

beforeAll(async () => {
  batches = await open({ timeScale: 1 / 10, env: { ITEM_MAX_CONCURRENCY: "8" } });
  keys = await batches.keys(20);
});
afterAll(async () => {
  await batches?.close();
});

const repeat = (n: number) => Array.from({ length: n }, (_, i) => keys[i % keys.length] as string);
const itemsOf = async (runId: string, query = "") =>
  ((await batches.loop.call(`/v1/runs/${runId}/items${query}`)).body as { items: Item[] }).items;

describe("a run", () => {
  test("reads every picture once, and shows its progress", async () => {
    const before = batches.model.requests.length;
    const made = await batches.create({ keys: keys.slice(0, 6), run_id: "first", concurrency: 2 });
    expect(made).toMatchObject({ run_id: "first", counts: { total: 6 }, concurrency: 2 });
    const run = await batches.ended("first");
    expect(run).toMatchObject({
      status: "succeeded",
      counts: { total: 6, queued: 0, running: 0, succeeded: 6, failed: 0, canceled: 0 },
      schema_ok: 6,
    });
    expect(batches.model.requests.length - before).toBe(6);
    await batches.verify("first");
    const [item] = await itemsOf("first");
    expect(item).toMatchObject({ index: 0, status: "succeeded", request_id: "first~0", attempts: 1 });
    const extract = await batches.loop.call("/v1/extracts/first~0");
    expect(extract.body).toMatchObject({ request_id: "first~0", status: "succeeded", result: item?.result });
  });

  test("one bad picture fails alone, and only that picture is run again", async () => {
    await Bucket.replace(batches.bucket, silent, "data/shared/test/bad.jpg", {
      body: "this is not a picture",
      contentType: "image/jpeg",
    });
    const list = [...keys.slice(0, 9), "shared/test/bad.jpg", ...keys.slice(9, 19)];
    await batches.create({ keys: list, run_id: "one-bad", concurrency: 8 });
    const run = await batches.ended("one-bad");
    expect(run).toMatchObject({ status: "succeeded", counts: { total: 20, succeeded: 19, failed: 1 } });
    await batches.verify("one-bad");
    expect(await itemsOf("one-bad", "?status=failed")).toMatchObject([
      { index: 9, error: { code: "unsupported_media_type" } },
    ]);
    const again = await batches.loop.call("/v1/batch_extract_rerun", {
      json: { source_run_id: "one-bad", run_id: "one-bad-again", only: "failed" },
    });
    expect(again.status, again.text).toBe(202);
    expect(await batches.ended("one-bad-again")).toMatchObject({ counts: { total: 1, failed: 1 } });
  });
});

test("a run over a folder reports what it did not read: files by their reason, pages in items, tables and extracts", async () => {
  const { call } = batches.loop;
  const bytes = { "a.jfif": await picture(901), b: await twoFrames(), "c.psd": Buffer.from("8BPS") };
  for (const [name, body] of Object.entries(bytes))
    await Bucket.replace(batches.bucket, silent, `data/shared/unread/${name}`, {
      body,
      contentType: "application/octet-stream",
    });
  const made = await call("/v1/batch_extract", { json: { images_dir: "shared/unread", run_id: "unread" } });
  const skipped = {
    count: 1,
    by_reason: { not_supported: 1 },
    first: [{ file: "c.psd", reason: "not_supported" }],
  };
  expect(made.body).toMatchObject({ counts: { total: 2 }, skipped, with_warnings: 0 });
  const warnings = [{ code: "pages_not_read", read: 1, of: 2 }];
  expect(await batches.ended("unread")).toMatchObject({
    counts: { succeeded: 2 },
    skipped,
    with_warnings: 1,
  });
  const items = [
    { file: "a.jfif", warnings: [] },
    { file: "b", warnings },
  ];
  expect(await itemsOf("unread")).toMatchObject(items);
  const results = (format: string) => call(`/v1/runs/unread/results?format=${format}`);
  expect((await results("json")).body).toMatchObject({ items });
  const lines = (await results("jsonl")).text.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toMatchObject(items);
  const table = parse<Record<string, string>>((await results("csv")).text, { columns: true });
  expect(table.map((row) => row.warnings)).toEqual(["", "pages_not_read"]);
  expect((await call("/v1/extracts/unread~1")).body).toMatchObject({ warnings });
  const image_base64 = bytes.b.toString("base64");
  expect((await call("/v1/extract", { json: { image_base64 } })).body).toMatchObject({ warnings });
});

test("a ledger's file is made with an uploaded mapping, and the answer lists items that cannot be booked", async () => {
  const { call } = batches.loop;
  const before = batches.model.respond;
  const papers = [Papers.receipt(0).result, Papers.receipt(1, { tax: "1.60" }).result];
  batches.model.respond = () => ModelServer.json(papers.shift() ?? {});
  try {
    await batches.create({ keys: keys.slice(0, 2), run_id: "ledger", task_id: "receipt_v1", concurrency: 1 });
    expect(await batches.ended("ledger")).toMatchObject({ schema_ok: 2 });
  } finally {
    batches.model.respond = before;
  }
  const body = JSON.stringify(Papers.datev).replaceAll("2026-11-01", "2026-01-01");
  const json = { kind: "data", path: "ledger.json", bytes: Buffer.byteLength(body) };
  const { image_key, upload_url, headers } = (await call("/v1/uploads", { json })).body as Upload;
  expect((await fetch(upload_url, { method: "PUT", headers, body })).status).toBe(200);

  const results = (query: string) => call(`/v1/runs/ledger/results?format=datev${query}`);
  const mapped = `&mapping=${encodeURIComponent(image_key ?? "")}`;
  expect((await results("")).body).toMatchObject({ error: { code: "invalid_request", param: "mapping" } });
  const inline = await results(`&partial=1&mapping=${encodeURIComponent(body)}`);
  expect([inline.status, inline.headers.get("x-left-out")]).toEqual([200, "1"]);
  const refused = await results(mapped);
  expect(refused.status).toBe(409);
  expect(refused.body).toMatchObject({
    error: {
      code: "conflict",
      details: { reason: "items_left_out", left_out: [{ reason: "tax_not_split" }], left_out_count: 1 },
    },
  });
  const { status, headers: told, text } = await results(`${mapped}&partial=1`);
  expect([status, told.get("x-left-out"), told.get("x-notes")]).toEqual([200, "1", "0"]);
  expect(told.get("content-type")).toBe("text/csv; charset=windows-1252");
  expect(told.get("content-disposition")).toContain('"EXTF_ledger.datev.csv"');
  expect(text).toMatch(/\r\n10,00;"S";"EUR";;;;4650;1000;;0511;"B0";/);
});

/** A form, as a browser sends it. */
async function post(form: FormData) {
  const sent = new Response(form);
  return batches.loop.call("/v1/batch_extract_upload", {
    body: new Uint8Array(await sent.arrayBuffer()),
    headers: { "content-type": sent.headers.get("content-type") ?? "" },
  });
}

describe("pictures that a run keeps", () => {
  test("stay until the run is deleted, including pictures of another run that is deleted first", async () => {
    const { call } = batches.loop;
    const form = new FormData();
    form.set("run_id", "keeps");
    form.set("persist_inputs", "true");
    for (const i of [0, 1]) {
      const body = await Bucket.get(batches.bucket, silent, `data/${keys[i]}`);
      form.append("files", new Blob([new Uint8Array(body ?? [])], { type: "image/jpeg" }), `${i}.jpg`);
    }
    form.append("files", new Blob(["this is not a picture"], { type: "image/jpeg" }), "bad.jpg");
    const made = await post(form);
    expect(made.status, made.text).toBe(202);
    await batches.ended("keeps");
    const rerun = async (source_run_id: string, run_id: string) => {
      const json = { source_run_id, run_id, persist_inputs: true };
      const answered = await call("/v1/batch_extract_rerun", { json });
      expect(answered.status, answered.text).toBe(202);
      expect(await batches.ended(run_id)).toMatchObject({ counts: { total: 3, succeeded: 2, failed: 1 } });
      await batches.verify(run_id);
    };
    await rerun("keeps", "keeps-2");
    for (const [gone, next] of [
      ["keeps", "keeps-3"],
      ["keeps-2", "keeps-4"],
    ] as const) {
      const deleted = await call(`/v1/runs/${gone}`, { method: "DELETE" });
      expect(deleted.body).toEqual({ deleted: { extracts: 3, inputs: 3, evals: 0, runs: 1 } });
      await rerun(gone === "keeps" ? "keeps-2" : "keeps-3", next);
    }
  });
});

describe("a form", () => {
  const send = async (name: string, value: string) => {
    const form = new FormData();
    form.set(name, value);
    form.append("files", new Blob(["x"]), "a.png");
    const { status, body } = await post(form);
    return [status, (body as { error: { details: object } }).error.details];
  };
  const sendJson = async (name: string, value: unknown) => {
    const json = { manifest: [{ image_key: keys[0] }], [name]: value };
    const { status, body } = await batches.loop.call("/v1/batch_extract", { json });
    return [status, (body as { error: { details: object } }).error.details];
  };

  test.each([
    ["concurrency", "1.5", 1.5],
    ["concurrency", "-1", -1],
    ["concurrency", "1e9", 1e9],
    ["concurrency", "many", "many"],
    ["concurrency", "true", true],
    ["persist_inputs", "1", 1],
    ["persist_inputs", "yes", "yes"],
    ["run_id", "a~0", "a~0"],
  ])("with %s=%j is answered like the same in JSON", async (name, text, value) => {
    const answered = await send(name, text);
    expect(answered).toEqual(await sendJson(name, value));
    expect(answered[0]).toBe(400);
  });
});

test("empty fields of a form count as missing", async () => {
  const form = new FormData();
  for (const name of ["concurrency", "persist_inputs", "webhook_url"]) form.set(name, "");
  form.set("run_id", "empty-fields");
  form.append("files", new Blob([await picture(1)]), "a.jpg");
  const answered = await post(form);
  expect(answered.status, answered.text).toBe(202);
  expect(answered.body).toMatchObject({ concurrency: 4, source: { persist_inputs: false }, webhook: null });
  expect(await batches.ended("empty-fields")).toMatchObject({ counts: { total: 1, succeeded: 1 } });
});

describe("concurrency", () => {
  test.each([1, 2])(
    "%i means this many requests at the model server, and never more",
    async (concurrency) => {
      batches.model.respond = () => answer(150);
      const seen = watch();
      await batches.create({ keys: repeat(8 * concurrency), run_id: `exact-${concurrency}`, concurrency });
      await batches.ended(`exact-${concurrency}`);
      expect(seen.most()).toBe(concurrency);
      await batches.verify(`exact-${concurrency}`);
    },
  );

  test("two runs keep their own numbers, 3 and 5, at the same time", async () => {
    // Holds every answer until all expected requests are there.
    const full = Promise.withResolvers<void>();
    const seen = watch();
    batches.model.respond = async () => {
      if (seen.now() === 8) full.resolve();
      await full.promise;
      return answer(100);
    };
    await Promise.all([
      batches.create({ keys: repeat(24), run_id: "three", concurrency: 3 }),
      batches.create({ keys: repeat(40), run_id: "five", concurrency: 5 }),
    ]);
    await Promise.all([batches.ended("three"), batches.ended("five")]);
    expect(seen.most("three")).toBe(3);
    expect(seen.most("five")).toBe(5);
    expect(seen.most()).toBe(8);
    await batches.verify("three");
    await batches.verify("five");
  });
});

/** The model server's requests from now on. */
function watch() {
  const from = batches.model.requests.length;
  return {
    now: (): number =>
      batches.model.requests.slice(from).filter(({ endedAt }) => endedAt === undefined).length,
    most: (runId?: string): number => mostInFlight(batches.model.requests.slice(from), runId),
  };
}

describe("cancel", () => {
  test("at half: items that have not begun are canceled, items in flight end, and nothing more reaches the model", async () => {
    batches.model.respond = () => answer(200);
    const before = batches.model.requests.length;
    await batches.create({ keys: repeat(40), run_id: "half", concurrency: 4 });
    await vi.waitFor(() => expect(batches.model.requests.length - before).toBeGreaterThanOrEqual(20), {
      timeout: 20_000,
      interval: 20,
    });
    const canceled = await batches.loop.call("/v1/runs/half/cancel", { method: "POST" });
    expect(canceled.status, canceled.text).toBe(202);
    const asked = batches.model.requests.length - before;
    const run = await batches.ended("half");
    expect(run.status).toBe("canceled");
    // Items that were claimed before the cancellation may still be asked.
    expect(batches.model.requests.length - before).toBeLessThanOrEqual(asked + 4);
    expect(run.counts.succeeded).toBe(batches.model.requests.length - before);
    expect(run.counts.succeeded + run.counts.canceled).toBe(40);
    await batches.verify("half");
    expect((await batches.loop.call("/v1/runs/half/cancel", { method: "POST" })).status).toBe(202);
  });
});

describe("ids", () => {
  test("runs whose ids look alike, and extracts named like items, never share a result", async () => {
    batches.model.respond = (_request, n) => ModelServer.json({ total: `${n}.00` });
    const other = await batches.loop.call("/v1/extract", {
      json: { image_base64: "AAAA", request_id: "a~0" },
    });
    expect(other.status).toBe(400);
    const [one, two] = await Promise.all([
      batches.create({ keys: keys.slice(0, 3), run_id: "a" }),
      batches.create({ keys: keys.slice(3, 6), run_id: "a-1" }),
    ]);
    expect([one.run_id, two.run_id]).toEqual(["a", "a-1"]);
    await Promise.all([batches.ended("a"), batches.ended("a-1")]);
    const rows = [...(await batches.verify("a")), ...(await batches.verify("a-1"))];
    expect(new Set(rows.map((row) => row.result)).size).toBe(6);
    const deleted = await batches.loop.call("/v1/runs/a", { method: "DELETE" });
    expect(deleted.body).toMatchObject({ deleted: { extracts: 3, runs: 1 } });
    expect((await batches.loop.call("/v1/runs/a")).status).toBe(404);
    expect((await batches.loop.call("/v1/runs/a-1")).status).toBe(200);
    await batches.verify("a-1");
    const again = await batches.loop.call("/v1/batch_extract", {
      json: { manifest: [{ image_key: keys[0] }], run_id: "a" },
    });
    expect((again.body as { error: { code: string } }).error.code).toBe("conflict");
  });
});

test("in all of these tests reconcile had nothing to repair", async () => {
  await vi.waitFor(() => expect(batches.loop.events("reconciled_runs").length).toBeGreaterThan(0), 20_000);
  for (const {
    items_requeued,
    items_stored,
    runs_ordered,
    runs_failed,
    runs_renumbered,
  } of batches.loop.events("reconciled_runs"))
    expect({ items_requeued, items_stored, runs_ordered, runs_failed, runs_renumbered }).toEqual({
      ...{ items_requeued: 0, items_stored: 0, runs_ordered: 0, runs_failed: 0, runs_renumbered: 0 },
    });
});
