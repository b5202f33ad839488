import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { readXlsx } from "hucre/xlsx";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, open } from "#test/support/batch-cli";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Papers from "#test/support/papers";
import { pagesOf, sheets } from "#test/support/sheets";
import { type Rig, start } from "#test/support/source-loop";

/** One file of four documents, of which the second cannot be read: every way in which its answer leaves the product. */

let at: Rig;
let cli: Cli;
beforeAll(async () => {
  at = await start({
    respond: async (request) => {
      const [page = 0] = await pagesOf(request);
      return page === 2 ? ModelServer.text("no JSON") : ModelServer.json(receipt(page));
    },
  });
  cli = open();
  cli.file("post/day.tif", await sheets(4));
  cli.file("labels.json", JSON.stringify(labels));
  const ran = await ocrlty("batch", "post", "--split", "--run-id", "day", "--gt", "labels.json", ...task);
  expect([ran.status, ran.stderr]).toEqual([0, expect.stringContaining("day")]);
});
afterAll(async () => {
  cli?.remove();
  await at?.close();
});

const task = ["--task", "receipt_v1"];
const receipt = (page: number) =>
  Papers.receipt(
    page,
    { subtotal: `${page}0.00`, total: `${page}0.00` },
    {
      merchant: Papers.merchant(`Shop ${page}`),
      items: [{ name: "CAKE", quantity: "1", unit_price: null, price: `${page}0.00` }],
    },
  ).result ?? {};
/** Of the third document a wrong name; the fourth is right; the fifth is not there. */
const labels = [
  { file: "day.tif", total: "10.00", "merchant.name": "Shop 1" },
  { file: "day.tif#2", total: "20.00" },
  { file: "day.tif#3", total: "30.00", "merchant.name": "Another" },
  { file: "day.tif#4", total: "40.00", "merchant.name": "Shop 4" },
  { file: "day.tif#5", total: "50.00" },
].map(({ file, total, "merchant.name": name }) => ({
  ...{ file, totals: { total } },
  ...(name === undefined ? {} : { merchant: { name } }),
}));

/** Receipts have no due date. */
const paid = { payment_days: 30 };
const mappings = {
  datev: Papers.datev,
  xero: { ...Papers.xero, ...paid },
  quickbooks: { ...Papers.quickbooks, ...paid },
  beancount: Papers.beancount,
};

const ocrlty = (...args: string[]) =>
  cli.run(args, { env: { OCRLTY_URL: at.loop.url, OCRLTY_API_KEY: at.loop.apiKey } });
const results = async (query: string) => {
  const answer = await at.call(`/v1/runs/day/results?${query}`);
  expect(answer.status, answer.text).toBe(200);
  return answer;
};
const totals = ["10.00", "", "30.00", "40.00"];

describe("a table", () => {
  test("as CSV has a row for each document, the failed one among them", async () => {
    const rows = parse<Record<string, string>>((await results("format=csv")).text, { columns: true });
    const of = (name: string) => rows.map((row) => row[name]);
    expect([of("document"), of("totals.total"), of("totals.total_value")]).toEqual([
      ["1", "2", "3", "4"],
      totals,
      ["10", "", "30", "40"],
    ]);
    expect(of("status")).toEqual(["succeeded", "failed", "succeeded", "succeeded"]);
    expect(of("error_code")).toEqual(["", "invalid_model_output", "", ""]);
    expect(
      new Set(rows.map(({ index, file, request_id, pages }) => [index, file, request_id, pages].join())),
    ).toEqual(new Set(["0,day.tif,day~0,1"]));
  });

  test("of line items names the document of each row", async () => {
    const { text } = await results("format=line_items_csv");
    const rows = parse<Record<string, string>>(text, { columns: true });
    expect(rows.map(({ document, line, price }) => [document, line, price])).toEqual([
      ["1", "1", "10.00"],
      ["3", "1", "30.00"],
      ["4", "1", "40.00"],
    ]);
  });

  test("as a workbook has both, and the command line writes the same", async () => {
    const { status, stderr } = await ocrlty("results", "day", "--format", "xlsx", "--out", "day.xlsx");
    expect(status, stderr).toBe(0);
    const { sheets: found } = await readXlsx(readFileSync(join(cli.dir, "day.xlsx")));
    const column = (sheet: number, name: string) => {
      const [header = [], ...rows] = found[sheet]?.rows ?? [];
      return rows.map((row) => row[header.indexOf(name)]);
    };
    expect(column(0, "document")).toEqual([1, 2, 3, 4]);
    expect(column(0, "totals.total")).toEqual(totals.map((total) => (total === "" ? null : total)));
    expect(column(1, "document")).toEqual([1, 3, 4]);
  });
});

