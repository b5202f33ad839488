import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import { type Performed, perform } from "#core/reading/reading";
import type { Artifact } from "#core/reading/schema";
import { replay } from "#core/replay/replay";
import * as Task from "#core/task/task";
import { longPaper, shownOn } from "#test/support/long-paper";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Vllm from "#test/support/model-server/vllm";
import * as TestBucket from "#test/support/test-bucket";
import { tiffOf } from "#test/support/tiff";

/** Receipts so long that one picture of them could not be read, before a scripted server that reads the lines of each tile. */

/** Little room for a picture: three quarters of a megapixel. */
const contextTokens = 3_584;
let model: ModelServer.ModelServer;
beforeAll(async () => {
  model = await ModelServer.start({ maxModelLen: contextTokens });
});
afterAll(() => model.close());
beforeEach(() => {
  model.requests.length = 0;
});

const createdAt = new Date("2026-11-23T10:00:00Z");
type Row = { name: string; quantity: string | null; unit_price: null; price: string };

const head = ["MARKET CENTRE", "12 High Street", "Tel: 555-1234 56", "Date: 23/11/2026"];
const cents = (at: number) => 100 + ((at * 37) % 900);
const money = (value: number) => (value / 100).toFixed(2);

/** Every ninth row is followed by two that are equal to it. */
function itemsOf(count: number): Row[] {
  return Array.from({ length: count }, (_, at) => {
    const of = at - (at % 9 < 3 ? at % 9 : 0);
    return {
      name: `T${of} ${["Milk", "Bread", "Butter", "Soap"][of % 4]}`,
      quantity: "1",
      unit_price: null,
      price: money(cents(of)),
    };
  });
}

interface Paper {
  items: Row[];
  bytes: Buffer;
  total: string;
}

async function paperOf(count: number): Promise<Paper> {
  const items = itemsOf(count);
  const total = money(items.reduce((sum, { price }) => sum + Math.round(Number(price) * 100), 0));
  const bytes = await longPaper([
    ...head.map((left) => ({ left })),
    ...items.map(({ name, price }) => ({ left: `1 ${name}`, right: price })),
    { left: "TOTAL", right: total },
    { left: "Cash", right: total },
  ]);
  return { items, bytes, total };
}

interface Seen {
  lines: number[][];
  broken: number;
}

/** The server answers with the lines that the picture shows; `change` adds the model's mistakes. */
function reads({ items, total }: Paper, change: (rows: Row[], call: number) => Row[] = (rows) => rows): Seen {
  const seen: Seen = { lines: [], broken: 0 };
  model.respond = async (request, call) => {
    const [image] = request.images;
    if (image === undefined) throw new Error("no picture came");
    const { lines, broken } = await shownOn(image.bytes);
    const after = /The first (\d+) entries/.exec(request.prompt)?.[1];
    if (after === undefined) seen.lines.push(lines);
    seen.broken += broken;
    const shown = lines.flatMap((line) => items[line - head.length] ?? []);
    const hasTotal = lines.includes(head.length + items.length);
    const isFirst = lines.includes(0);
    const answer = {
      merchant: {
        name: isFirst ? head[0] : null,
        address: isFirst ? head[1] : null,
        phone: null,
        tax_id: null,
      },
      ...{ receipt_number: null, date: isFirst ? "23/11/2026" : null, time: null, currency: null },
      items: change(shown, call).slice(Number(after ?? 0)),
      totals: {
        ...none("subtotal", "discount", "service", "tax", "tip", "rounding"),
        total: hasTotal ? total : null,
      },
      payment: { ...none("method", "card", "change", "card_last4"), cash: hasTotal ? total : null },
    };
    return Vllm.answer({ contextTokens }, request, JSON.stringify(answer));
  };
  return seen;
}

const none = (...names: string[]) => Object.fromEntries(names.map((name) => [name, null]));

async function read(bytes: Uint8Array, { look = true, pages = [1] } = {}) {
  const task = Task.get("receipt_v1");
  if (task === undefined) throw new Error("no such task");
  const document = await Document.open(bytes);
  const server: Config.Model = {
    ...{ baseUrl: model.url, apiKey: undefined, model: "scripted-model", maxImages: 4 },
    ...{
      connectTimeoutMs: 500,
      readTimeoutMs: 5_000,
      maxModelLen: contextTokens,
      maxTokens: undefined,
      look,
    },
  };
  return await perform(server, {
    ...{ task, document, pages, createdAt, requestId: "r-1", log: TestBucket.silent },
    ...{ signal: new AbortController().signal, deadline: Date.now() + 60_000 },
  });
}

