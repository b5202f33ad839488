import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import type { Split } from "#core/reading/page-numbers";
import * as Record from "#core/reading/record";
import type * as Steps from "#core/reading/steps/steps";
import { openSteps } from "#core/reading/stored-call";
import { pagesOf as pagesRead, usedOf } from "#core/reading/used";
import { replay } from "#core/replay/replay";
import { documentsOf } from "#core/run/documents";
import * as Task from "#core/task/task";
import { cii } from "#test/support/einvoices";
import { drawSheet } from "#test/support/look/sheets";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Pdf from "#test/support/pdf";
import { pagesOf, sheets } from "#test/support/sheets";
import * as TestBucket from "#test/support/test-bucket";
import { tiffOf } from "#test/support/tiff";
import { read } from "./read.ts";

/** Files of several documents before a scripted model server, which reads each picture as the test says. */

let model: ModelServer.ModelServer;
let store: TestBucket.TestBucket;
beforeAll(async () => {
  model = await ModelServer.start({ maxModelLen: 8_192 });
  store = await TestBucket.start();
});
afterAll(async () => {
  await model?.close();
  await store?.close();
});
beforeEach(() => {
  model.requests.length = 0;
});

const createdAt = new Date("2026-11-23T10:00:00Z");

/** Where calls are stored: the document's id, and the worker's number and limits. */
interface Worker {
  requestId: string;
  token: number;
  limits: Steps.Limits | undefined;
  signal?: AbortSignal;
}