test("JSON and JSON lines have one item with its documents", async () => {
  const documents = [1, 2, 3, 4].map((page) => ({
    pages: [page],
    status: page === 2 ? "failed" : "succeeded",
    result: page === 2 ? null : { totals: { total: `${page}0.00` } },
  }));
  const item = { index: 0, file: "day.tif", status: "succeeded", result: null, pages: 4, documents };
  expect(JSON.parse((await results("format=jsonl")).text)).toMatchObject(item);
  expect((await results("format=json")).body).toMatchObject({ items: [item] });
  const run = (await at.call("/v1/runs/day")).body;
  expect(run).toMatchObject({ counts: { total: 1, succeeded: 1, failed: 0, pages: 4, documents: 3 } });
});

test.each(["datev", "xero", "quickbooks", "beancount"] as const)(
  "%s books each document as an entry of its own, and names the one that was not read",
  async (format) => {
    const mapping = mappings[format];
    cli.file("mapping.json", JSON.stringify(mapping));
    const name = format === "datev" ? "EXTF_day.csv" : `day.${format}`;
    const args = ["--format", format, "--mapping", "mapping.json", "--out", name];
    const { status, stderr } = await ocrlty("results", "day", ...args);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/document 2|document":2|day\.tif/)]);
    const booked = cli.read(name);
    for (const total of ["10", "30", "40"]) expect(booked).toMatch(new RegExp(`\\b${total}[.,]00\\b`));
    expect(booked).not.toMatch(/\b20[.,]00\b/);
    const called = await at.call(
      `/v1/runs/day/results?format=${format}&partial=1&mapping=${encodeURIComponent(JSON.stringify(mapping))}`,
    );
    expect([called.status, called.headers.get("x-left-out")], called.text).toEqual([200, "1"]);
  },
);

test("labels of file#2 are held against the second document, and one that is not there is named", async () => {
  await expect
    .poll(async () => (await at.call("/v1/runs/day")).body, { timeout: 20_000 })
    .toMatchObject({ eval: { status: "succeeded", documents: 5 } });
  const run = (await at.call("/v1/runs/day")).body as { eval: { poll_url: string } };
  const { body } = await at.call(run.eval.poll_url);
  const { fields, samples } = body as {
    fields: { path: string; accuracy: number }[];
    samples: { url: string }[];
  };
  const figure = (path: string) => fields.find((each) => each.path === path);
  expect(figure("totals.total")).toMatchObject({ accuracy: 3 / 5 });
  expect(figure("merchant.name")).toMatchObject({ accuracy: 2 / 3 });
  const lines = (await (await fetch(samples[0]?.url ?? "")).text()).trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toMatchObject(
    [1, 2, 3, 4, 5].map((document) => ({ file: "day.tif", document })),
  );
});

describe("the command line", () => {
  test("reads a file apart, gives the same answer by its id, and replays it", async () => {
    const read = await ocrlty("extract", "post/day.tif", "--split", "--request-id", "one", ...task);
    expect(read.status, read.stderr).toBe(0);
    const answer = JSON.parse(read.stdout) as { documents: { status: string }[] };
    expect(answer.documents.map(({ status }) => status)).toEqual([
      ...["succeeded", "failed", "succeeded", "succeeded"],
    ]);
    const again = await at.withoutModel(async () => {
      const { stdout } = await ocrlty("extract", "--get", "one");
      expect(JSON.parse(stdout)).toMatchObject(answer);
      return { status: 200, headers: new Headers(), text: stdout, body: undefined };
    });
    expect(again.status).toBe(200);
    const replayed = await ocrlty("replay", "one", "day");
    expect(replayed.status, replayed.stdout + replayed.stderr).toBe(0);
  });
});
