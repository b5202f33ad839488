import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type * as Config from "#core/config";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import * as Hanging from "#core/document/fixtures/hanging";
import { replay } from "#core/replay/replay";
import * as Task from "#core/task/task";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";
import { pagesOf, sheet, sheets } from "#test/support/sheets";
import * as TestBucket from "#test/support/test-bucket";
import { tiffOf } from "#test/support/tiff";
import { type Performed, perform } from "./reading.ts";
import type { Artifact } from "./schema.ts";

/** Documents of several pages before a scripted model server, which reads each page as the test says. */

let model: ModelServer.ModelServer;
beforeAll(async () => {
  model = await ModelServer.start({ maxModelLen: 8_192 });
});
afterAll(() => model.close());
beforeEach(() => {
  model.requests.length = 0;
});

const createdAt = new Date("2026-11-23T10:00:00Z");
/** Room for two pages a call, by the prompt and the longest answer of an invoice. */
const twoPages = 8_192;
/** Room for as many pages as the server accepts: four. */
const manyPages = 32_768;

interface Wish {
  pages?: number[];
  contextTokens?: number;
  decoder?: Decoder;
}

async function read(bytes: Uint8Array, { pages, contextTokens = twoPages, decoder }: Wish = {}) {
  const task = Task.get("invoice_v1");
  if (task === undefined) throw new Error("no such task");
  const server: Config.Model = {
    ...{ baseUrl: model.url, apiKey: undefined, model: "scripted-model", maxImages: 4 },
    ...{
      connectTimeoutMs: 500,
      readTimeoutMs: 5_000,
      maxModelLen: contextTokens,
      maxTokens: undefined,
      look: false,
    },
  };
  const document = await Document.open(bytes, { decoder });
  return await perform(server, {
    ...{ task, document, createdAt, requestId: "r-1", log: TestBucket.silent },
    pages: pages ?? Array.from({ length: document.pages }, (_, index) => index + 1),
    deadline: Date.now() + 30_000,
    signal: new AbortController().signal,
  });
}

const empty = {
  ...{ invoice_number: null, invoice_date: null, due_date: null, purchase_order: null, currency: null },
  supplier: { name: null, address: null, tax_id: null, email: null, phone: null, iban: null, bic: null },
  customer: { name: null, address: null, tax_id: null },
  ...{ line_items: [], taxes: [], subtotal: null, discount: null, shipping: null, tax: null, total: null },
  ...{ amount_paid: null, amount_due: null },
};
const line = (description: string, amount: string) => ({
  ...{ description, quantity: null, unit_price: null, tax_rate: null, amount },
});

/** The print on three sheets of one invoice. */
const invoice: Record<number, object> = {
  1: {
    ...{ invoice_number: "RE-2026/17", invoice_date: "23.11.2026", currency: "€" },
    supplier: { ...empty.supplier, name: "Muster Bau GmbH" },
    line_items: [line("Beton", "100,00"), line("Kies", "50,00"), line("Übertrag", "150,00")],
    total: "150,00",
  },
  2: {
    ...{ invoice_number: "RE-2026-17", invoice_date: "23.11.26", currency: "EUR" },
    line_items: [line("Übertrag von Seite 1", "150,00"), line("Übertragungskabel", "20,00")],
  },
  3: {
    supplier: { ...empty.supplier, name: "Muster Bau GmbH, Musterstadt" },
    line_items: [line("brought forward", "170.00"), line("Sand", "30,00")],
    taxes: [{ rate: "19 %", base: "200,00", amount: "38,00" }],
    ...{ subtotal: "200,00", tax: "38,00", total: "238,00" },
  },
};

/** The model's answer about these pages, in the order of the paper. */
const answered = (sheets: Record<number, object>) => async (request: ModelServer.Received) => {
  const found = (await pagesOf(request)).map((page) => ({ ...empty, ...sheets[page] }));
  const [first] = found;
  return ModelServer.json({
    ...first,
    ...Object.assign({}, ...found.map(({ line_items: _, ...page }) => given(page))),
    ...given(first ?? empty),
    line_items: found.flatMap(({ line_items }) => line_items),
    ...Object.fromEntries(
      ["subtotal", "tax", "total"].map((name) => [
        name,
        found.findLast((page) => page[name as "total"] !== null)?.[name as "total"] ?? null,
      ]),
    ),
  });
};
const given = (page: object) =>
  Object.fromEntries(Object.entries(page).filter(([, value]) => value !== null && String(value) !== ""));

