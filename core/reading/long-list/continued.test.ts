import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import { type Performed, perform } from "#core/reading/reading";
import type { Artifact } from "#core/reading/schema";
import { replay } from "#core/replay/replay";
import * as Task from "#core/task/task";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Vllm from "#test/support/model-server/vllm";
import { picture } from "#test/support/pictures";
import { pagesOf, sheets } from "#test/support/sheets";
import * as TestBucket from "#test/support/test-bucket";
import * as Continued from "./continued.ts";

/** Receipts whose rows take more tokens than an answer may have, before a scripted server that counts as vLLM does. */

let model: ModelServer.ModelServer;
beforeAll(async () => {
  model = await ModelServer.start({ maxModelLen: 8_192 });
});
afterAll(() => model.close());
beforeEach(() => {
  model.requests.length = 0;
});

const createdAt = new Date("2026-11-23T10:00:00Z");
type Row = Record<string, unknown>;

/** Every seventh row is printed twice in a row, and every third row is the same everywhere. */
function paper(lines: number) {
  const whole = Vllm.receipt(lines);
  const items = whole.items.flatMap((row, at): Row[] => {
    if (at % 3 === 0) return [{ ...row, name: "PFAND", price: "0,25" }];
    return at % 7 === 0 ? [row, row] : [row];
  });
  return { ...whole, items: items.slice(0, lines) };
}

/** After how many rows an answer is asked to go on; undefined for a first question. */
const seamOf = ({ prompt }: ModelServer.Received) => Continued.asked(prompt)?.after;

/** A server with room for some 130 rows; `from` sets where its answer to a further question begins. */
function answers(
  lines: number,
  from: (seam: number, call: number) => number,
  house: Vllm.House = { contextTokens: 8_192 },
): ReturnType<typeof paper> {
  const whole = paper(lines);
  model.respond = (request, call) => {
    const seam = seamOf(request);
    const items = whole.items.slice(seam === undefined ? 0 : from(seam, call));
    return Vllm.answer(house, request, JSON.stringify({ ...whole, items }));
  };
  return whole;
}

interface Wish {
  deadlineMs?: number;
  debug?: { max_tokens: number };
  handsOver?: boolean;
  maxModelLen?: number;
  bytes?: Uint8Array;
}

async function read(wish: Wish = {}) {
  const { deadlineMs = 30_000, debug, handsOver, maxModelLen = 8_192, bytes } = wish;
  const document = await Document.open(bytes ?? (await picture(1)));
  const task = Task.get("receipt_v1");
  if (task === undefined) throw new Error("no such task");
  const server: Config.Model = {
    ...{ baseUrl: model.url, apiKey: undefined, model: "scripted-model", maxImages: 4 },
    ...{ connectTimeoutMs: 500, readTimeoutMs: 5_000, maxModelLen, maxTokens: undefined, look: false },
  };
  return await perform(server, {
    ...{ task, document, pages: document.pages === 1 ? [1] : [1, 2], createdAt },
    ...{ requestId: "r-1", log: TestBucket.silent, signal: new AbortController().signal },
    ...{ debug, handsOver, deadline: Date.now() + deadlineMs },
  });
}

const rowsOf = ({ answer }: Performed) => answer.result?.items as Row[];

async function replayed({ error, answer, record }: Performed) {
  const artifact = {
    ...{
      request_id: "r-1",
      task_id: "receipt_v1",
      created_at: createdAt.toISOString(),
      ...answer,
      ...record,
    },
    status: error === undefined ? "succeeded" : "failed",
    ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
  };
  return (await replay(JSON.parse(JSON.stringify(artifact)) as Artifact, "0.1.0")).outcome;
}