function artifactOf({ error, answer, record }: Performed): Artifact {
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
  return JSON.parse(JSON.stringify(artifact)) as Artifact;
}

/** The guarantees that hold whatever the model answers for rows that two tiles show. */
function expectTiled(performed: Performed, seen: Seen, paper: Paper): void {
  expect(performed.error).toBeUndefined();
  expect(seen.broken).toBe(0);
  expect(seen.lines.length).toBeGreaterThan(1);
  expect(new Set(seen.lines.flat()).size).toBe(head.length + paper.items.length + 2);
  for (const [at, lines] of seen.lines.slice(1).entries())
    expect(lines.filter((line) => seen.lines[at]?.includes(line)).length).toBeGreaterThanOrEqual(4);
  expect(performed.answer.result).toMatchObject({
    merchant: { name: head[0] },
    ...{ date: "23/11/2026", totals: { total: paper.total }, items: paper.items },
  });
  expect(performed.answer.warnings).toEqual([]);
  const returned = paper.items.length;
  expect(performed.answer).toMatchObject({
    complete: true,
    rows: { returned, printed: null, reason: "adds_up" },
  });
}

describe("a receipt that is too long for one picture", () => {
  let paper: Paper;
  beforeAll(async () => {
    paper = await paperOf(200);
  });

  test("is read in tiles that cut no line and share some lines, and each row of the paper is there once", async () => {
    const seen = reads(paper);
    const performed = await read(paper.bytes);
    expectTiled(performed, seen, paper);
    expect(performed.answer.quality?.reasons).not.toContain("text_too_small");
    const { sent, sent_pages: sentPages, calls = [] } = performed.record;
    expect(sent).toBeNull();
    expect(sentPages?.map(({ page, tile }) => [page, tile])).toEqual(seen.lines.map((_, at) => [1, at + 1]));
    expect(calls[0]).toMatchObject({ pages: [1], tile: { number: 1, of: seen.lines.length, top: 0 } });
    // Answers about tiles may be as long as others, and are continued.
    expect(calls.some(({ tile, after_row }) => tile?.number === 2 && after_row !== undefined)).toBe(true);
    expect(await replay(artifactOf(performed), "0.1.0")).toMatchObject({ outcome: "same", differences: [] });
  });

  test("is read as well without the look", async () => {
    const seen = reads(paper);
    const performed = await read(paper.bytes, { look: false });
    expectTiled(performed, seen, paper);
    expect(performed.answer.quality).toBeNull();
  });

  test("keeps a row that one of two tiles lacks", async () => {
    let last: Row | undefined;
    const seen = reads(paper, (rows) => {
      if (rows.includes(paper.items[0] as Row)) {
        last = rows.at(-2);
        return rows;
      }
      return rows.filter((row) => row !== last);
    });
    expectTiled(await read(paper.bytes), seen, paper);
  });

  test("is reported as incomplete when the model leaves out a row", async () => {
    reads(paper, (rows) => rows.filter((row) => row !== paper.items[30]));
    const { error, answer } = await read(paper.bytes);
    expect(error).toBeUndefined();
    expect(answer).toMatchObject({
      complete: false,
      rows: { returned: paper.items.length - 1, reason: "sum_differs" },
    });
    expect(answer.warnings).toEqual([{ code: "rows_missing", reason: "sum_differs" }]);
  });

  test("fails with the rows of all tiles that were read when one answer does not end", async () => {
    reads(paper, (rows) => (rows.includes(paper.items[0] as Row) ? rows : Array(5_000).fill(rows[7])));
    const performed = await read(paper.bytes);
    expect(performed.error?.code).toBe("answer_too_long");
    expect(performed.answer.complete).toBe(false);
    const { items = [] } = (performed.answer.result ?? {}) as { items?: Row[] };
    expect(items.slice(0, 60)).toEqual(paper.items.slice(0, 60));
    expect(await replay(artifactOf(performed), "0.1.0")).toMatchObject({ outcome: "same", differences: [] });
  });
});

test("pages of a document are each cut as they need it", async () => {
  const [long, short] = [await paperOf(150), await paperOf(5)];
  const bytes = tiffOf(await Promise.all([long, short].map(({ bytes }) => sharp(bytes).tiff().toBuffer())));
  const seen = reads(long);
  const { record, error } = await read(bytes, { pages: [1, 2] });
  expect(error).toBeUndefined();
  const tiles = record.sent_pages?.map(({ page, tile }) => [page, tile]);
  expect(tiles?.at(-1)).toEqual([2, undefined]);
  expect(tiles?.slice(0, -1)).toEqual(seen.lines.slice(0, -1).map((_, at) => [1, at + 1]));
  expect(tiles?.length).toBeGreaterThan(2);
});