const asked = () => Promise.all(model.requests.map(pagesOf));

function artifactOf({ error, answer, record, timingsMs, pageSizes }: Performed): Artifact {
  const artifact = {
    ...{
      request_id: "r-1",
      task_id: "invoice_v1",
      created_at: createdAt.toISOString(),
      ...answer,
      ...record,
    },
    status: error === undefined ? "succeeded" : "failed",
    ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
    ...{
      timings_ms: { total: 1, ...timingsMs },
      artifact_rel: null,
      payload_hash: "",
      code_version: "0.0.9",
    },
    ...{ input: { page_sizes: pageSizes }, principal: { key_id: "k", role: "client" } },
  };
  return JSON.parse(JSON.stringify(artifact)) as Artifact;
}

describe("an invoice of three pages", () => {
  test("is one answer: the head of its first page, the rows of all, the sums of its last", async () => {
    model.respond = answered(invoice);
    const performed = await read(await sheets(3));
    expect(performed.error).toBeUndefined();
    expect(await asked()).toEqual([[1, 2], [3]]);
    expect(performed.answer.result).toMatchObject({
      ...{ invoice_number: "RE-2026/17", invoice_date: "23.11.2026", currency: "€" },
      supplier: { name: "Muster Bau GmbH" },
      ...{ subtotal: "200,00", tax: "38,00", total: "238,00" },
      taxes: [{ rate: "19 %", base: "200,00", amount: "38,00" }],
    });
    const rows = performed.answer.result?.line_items as { description: string }[];
    // A row that only takes over a sum is none; "Übertragungskabel" is an item.
    expect(rows.map(({ description }) => description)).toEqual([
      "Beton",
      "Kies",
      "Übertragungskabel",
      "Sand",
    ]);
    expect(performed.answer.schema_ok).toBe(true);
    expect(performed.answer.warnings).toEqual([]);
    expect(performed.answer.checks.every(({ ok }) => ok)).toBe(true);
    expect(performed.answer.usage.attempts).toBe(2);
    expect(performed.record).toMatchObject({
      sent: null,
      sent_pages: [
        { page: 1, call: 1 },
        { page: 2, call: 1 },
        { page: 3, call: 2 },
      ],
      calls: [
        { call: 1, pages: [1, 2], finish_reason: "stop" },
        { call: 2, pages: [3], finish_reason: "stop" },
      ],
    });
    expect(performed.pageSizes.map(({ page, width, unit }) => [page, width, unit])).toEqual([
      [1, 1_056, "pixels"],
      [2, 1_088, "pixels"],
      [3, 1_120, "pixels"],
    ]);
    expect(await replay(artifactOf(performed), "0.1.0")).toMatchObject({ outcome: "same", differences: [] });
    const altered = artifactOf(performed);
    (altered.result as { total: string }).total = "238,01";
    expect(await replay(altered, "0.1.0")).toMatchObject({ outcome: "differs" });
  });

  test("is asked for with as many pages a call as the server accepts and the context allows", async () => {
    model.respond = answered(invoice);
    await read(await sheets(6), { contextTokens: manyPages });
    // The parts have the same size.
    expect(await asked()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });

  test("is read in the chosen order; if one page is chosen, only that page is read", async () => {
    model.respond = answered(invoice);
    const bytes = await sheets(3);
    const { record } = await read(bytes, { pages: [3] });
    await read(bytes, { pages: [3, 1], contextTokens: manyPages });
    expect(await asked()).toEqual([[3], [3, 1]]);
    expect(record.sent_pages).toMatchObject([{ page: 3, call: 1 }]);
  });

  test("whose pages have different headers has a warning, and the first header counts", async () => {
    model.respond = answered({
      ...invoice,
      3: { ...invoice[3], invoice_number: "4711", due_date: "1.12.2026" },
    });
    const { answer } = await read(await sheets(3));
    expect(answer.result).toMatchObject({ invoice_number: "RE-2026/17", due_date: "1.12.2026" });
    expect(answer.warnings).toEqual([{ code: "pages_disagree", fields: ["invoice_number"] }]);
  });

  test("sends its first pages to the model before its last page is drawn", async () => {
    model.respond = answered(invoice);
    const bytes = tiffOf([await sheet(1_056), await sheet(1_088), await sheet(Hanging.widths.hangs)]);
    const decoder = new Decoder({ program: async () => Hanging.url, limitMs: 4_000 });
    const { error } = await read(bytes, { decoder });
    decoder.end();
    expect(error?.details?.reason).toBe("decoding_took_too_long");
    expect(model.requests.length).toBe(1);
  });
});

describe("blank pages", () => {
  test("among others are left out and named", async () => {
    model.respond = answered(invoice);
    const performed = await read(await sheets(3, [2]));
    expect(await asked()).toEqual([[1], [3]]);
    expect(performed.answer.warnings).toEqual([
      { code: "blank_pages", pages: [2] },
      // The sum on page 3 is larger than the rows of pages 1 and 3.
      { code: "rows_missing", reason: "sum_differs" },
    ]);
    expect(performed.answer).toMatchObject({ complete: false, rows: { returned: 3, reason: "sum_differs" } });
    expect(performed.record.sent_pages?.map(({ page }) => page)).toEqual([1, 3]);
  });

  test("alone are no document, and the model is not asked", async () => {
    const { error, answer } = await read(await sheets(2, [1, 2]));
    expect([error?.code, error?.retry, error?.details]).toEqual([
      "invalid_image",
      false,
      { reason: "blank_page" },
    ]);
    expect([model.requests.length, answer.usage.attempts]).toEqual([0, 0]);
  });
});

describe("a call that fails", () => {
  const long = Array.from({ length: 60 }, (_, n) => line(`Posten ${n}`, "1,00"));
  test("because the answer about two pages is too long is repeated page by page", async () => {
    const sheetsOf = { 1: { line_items: long }, 2: { line_items: long } };
    model.respond = async (request) =>
      request.images.length > 1
        ? ModelServer.text('{"line_items":[{"description":"Posten 1","am', { finishReason: "length" })
        : answered(sheetsOf)(request);
    const performed = await read(await sheets(2));
    expect(performed.error).toBeUndefined();
    expect(performed.answer.result?.line_items).toHaveLength(120);
    expect(performed.record.calls?.map(({ pages, repeated }) => [pages, repeated])).toEqual([
      [[1, 2], true],
      [[1], undefined],
      [[2], undefined],
    ]);
    expect(performed.record.sent_pages?.map(({ page, call }) => [page, call])).toEqual([
      [1, 2],
      [2, 3],
    ]);
    expect(performed.answer.usage.attempts).toBe(model.requests.length);
    expect(await replay(artifactOf(performed), "0.1.0")).toMatchObject({ outcome: "same" });
  });

  test("ends the document with all attempts on record, and a later page that did not fit is marked", async () => {
    model.respond = async (request) =>
      (await pagesOf(request)).includes(3)
        ? ModelServer.text('{"line_items":[{"description":"Sand","amount":"1"},{"desc', {
            finishReason: "length",
          })
        : answered(invoice)(request);
    const performed = await read(await sheets(3));
    expect(performed.error?.code).toBe("answer_too_long");
    expect(performed.answer).toMatchObject({ complete: false, result: { invoice_number: "RE-2026/17" } });
    expect(performed.answer.usage.attempts).toBe(model.requests.length);
    expect(await replay(artifactOf(performed), "0.1.0")).toMatchObject({ outcome: "same" });
  });
});

test("a single picture is recorded as before", async () => {
  model.respond = () => ModelServer.json(empty);
  const { record } = await read(await picture(1, "png"));
  expect(record).toMatchObject({ sent: { mime_type: "image/png" } });
  expect(record).not.toHaveProperty("sent_pages");
  expect(record).not.toHaveProperty("calls");
});