describe("a receipt of 500 rows", () => {
  test("is read in several calls, each after the rows of the one before, and all rows are there once", async () => {
    const whole = answers(500, (seam) => seam);
    const performed = await read();
    expect(performed.error).toBeUndefined();
    expect(performed.answer.result).toEqual(whole);
    expect(performed.answer.rows?.returned).toBe(500);
    expect(performed.answer.schema_ok).toBe(true);
    const { calls = [], attempts, sent } = performed.record;
    expect(model.requests.length).toBeLessThanOrEqual(4);
    expect(calls.map(({ call }) => call)).toEqual(model.requests.map((_, index) => index + 1));
    const needed = JSON.stringify(whole).length / 2;
    expect(performed.answer.usage.completion_tokens).toBeLessThan(1.1 * needed);
    const after = calls.map(({ after_row }) => after_row ?? 0);
    expect(after).toEqual(after.toSorted((a, b) => a - b));
    expect(
      calls
        .map(({ finish_reason }) => finish_reason)
        .toSorted()
        .at(-1),
    ).toBe("stop");
    expect(attempts).toMatchObject(calls.map(({ call }) => ({ call, kind: "first" })));
    expect(sent).toMatchObject({ mime_type: "image/jpeg" });
    // The prompt and the picture come first, as before: the server has them in its cache.
    const [first, ...others] = model.requests.map(({ body }) => body.messages?.[0]?.content as unknown[]);
    for (const content of others) expect(content.slice(0, 2)).toEqual(first);
    expect(await replayed(performed)).toBe("same");
    rowsOf(performed).splice(200, 1);
    expect(await replayed(performed)).toBe("differs");
  });

  test("has no row twice where the server repeats rows, and equal neighbors stay two", async () => {
    const whole = answers(500, (seam, call) => Math.max(0, seam - (call % 5)));
    const performed = await read();
    expect(performed.error).toBeUndefined();
    expect(performed.answer.result).toEqual(whole);
    expect(await replayed(performed)).toBe("same");
  });

  test("is incomplete if the server starts at the first row each time: two calls, and the rows that were read", async () => {
    const whole = answers(500, () => 0);
    const performed = await read();
    expect(performed.error).toMatchObject({ code: "answer_too_long", retry: false });
    expect(performed.answer.complete).toBe(false);
    expect(model.requests).toHaveLength(2);
    expect(rowsOf(performed)).toEqual(whole.items.slice(0, rowsOf(performed).length));
    expect(performed.error?.details?.rows).toBe(rowsOf(performed).length);
    expect(await replayed(performed)).toBe("same");
  });

  test("is never joined across missing rows", async () => {
    const whole = answers(500, (seam) => seam + 2);
    const performed = await read();
    expect(performed.error?.code).toBe("answer_too_long");
    expect(performed.answer.complete).toBe(false);
    expect(performed.record.calls?.map(({ repeated }) => repeated)).toEqual([undefined, true, true]);
    expect(rowsOf(performed)).toEqual(whole.items.slice(0, rowsOf(performed).length));
    expect(performed.answer.usage.attempts).toBe(3);
    expect(await replayed(performed)).toBe("same");
  });

  test("is asked for once if the caller sets the length of an answer", async () => {
    answers(500, (seam) => seam);
    const performed = await read({ debug: { max_tokens: 2_000 } });
    expect(performed.error?.code).toBe("answer_too_long");
    expect(model.requests.filter((request) => seamOf(request) !== undefined)).toEqual([]);
    expect(performed.record).not.toHaveProperty("calls");
    expect(await replayed(performed)).toBe("same");
  });
});

test("of two pages: each page's list is continued separately, and the rows of both are joined", async () => {
  const whole = paper(300);
  const carried = { name: "Übertrag", quantity: null, unit_price: null, price: "99,00" };
  const rowsOn: Record<number, Row[]> = {
    1: whole.items.slice(0, 140),
    2: [carried, ...whole.items.slice(140)],
  };
  model.respond = async (request) => {
    const pages = await pagesOf(request);
    const items = pages.flatMap((page) => rowsOn[page] ?? []).slice(seamOf(request) ?? 0);
    return Vllm.answer({ contextTokens: 8_192 }, request, JSON.stringify({ ...whole, items }));
  };
  const performed = await read({ bytes: await sheets(2) });
  expect(performed.error).toBeUndefined();
  expect(performed.answer.result).toEqual(whole);
  const { calls = [], sent_pages } = performed.record;
  // Both pages together did not fit; then the first goes on once or more, and the second likewise.
  expect(calls[0]).toMatchObject({ pages: [1, 2], repeated: true });
  for (const page of [1, 2]) {
    const [first, ...others] = calls.filter(({ pages }) => pages.length === 1 && pages[0] === page);
    expect(first).not.toHaveProperty("after_row");
    expect(others.length).toBeGreaterThan(0);
    expect(sent_pages).toContainEqual(expect.objectContaining({ page, call: first?.call }));
  }
  expect(await replayed(performed)).toBe("same");
});

