import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import type { Split } from "#core/reading/page-numbers";
import * as Record from "#core/reading/record";
import { replay } from "#core/replay/replay";
import { documentsOf } from "#core/run/documents";
import * as Task from "#core/task/task";
import { drawSheet } from "#test/support/look/sheets";
import * as ModelServer from "#test/support/model-server/model-server";
import { pagesOf, sheets } from "#test/support/sheets";
import * as TestBucket from "#test/support/test-bucket";
import { read } from "./read.ts";

/** Files of several documents before a scripted model server, which reads each picture as the test says. */

let model: ModelServer.ModelServer;
beforeAll(async () => {
  model = await ModelServer.start({ maxModelLen: 8_192 });
});
afterAll(() => model.close());
beforeEach(() => {
  model.requests.length = 0;
});

const createdAt = new Date("2026-11-23T10:00:00Z");

async function performed(bytes: Uint8Array, split: Split, look: boolean) {
  const task = Task.get("receipt_v1");
  if (task === undefined) throw new Error("no such task");
  const server: Config.Model = {
    ...{ baseUrl: model.url, apiKey: undefined, model: "scripted-model", maxImages: 4, look },
    ...{ connectTimeoutMs: 500, readTimeoutMs: 5_000, maxModelLen: 8_192, maxTokens: undefined },
  };
  const document = await Document.open(bytes);
  const done = await read(server, {
    ...{ task, document, createdAt, split, requestId: "r-1", log: TestBucket.silent },
    pages: Array.from({ length: document.pages }, (_, index) => index + 1),
    deadline: Date.now() + 30_000,
    signal: new AbortController().signal,
  });
  const row = { keyId: "k", requestId: "r-1", taskId: task.id, createdAt, token: 1, payloadHash: "h" };
  const artifact = Record.compose(row, done, {
    input: Record.inputOf(document, "inline", null),
    ...{ principal: { key_id: "k", role: "client" }, codeVersion: "1", totalMs: 1 },
  });
  return { ...done, artifact, answer: Record.answerOf(artifact) };
}

const empty = Object.fromEntries(
  Object.keys(Task.get("receipt_v1")?.validationSchema.properties ?? {}).map((name) => [name, null]),
);
const receipt = (fields: object) => ({ ...empty, items: [], taxes: [], ...fields });

test("each receipt on a picture has an answer of its own, with its place; the whole replays byte for byte", async () => {
  const { bytes } = await drawSheet(21_004, { receipts: 3, ground: "table", fonts: ["sans-serif"] });
  const seen: string[] = [];
  model.respond = async (request) => {
    const picture = /data:image[^"]*/.exec(JSON.stringify(request.body))?.[0] ?? "";
    if (!seen.includes(picture)) seen.push(picture);
    const n = seen.indexOf(picture) + 1;
    // The second receipt stays unread, however often it is asked for.
    return n === 2 ? ModelServer.text("no JSON") : ModelServer.json(receipt({ total: `${n}.00` }));
  };
  const { error, answer, artifact } = await performed(bytes, "auto", true);
  expect(error).toBeUndefined();
  expect(answer).toMatchObject({ result: null, normalized: {}, checks: [], status: "succeeded" });
  const documents = answer.documents ?? [];
  expect(documents).toHaveLength(3);
  for (const { pages, box } of documents) {
    expect(pages).toEqual([1]);
    for (const side of Object.values(box ?? { none: -1 }))
      expect(side).toSatisfy((at: number) => at >= 0 && at <= 1);
  }
  expect(documents.map(({ status }) => status)).toEqual(["succeeded", "failed", "succeeded"]);
  expect(documents[0]?.result).toMatchObject({ total: "1.00" });
  expect(documents[1]).toMatchObject({ result: null, error: { code: "invalid_model_output" } });
  expect(answer.usage.attempts).toBe(model.requests.length);
  expect(JSON.stringify(answer)).not.toMatch(/raw_model_text|"sent"/);
  expect(await replay(artifact, "1")).toMatchObject({ outcome: "same", differences: [] });
  const [first] = artifact.documents ?? [];
  if (first?.result) first.result = { ...first.result, total: "9.00" };
  expect((await replay(artifact, "1")).differences[0]?.path).toMatch(/^documents\.0\.result/);
});

test("without split several receipts are read as one, and the answer says how many there are", async () => {
  const { bytes } = await drawSheet(21_004, { receipts: 3, ground: "table", fonts: ["sans-serif"] });
  model.respond = async () => ModelServer.json(receipt({ total: "1.00" }));
  const { answer } = await performed(bytes, "never", true);
  expect(answer).toMatchObject({
    result: { total: "1.00" },
    warnings: expect.arrayContaining([{ code: "several_receipts", found: 3 }]),
  });
  expect(answer.documents).toBeUndefined();
  expect(model.requests).toHaveLength(1);
});

/** What each page says. */
const pagesSay = (said: Record<number, object>) => {
  model.respond = async (request) => {
    const [page = 0] = await pagesOf(request);
    return ModelServer.json(receipt(said[page] ?? {}));
  };
};

test("pages that begin another document are not joined to those before them; blank ones are left out", async () => {
  pagesSay({
    1: { merchant: { name: "Alpha Ltd" }, receipt_number: "17", items: [{ name: "TEA" }] },
    2: { items: [{ name: "CAKE" }], total: "9.00" },
    4: { merchant: { name: "Beta GmbH" }, receipt_number: "3", total: "5.00" },
    5: { merchant: { name: "Beta GmbH" }, receipt_number: "4", total: "6.00" },
  });
  const { answer, artifact } = await performed(await sheets(5, [3]), "auto", false);
  expect(answer.documents?.map(({ pages }) => pages)).toEqual([[1, 2], [4], [5]]);
  expect(answer.documents?.[0]?.result).toMatchObject({
    items: [{ name: "TEA" }, { name: "CAKE" }],
    total: "9.00",
  });
  expect(answer.warnings).toEqual([{ code: "blank_pages", pages: [3] }]);
  expect(artifact.documents?.[0]?.calls).toMatchObject([
    { call: 1, pages: [1] },
    { call: 2, pages: [2] },
  ]);
  expect(await replay(artifact, "1")).toMatchObject({ outcome: "same", differences: [] });
  const rows = documentsOf({ index: 0, documents: answer.documents });
  expect(rows.map(({ document }) => document)).toEqual([1, 2, 3]);
});

test("pages that are one document have the answer that they have without split", async () => {
  pagesSay({
    1: { merchant: { name: "Alpha Ltd" }, receipt_number: "17", items: [{ name: "TEA" }] },
    2: { items: [{ name: "CAKE" }], total: "9.00" },
  });
  const bytes = await sheets(2);
  const [one, plain] = [await performed(bytes, "auto", false), await performed(bytes, "never", false)];
  expect(one.answer.documents).toBeUndefined();
  expect(one.answer.result).toMatchObject({ total: "9.00", items: [{ name: "TEA" }, { name: "CAKE" }] });
  expect(plain.answer.documents).toBeUndefined();
  expect(await replay(one.artifact, "1")).toMatchObject({ outcome: "same", differences: [] });
});

test("a file whose model server goes away fails as a whole: it is tried again with all of its documents", async () => {
  let n = 0;
  model.respond = async () => {
    n += 1;
    return n === 1 ? ModelServer.json(receipt({ merchant: { name: "A" } })) : ModelServer.error(503, "away");
  };
  const { error, answer } = await performed(await sheets(2), "auto", false);
  expect(error?.code).toMatch(/^inference_/);
  expect(error?.retry).toBe(true);
  expect(answer.documents).toBeUndefined();
});