async function performed(bytes: Uint8Array, split: Split, look: boolean, worker?: Worker) {
  const task = Task.get("receipt_v1");
  if (task === undefined) throw new Error("no such task");
  const server: Config.Model = {
    ...{ baseUrl: model.url, apiKey: undefined, model: "scripted-model", maxImages: 4, look },
    ...{ connectTimeoutMs: 500, readTimeoutMs: 5_000, maxModelLen: 8_192, maxTokens: undefined },
  };
  const document = await Document.open(bytes);
  const { requestId = "r-1", token = 1, limits, signal = new AbortController().signal } = worker ?? {};
  const identity = { ...{ keyId: "k", requestId, createdAt, token }, payloadHash: "h" };
  const log = TestBucket.silent;
  const steps = worker && (await openSteps(store.bucket, log, identity, limits));
  const done = await read(server, {
    ...{ task, document, createdAt, split, requestId, log, steps, signal },
    pages: Array.from({ length: document.pages }, (_, index) => index + 1),
    deadline: Date.now() + 30_000,
  });
  const row = { keyId: "k", requestId: "r-1", taskId: task.id, createdAt, token: 1, payloadHash: "h" };
  const artifact = Record.compose(row, done, {
    input: Record.inputOf(document, "inline", null),
    ...{ principal: { key_id: "k", role: "client" }, codeVersion: "1", totalMs: 1 },
  });
  return { ...done, artifact, answer: Record.answerOf(artifact), stored: steps?.stored ?? 0 };
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
    // The model never gives a usable answer for the second receipt.
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

/** The text of each page. */
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

test("a page that could not be read makes only its own document fail, and the one before it if that has no total", async () => {
  const said: Record<number, object> = {
    1: { merchant: { name: "Alpha Ltd" }, receipt_number: "4", items: [{ name: "TEA" }] },
    3: { merchant: { name: "Alpha Ltd" }, receipt_number: "14", total: "3.00" },
    4: { merchant: { name: "Beta GmbH" }, total: "4.00" },
  };
  const read = async (first: object) => {
    model.respond = async (request) => {
      const [page = 0] = await pagesOf(request);
      if (page === 2) return ModelServer.text("no JSON");
      return ModelServer.json(receipt(page === 1 ? { ...said[1], ...first } : (said[page] ?? {})));
    };
    const { answer, artifact, error } = await performed(await sheets(4), "auto", false);
    expect(error).toBeUndefined();
    expect(await replay(artifact, "1")).toMatchObject({ outcome: "same", differences: [] });
    return answer.documents?.map(({ pages, status, result }) => [pages, status, result?.total]);
  };
  expect(await read({ total: "1.00" })).toEqual([
    [[1], "succeeded", "1.00"],
    [[2], "failed", undefined],
    [[3], "succeeded", "3.00"],
    [[4], "succeeded", "4.00"],
  ]);
  // It is not known whether the second page continues the first, so the first is not reported as complete.
  expect(await read({})).toEqual([
    [[1, 2], "failed", undefined],
    [[3], "succeeded", "3.00"],
    [[4], "succeeded", "4.00"],
  ]);
});

test("a picture that the server refuses makes only its own document fail; a call that is never accepted ends the whole file", async () => {
  model.respond = async (request) => {
    const [page = 0] = await pagesOf(request);
    if (page === 2) return ModelServer.error(400, "this picture is not for me");
    return ModelServer.json(receipt({ merchant: { name: `Shop ${page}` }, total: `${page}.00` }));
  };
  const { answer, error } = await performed(await sheets(3), "auto", false);
  expect(error).toBeUndefined();
  expect(answer.documents?.map(({ status }) => status)).toEqual(["succeeded", "failed", "succeeded"]);
  expect(answer.documents?.[1]).toMatchObject({ result: null, error: { code: "inference_failed" } });
});

test("attachments of the whole file are listed with the first document that has print", async () => {
  const blank = { content: "" };
  const bill = (name: string) => ({ content: Pdf.lines([name, "Total 149,90 EUR"]) });
  const bytes = Pdf.pages([blank, bill("Quellwerk GmbH"), bill("Beta GmbH")], {
    catalog: `/AF [<< /Type /Filespec /F (invoice.xml) /EF << /F ${Pdf.firstAfter(3)} 0 R >> >>]`,
    more: [{ dict: "/Type /EmbeddedFile", data: cii }],
  });
  let n = 0;
  model.respond = async () => {
    n += 1;
    return ModelServer.json(receipt({ merchant: { name: `Shop ${n}` }, total: "149,90" }));
  };
  const { answer, artifact } = await performed(bytes, "auto", false);
  expect(answer.documents?.map(({ pages, embedded }) => [pages, embedded?.syntax])).toEqual([
    [[2], "cii"],
    [[3], undefined],
  ]);
  expect(artifact.documents?.[1]?.text_layer?.pages.map(({ page }) => page)).toEqual([3]);
  expect(await replay(artifact, "1")).toMatchObject({ outcome: "same", differences: [] });
});

describe("a split file that takes longer than one worker may", () => {
  /**
   * Runs workers one after another until one finishes the file. @param dies - this worker is killed at its n-th call.
   */
  const inTurn = async (
    bytes: Uint8Array,
    look: boolean,
    limits: Steps.Limits,
    dies = (_: number, __: number) => false,
  ) => {
    const requestId = `split-${Math.random().toString(36).slice(2)}`;
    const { respond } = model;
    let counted = 0;
    const used = { pages: 0, modelCalls: 0 };
    for (let token = 1; token < 60; token += 1) {
      const death = new AbortController();
      let calls = 0;
      model.respond = (request, n) => {
        calls += 1;
        if (!dies(token, calls)) return respond(request, n);
        death.abort(new Error("killed"));
        return { kind: "hang" };
      };
      const done = await performed(bytes, "auto", look, { requestId, token, limits, signal: death.signal });
      model.respond = respond;
      if (death.signal.aborted) continue;
      const { pages, modelCalls } = usedOf(done.artifact, counted);
      used.pages += pages;
      used.modelCalls += modelCalls;
      counted = done.stored;
      if (!done.isStepOver) return { ...done, used, workers: token };
    }
    throw new Error("nobody came to the end");
  };
  const one = { calls: 1, until: Number.POSITIVE_INFINITY };
  const comparable = ({
    answer,
    artifact,
  }: Pick<Awaited<ReturnType<typeof performed>>, "answer" | "artifact">) =>
    JSON.parse(
      JSON.stringify({ answer, documents: artifact.documents, attempts: artifact.attempts }, (name, value) =>
        ["ms", "first_token_ms", "timings_ms", "artifact_rel", "request_id"].includes(name)
          ? undefined
          : value,
      ),
    );

  test("is read in steps: each call once, each page counted once, and the answer of one worker", async () => {
    pagesSay({
      1: { merchant: { name: "Alpha Ltd" }, receipt_number: "17", items: [{ name: "TEA" }] },
      2: { items: [{ name: "CAKE" }], total: "9.00" },
      4: { merchant: { name: "Beta GmbH" }, receipt_number: "3", total: "5.00" },
      5: { merchant: { name: "Beta GmbH" }, receipt_number: "4", total: "6.00" },
    });
    const bytes = await sheets(5, [3]);
    const whole = await performed(bytes, "auto", true);
    expect(model.requests).toHaveLength(4);
    const parted = await inTurn(bytes, true, one);
    expect([parted.workers, model.requests.length]).toEqual([4, 8]);
    expect(comparable(parted)).toEqual(comparable(whole));
    expect(parted.used).toMatchObject({ pages: 4, modelCalls: 4 });
    expect(pagesRead(parted.artifact)).toBe(4);
    expect(await replay(parted.artifact, "1")).toMatchObject({ outcome: "same", differences: [] });
    const killed = await inTurn(
      bytes,
      true,
      { ...one, calls: 9 },
      (worker, call) => worker < 3 && call === 2,
    );
    expect(model.requests.length).toBeLessThanOrEqual(8 + 4 + 2);
    expect(comparable(killed)).toEqual(comparable(whole));
  });

  test("receipts on one page are cut as the first worker found them, and the page counts once", async () => {
    const { bytes } = await drawSheet(21_004, { receipts: 3, ground: "table", fonts: ["sans-serif"] });
    const seen: string[] = [];
    model.respond = async (request) => {
      const picture = /data:image[^"]*/.exec(JSON.stringify(request.body))?.[0] ?? "";
      if (!seen.includes(picture)) seen.push(picture);
      const n = seen.indexOf(picture) + 1;
      return n === 2 ? ModelServer.text("no JSON") : ModelServer.json(receipt({ total: `${n}.00` }));
    };
    const whole = await performed(bytes, "auto", true);
    const calls = model.requests.length;
    const parted = await inTurn(bytes, true, one);
    expect(seen).toHaveLength(3);
    expect(model.requests).toHaveLength(2 * calls);
    expect(comparable(parted)).toEqual(comparable(whole));
    expect(parted.used).toMatchObject({ pages: 1, modelCalls: calls });
  });
});

test("more than 50 receipts in a file are refused before the model is asked, with what to do", async () => {
  const { bytes } = await drawSheet(21_004, { receipts: 3, ground: "table", fonts: ["sans-serif"] });
  const page = await sharp(bytes).tiff({ compression: "jpeg" }).toBuffer();
  const { error } = await performed(tiffOf(Array.from({ length: 17 }, () => page)), "auto", true);
  expect(error).toMatchObject({
    ...{ code: "invalid_image", retry: false, message: expect.stringMatching(/choose fewer with pages/) },
    details: { reason: "too_many_receipts", found: 51, limit: 50 },
  });
  expect(model.requests).toEqual([]);
});