describe("a further call that fails", () => {
  const fails = (behavior: ModelServer.Behavior) => {
    answers(500, (seam) => seam);
    const { respond } = model;
    model.respond = (request, n) => (seamOf(request) === undefined ? respond(request, n) : behavior);
  };

  test("for lack of time is left to the queue if a caller waits", async () => {
    fails(ModelServer.hang());
    const performed = await read({ deadlineMs: 1_000, handsOver: true });
    expect(performed.error?.code).toBe("inference_timeout");
    expect(performed.answer).toMatchObject({ result: null, usage: { attempts: 2 } });
    expect(await replayed(performed)).toBe("same");
  });

  test("because the server is away is no fault of the list", async () => {
    fails(ModelServer.reset());
    model.models = ModelServer.html(502);
    const performed = await read();
    model.models = "list";
    expect(performed.error).toMatchObject({ code: "inference_unavailable", retry: true });
    expect(performed.answer.usage.attempts).toBe(performed.record.attempts.length);
  });

  test("because its answer is no object ends with the rows that were read", async () => {
    fails(ModelServer.text("There are no more entries."));
    const performed = await read();
    expect(performed.error?.code).toBe("answer_too_long");
    expect(rowsOf(performed).length).toBeGreaterThan(50);
    expect(await replayed(performed)).toBe("same");
  });
});

test("a context that is smaller than assumed is detected, and the rows are read", async () => {
  // What was learned about a server counts for ten minutes, so this is a new server.
  const shared = model;
  model = await ModelServer.start({ maxModelLen: 6_144 });
  const whole = answers(300, (seam) => seam, { contextTokens: 6_144 });
  const performed = await read({ maxModelLen: 16_384 });
  await model.close();
  model = shared;
  expect(performed.error).toBeUndefined();
  expect(performed.answer.result).toEqual(whole);
  expect(await replayed(performed)).toBe("same");
});

test("lists in groups are read, and so is one that is cut off after the long list", () => {
  const items = Array.from({ length: 30 }, (_, at) => ({ name: `ROW ${at}` }));
  const whole = { shop: "A", body: { items, taxes: [{ rate: "7" }, { rate: "19" }] }, total: "1" };
  const read = { shop: "A", body: { items, taxes: [{ rate: "7" }] } };
  const begun = Continued.begin({ value: read, rows: 30, brokenList: "body.taxes" });
  expect(begun && Continued.request(begun, 29)).toContain('"body.items"');
  const joined =
    begun && Continued.join(begun, 29, { ...whole, body: { ...whole.body, items: items.slice(29) } });
  expect(joined?.value).toEqual(whole);
  expect(
    Continued.begin({ value: { items: items.slice(0, 9) }, rows: 9, brokenList: "items" }),
  ).toBeUndefined();
});

test("a receipt of 110 rows is complete when the server starts again at the first row and has room for all rows", async () => {
  const whole = answers(110, () => 0);
  const performed = await read();
  expect(performed.answer.result).toEqual(whole);
  expect(model.requests).toHaveLength(2);
  expect(await replayed(performed)).toBe("same");
});

test("answers are joined at any row, however many rows are repeated there, on papers of few different rows", () => {
  let state = 1;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 500; round += 1) {
    const kinds = 2 + random(60);
    const items = Array.from({ length: 40 + random(40) }, () => ({ name: `ROW ${random(kinds)}` }));
    const read = { items: items.slice(0, 12 + random(items.length - 12)) };
    const begun = Continued.begin({ value: read, rows: read.items.length, brokenList: "items" });
    for (const seam of (begun && Continued.seams(begun))?.slice(0, 2) ?? []) {
      const from = Math.max(0, seam - random(6));
      const joined = begun && Continued.join(begun, seam, { items: items.slice(from), total: "1" });
      expect(joined?.value).toEqual({ items, total: "1" });
    }
  }
});

describe("endless rows", () => {
  test("are read in a bounded number of calls, and the rows so far are kept", async () => {
    const whole = answers(20_000, (seam) => seam);
    const performed = await read();
    expect(performed.error?.code).toBe("answer_too_long");
    expect(performed.answer.complete).toBe(false);
    expect(model.requests).toHaveLength(17);
    const rows = rowsOf(performed);
    expect(rows.length).toBeGreaterThan(1_500);
    expect(rows).toEqual(whole.items.slice(0, rows.length));
    expect(performed.error?.details?.rows).toBe(rows.length);
    expect(performed.answer.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(await replayed(performed)).toBe("same");
  });

  test("end with the rows so far when the time is over", async () => {
    answers(20_000, (seam) => seam);
    const { respond } = model;
    model.respond = (request, n) =>
      seamOf(request) === undefined ? respond(request, n) : ModelServer.hang();
    const performed = await read({ deadlineMs: 1_500 });
    expect(performed.error?.code).toBe("answer_too_long");
    expect(rowsOf(performed).length).toBeGreaterThan(50);
    expect(performed.record.attempts).toMatchObject([{ call: 1 }, { call: 2, error: "deadline" }]);
    expect(await replayed(performed)).toBe("same");
  });
});
