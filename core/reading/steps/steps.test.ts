import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import { type Performed, perform } from "#core/reading/reading";
import { openSteps } from "#core/reading/stored-call";
import * as Task from "#core/task/task";
import { drawSheet } from "#test/support/look/sheets";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Vllm from "#test/support/model-server/vllm";
import * as Pdf from "#test/support/pdf";
import { picture } from "#test/support/pictures";
import { pagesOf, sheets } from "#test/support/sheets";
import * as TestBucket from "#test/support/test-bucket";
import { tiffOf } from "#test/support/tiff";
import * as Steps from "./steps.ts";

/** Workers that read a document one after the other, before a scripted model server; each dies where the test says. */

let model: ModelServer.ModelServer;
let store: TestBucket.TestBucket;
beforeAll(async () => {
  model = await ModelServer.start({ maxModelLen: 8_192 });
  store = await TestBucket.start();
  model.respond = pageNumbers;
  const bytes = await sheets(5, [2]);
  five = { bytes, whole: await inTurn({ bytes }) };
});
afterAll(async () => {
  await model?.close();
  await store?.close();
});
beforeEach(() => {
  model.requests.length = 0;
  store.hook.answer = () => undefined;
});

const createdAt = new Date("2026-11-23T10:00:00Z");
let documents = 0;
/** Five pages, of which the second is blank, and the answer of a single worker. */
let five: { bytes: Uint8Array; whole: Awaited<ReturnType<typeof inTurn>> };

interface Worker {
  bytes: Uint8Array;
  taskId?: string;
  look?: boolean;
  requestId: string;
  token: number;
  limits?: Steps.Limits | undefined;
  signal?: AbortSignal;
}

const identityOf = ({ requestId, token }: Pick<Worker, "requestId" | "token">): Steps.Identity => ({
  ...{ keyId: "k", requestId, createdAt, token, payloadHash: "hash" },
});

async function work(worker: Worker) {
  const { bytes, taskId = "receipt_fields_v1", look = false, signal = new AbortController().signal } = worker;
  const task = Task.get(taskId);
  if (task === undefined) throw new Error("no such task");
  const server: Config.Model = {
    ...{ baseUrl: model.url, apiKey: undefined, model: "scripted-model", maxImages: 2 },
    ...{ connectTimeoutMs: 500, readTimeoutMs: 5_000, maxModelLen: 8_192, maxTokens: undefined, look },
  };
  const document = await Document.open(bytes);
  const log = TestBucket.silent;
  const steps = await openSteps(store.bucket, log, identityOf(worker), worker.limits);
  const performed = await perform(server, {
    ...{ task, document, createdAt, requestId: worker.requestId, log, steps, signal },
    pages: Array.from({ length: document.pages }, (_, index) => index + 1),
    deadline: Date.now() + 30_000,
  });
  return { performed, stored: steps.stored };
}

/** Runs workers one after another until one finishes. @param dies - true: this worker dies at its n-th call. */
async function inTurn(
  about: Pick<Worker, "bytes" | "taskId" | "limits" | "look">,
  dies: (worker: number, call: number) => boolean = () => false,
) {
  documents += 1;
  const requestId = `long-${documents}`;
  const { respond } = model;
  const from = model.requests.length;
  let kills = 0;
  for (let token = 1; token < 60; token += 1) {
    const death = new AbortController();
    let calls = 0;
    model.respond = (request, n) => {
      calls += 1;
      if (!dies(token, calls)) return respond(request, n);
      kills += 1;
      death.abort(new Error("killed"));
      return { kind: "hang" };
    };
    const { performed } = await work({ ...about, requestId, token, signal: death.signal });
    if (death.signal.aborted || performed.isStepOver) continue;
    model.respond = respond;
    return { performed, requestId, workers: token, kills, calls: model.requests.length - from };
  }
  throw new Error("nobody came to the end");
}

const pageNumbers = async (request: ModelServer.Received) => {
  const pages = await pagesOf(request);
  return ModelServer.json({
    ...{ total: `${Math.max(...pages)}.00`, subtotal: `${pages.join("+")}`, tax: null, service: null },
    ...{ discount: null, cash: null, card: null, change: null },
  });
};

const said = (total: string) =>
  ModelServer.json({
    ...{ total, subtotal: null, tax: null, service: null, discount: null, cash: null, card: null },
    change: null,
  });

/** The artifact without times. */
const read = ({ answer, record, pageSizes, error }: Performed) =>
  JSON.parse(
    JSON.stringify({ answer, record, pageSizes, code: error?.code }, (name, value) =>
      name === "ms" || name === "first_token_ms" ? undefined : value,
    ),
  );

const relsOf = async (requestId: string) =>
  (
    await Bucket.list(store.bucket, TestBucket.silent, {
      prefix: Place.stepPrefix("k", requestId, createdAt),
    })
  ).objects.map(({ rel }) => rel);

test("a document whose worker hands over after every call has the answer of one worker, and no call is made twice", async () => {
  model.respond = pageNumbers;
  const { bytes, whole } = five;
  expect([whole.workers, whole.calls, whole.performed.error]).toEqual([1, 3, undefined]);
  const limits = { calls: 1, until: Number.POSITIVE_INFINITY };
  const parted = await inTurn({ bytes, limits });
  expect([parted.workers, parted.calls]).toEqual([3, 3]);
  expect(read(parted.performed)).toEqual(read(whole.performed));
  expect(parted.performed.answer.warnings).toEqual([{ code: "blank_pages", pages: [2] }]);
  await Steps.remove(store.bucket, TestBucket.silent, identityOf({ requestId: parted.requestId, token: 9 }));
  expect(await relsOf(parted.requestId)).toEqual([]);
});

