import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Artifact } from "#core/reading/schema";
import { replay } from "#core/replay/replay";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Papers from "#test/support/papers";
import * as Pdf from "#test/support/pdf";
import { errorOf, formOf, type Rig, start } from "#test/support/source-loop";

/** Files of several documents (`split: auto`), end to end: their answers, runs, tables, ledgers, usage and webhooks. */

let at: Rig;
let receiver: http.Server;
const told: string[] = [];
/** How many receipts were read since the test began; each page is a receipt of another shop. */
let n = 0;
beforeAll(async () => {
  receiver = http.createServer(async (request, response) => {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    told.push(body);
    response.writeHead(204).end();
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  at = await start({ env: { WEBHOOK_ALLOW_PRIVATE: "1" }, respond: () => ModelServer.json(receipt(n++)) });
});
afterAll(async () => {
  await at?.close();
  receiver?.closeAllConnections();
  receiver?.close();
});
beforeEach(() => {
  n = 0;
});

const receipt = (index: number) =>
  Papers.receipt(index, {}, { merchant: Papers.merchant(`Shop ${index}`) }).result ?? {};
const post = (count: number) =>
  Buffer.from(
    Pdf.pages(
      Array.from({ length: count }, (_, i) => ({ content: Pdf.lines([`Receipt ${i + 1}`, "Total 10.00"]) })),
    ),
  );
const task_id = "receipt_v1";

async function ended(id: string) {
  await expect
    .poll(async () => (await at.call(`/v1/runs/${id}`)).body, { timeout: 150_000, interval: 200 })
    .toMatchObject({ status: "succeeded" });
  return (await at.call(`/v1/runs/${id}`)).body;
}
const used = async () =>
  ((await at.call("/v1/usage?group_by=key")).body as { total: Record<string, number> }).total;

test("a file of three receipts is the same call in a form and in JSON, and a repeat of its id makes no model call", async () => {
  const bytes = post(3);
  const parts = { file: bytes, split: "auto", request_id: "three", task_id };
  const form = await at.call("/v1/extract", await formOf(parts));
  expect(form.status, form.text).toBe(200);
  const documents = [1, 2, 3].map((page) => ({ pages: [page], status: "succeeded" }));
  expect(form.body).toMatchObject({ result: null, documents });
  const json = { image_base64: bytes.toString("base64"), request_id: "three", task_id };
  const again = await at.withoutModel(() => at.extract({ ...json, split: "auto" }));
  expect(again.headers.get("idempotent-replayed")).toBe("true");
  expect((again.body as { documents: unknown }).documents).toEqual(
    (form.body as { documents: unknown }).documents,
  );
  const other = await at.withoutModel(() => at.extract({ ...json, split: "never" }));
  expect([other.status, errorOf(other).code]).toEqual([409, "conflict"]);
  const artifact = (await at.artifactOf("three")).artifact as unknown as Artifact;
  expect(artifact.documents?.map(({ calls }) => calls?.map(({ call, pages }) => [call, ...pages]))).toEqual([
    [[1, 1]],
    [[2, 2]],
    [[3, 3]],
  ]);
  expect(await replay(artifact, "1")).toMatchObject({ outcome: "same", differences: [] });
  expect(await at.keysBelow("extracts/")).toEqual(
    expect.not.arrayContaining([expect.stringContaining("~step-")]),
  );
});

test("fifty receipts in a PDF are one item that is read in steps: each page is asked for and counted once, and each document is in tables, ledgers and the webhook", async () => {
  const before = await used();
  const from = at.model.requests.length;
  const { image_ref } = await at.upload(post(50), "application/pdf");
  const { port } = receiver.address() as AddressInfo;
  const json = {
    ...{ run_id: "fifty", task_id, manifest: [{ image_ref, split: "auto" }] },
    webhook_url: `http://127.0.0.1:${port}/`,
  };
  expect((await at.call("/v1/batch_extract", { json })).status).toBe(202);
  const counts = { total: 1, succeeded: 1, failed: 0, pages: 50, documents: 50 };
  expect(await ended("fifty")).toMatchObject({ counts, types: { "application/pdf": 1 } });
  expect(at.model.requests.length - from).toBe(50);
  const after = await used();
  expect([(after.pages ?? 0) - (before.pages ?? 0)]).toEqual([50]);
  const steps = at.loop.events("steps_taken_up").map(({ calls }) => calls);
  expect(steps).toContain(48);

  const csv = await at.call("/v1/runs/fifty/results?format=csv");
  const rows = parse<Record<string, string>>(csv.text, { columns: true });
  expect(rows.map(({ document }) => Number(document))).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  expect(new Set(rows.map((row) => row["merchant.name"])).size).toBe(50);
  const mapping = JSON.stringify(Papers.datev).replaceAll("2026-11-01", "2026-01-01");
  const ledger = await at.call(
    `/v1/runs/fifty/results?format=datev&partial=1&mapping=${encodeURIComponent(mapping)}`,
  );
  expect([ledger.status, ledger.headers.get("x-left-out")], ledger.text).toEqual([200, "0"]);
  expect(ledger.text.match(/\r\n10,00;"S";"EUR"/g)).toHaveLength(50);
  const mine = () => told.map((body) => JSON.parse(body)).filter(({ data }) => data.run_id === "fifty");
  await expect.poll(mine, { timeout: 30_000 }).toMatchObject([{ type: "run.succeeded", data: { counts } }]);
}, 240_000);

test("a queued call with more pages than a waiting one may have is split in steps, too", async () => {
  const image_base64 = post(11).toString("base64");
  const json = { image_base64, split: "auto", request_id: "eleven", task_id };
  const refused = await at.withoutModel(() => at.extract(json));
  expect(errorOf(refused).details).toMatchObject({ reason: "too_many_pages", pages: 11, limit: 10 });
  const queued = await at.extract(json, { headers: { prefer: "respond-async" } });
  expect(queued.status).toBe(202);
  const read = async () => (await at.call("/v1/extracts/eleven")).body;
  await expect.poll(read, { timeout: 60_000 }).toMatchObject({ status: "succeeded" });
  expect(((await read()) as { documents: unknown[] }).documents).toHaveLength(11);
  expect(n).toBe(11);
  expect(await at.keysBelow("extracts/")).toEqual(
    expect.not.arrayContaining([expect.stringContaining("~step-")]),
  );
}, 90_000);

test("items of a list say whether all rows are there and by which evidence, and whether the picture could be read well", async () => {
  const { image_ref } = await at.upload(post(1), "application/pdf");
  const rows = { returned: 1, reason: "sum_differs" };
  const { respond } = at.model;
  at.model.respond = () =>
    ModelServer.json({
      ...receipt(0),
      items: [{ name: "TEA", quantity: "1", unit_price: null, price: "4.00" }],
    });
  try {
    const json = { run_id: "short", task_id, manifest: [{ image_ref }] };
    expect((await at.call("/v1/batch_extract", { json })).status).toBe(202);
    expect(await ended("short")).toMatchObject({ with_warnings: 1 });
  } finally {
    at.model.respond = respond;
  }
  const { items } = (await at.call("/v1/runs/short/items")).body as { items: Record<string, unknown>[] };
  const whole = JSON.parse((await at.call("/v1/runs/short/results?format=jsonl")).text) as object;
  expect(items[0]).toMatchObject({ complete: false, rows, warnings: [{ code: "rows_missing" }] });
  const { complete, rows: found, quality } = whole as Record<string, unknown>;
  expect(items[0]).toMatchObject({ complete, rows: found, quality });
  expect(quality).toEqual({ ok: expect.any(Boolean), reasons: expect.any(Array) });
});