test.each([
  ["at its second call", (worker: number, call: number) => worker <= 5 && call === 2],
  ["at its first call, twice", (worker: number) => worker <= 2],
  ["at its last call, once", (worker: number, call: number) => worker === 1 && call === 3],
])(
  "a document whose worker is killed %s has the same answer, and at most one call more for each kill",
  async (_when, dies) => {
    model.respond = pageNumbers;
    const { bytes, whole } = five;
    const killed = await inTurn({ bytes }, dies);
    expect(killed.kills).toBeGreaterThan(0);
    expect(killed.calls).toBeLessThanOrEqual(whole.calls + killed.kills);
    expect(read(killed.performed)).toEqual(read(whole.performed));
  },
);

test("pages whose answer is too long together are asked for in halves only once, even if the next worker goes on", async () => {
  model.respond = async (request) => {
    const pages = await pagesOf(request);
    const isCut = pages.length > 1 && pages[0] === 1;
    if (isCut) return ModelServer.text('{"total": "1', { finishReason: "length" });
    return pageNumbers(request);
  };
  const bytes = await sheets(3);
  const whole = await inTurn({ bytes });
  const killed = await inTurn({ bytes }, (_worker, call) => call === 2);
  expect(killed.calls).toBeLessThanOrEqual(whole.calls + killed.kills);
  expect(read(killed.performed)).toEqual(read(whole.performed));
});

test("a long list goes on behind the last stored call", async () => {
  const items = Vllm.receipt(400);
  model.respond = (request) => {
    const seam = Number(/The first (\d+) entries of "items"/.exec(request.prompt)?.[1] ?? 0);
    const rest = { ...items, items: items.items.slice(seam) };
    return Vllm.answer({ contextTokens: 8_192 }, request, JSON.stringify(rest));
  };
  const bytes = await picture(1);
  const whole = await inTurn({ bytes, taskId: "receipt_v1" });
  expect(whole.calls).toBeGreaterThan(2);
  const killed = await inTurn({ bytes, taskId: "receipt_v1" }, (_worker, call) => call === 2);
  expect(killed.kills).toBeGreaterThan(1);
  expect(killed.calls).toBeLessThanOrEqual(whole.calls + killed.kills);
  expect(read(killed.performed)).toEqual(read(whole.performed));
});

test("a worker whose last call is the last of its step also adds what the file itself contains", async () => {
  const bytes = Pdf.pages([{ content: Pdf.lines(["Invoice 4711", "Total 12.00"]) }]);
  const limits = { calls: 1, until: Number.POSITIVE_INFINITY };
  model.respond = () => said("12.00");
  const { performed, workers } = await inTurn({ bytes, limits });
  expect([workers, performed.error]).toEqual([1, undefined]);
  expect(performed.record.text_layer?.pages[0]?.words).toHaveLength(4);
});

test("the next worker uses the earlier worker's looks at pages", async () => {
  const { bytes: sheet } = await drawSheet(21_004, { receipts: 3, ground: "table", fonts: ["sans-serif"] });
  model.respond = () => said("12.00");
  const page = await sharp(sheet).tiff({ compression: "jpeg" }).toBuffer();
  const limits = { calls: 1, until: Number.POSITIVE_INFINITY };
  const about = { bytes: tiffOf([page, page, page]), look: true };
  const [whole, parted] = [await inTurn(about), await inTurn({ ...about, limits })];
  expect(parted.workers).toBeGreaterThan(1);
  expect(whole.performed.answer.warnings).toContainEqual({ code: "several_receipts", found: 9 });
  expect(read(parted.performed)).toEqual(read(whole.performed));
});

test("an outage of the bucket costs no call: what could not be stored is stored with the next one", async () => {
  model.respond = pageNumbers;
  const bytes = await sheets(6);
  let failures = 0;
  store.hook.answer = ({ operation }) => {
    if (operation !== "PutObject" || failures === 1) return undefined;
    failures += 1;
    return { status: 400 };
  };
  const limits = { calls: 1, until: Number.POSITIVE_INFINITY };
  const { performed, calls, workers } = await inTurn({ bytes, limits });
  expect(failures).toBeGreaterThan(0);
  expect(performed.error).toBeUndefined();
  expect(calls).toBe(3);
  expect(workers).toBeGreaterThan(1);
});

test("a worker that was overtaken stops, and does not replace the other worker's calls", async () => {
  model.respond = pageNumbers;
  const bytes = await sheets(6);
  const worker = { bytes, requestId: "overtaken", limits: { calls: 1, until: Number.POSITIVE_INFINITY } };
  const respond = model.respond;
  // While the first worker makes its first call, the second one finishes its step.
  model.respond = async (request, n) => {
    model.respond = respond;
    expect((await work({ ...worker, token: 2 })).stored).toBe(1);
    return respond(request, n);
  };
  const failure = await work({ ...worker, token: 1, limits: undefined }).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(Steps.Overtaken);
  expect(await relsOf("overtaken")).toHaveLength(1);
  // Calls that another document of the same id stored are neither used nor overwritten.
  await store.put(`${Place.stepPrefix("k", "strange", createdAt)}0001`, "no step");
  const { performed, stored } = await work({ ...worker, requestId: "strange", token: 5 });
  expect([performed.error, performed.isStepOver, stored]).toEqual([undefined, undefined, 0]);
});
