/** Labels `file#2`, drafts, differences and replays of a file that was split into documents, over HTTP against the whole stack. */
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, expect, test } from "vitest";
import type * as Read from "#core/evaluation/read";
import { type Cli, open } from "#test/support/batch-cli";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Papers from "#test/support/papers";
import { pagesOf, sheets } from "#test/support/sheets";
import { formOf, type Rig, start } from "#test/support/source-loop";

const task = ["--task", "receipt_v1"];
/** Each page is of another shop: where one ends is seen by its name. */
const receipt = (page: number) =>
  Papers.receipt(
    page,
    { total: totalOf(page), subtotal: null, tax: null },
    { merchant: Papers.merchant(`Shop ${page}`) },
  ).result ?? {};
/** What the model reads as the total of a page, from 1. */
let totalOf = (page: number) => `${page}0.00`;

let at: Rig;
let cli: Cli;
beforeAll(async () => {
  at = await start({
    respond: async (request) => {
      const [page = 0] = await pagesOf(request);
      return ModelServer.json(receipt(page));
    },
  });
  cli = open();
  cli.file("post/day.tif", await sheets(4));
  for (const runId of ["first", "second"]) {
    const ran = await ocrlty("batch", "post", "--split", "--run-id", runId, "--keep-inputs", ...task);
    expect(ran.status, ran.stderr).toBe(0);
    totalOf = (page) => (page === 3 ? "33.00" : `${page}0.00`);
  }
});
afterAll(async () => {
  cli?.remove();
  await at?.close();
});

const ocrlty = (...args: string[]) =>
  cli.run(args, { env: { OCRLTY_URL: at.loop.url, OCRLTY_API_KEY: at.loop.apiKey } });
const table = (path: string) => parse<Record<string, string>>(cli.read(path), { columns: true, bom: true });

test("each document is held to its own labels; one that nobody labeled is named, and tables say which is which", async () => {
  const labels = [
    { file: "day.tif", totals: { total: "10.00" } },
    { file: "post/day.tif#3", totals: { total: "30.00" } },
    { file: "day.tif#4", totals: { total: "40.00", tax: "1.00" } },
    { file: "day.tif#6", totals: { total: "60.00" } },
    { file: "day.tif#0", totals: { total: "1.00" } },
  ];
  cli.file("labels.json", JSON.stringify(labels));
  const args = ["--gt", "labels.json", "--worst", "worst.csv", "--json"];
  const { status, stdout, stderr } = await ocrlty("eval", "second", ...args);
  expect(status, stderr).toBe(0);
  const evaluation = JSON.parse(stdout) as Read.Shown;
  // By hand: 1 and 4 have their totals, 3 has another one, 6 is not there; the tax of 4 is missing. 2 has no labels.
  const total = evaluation.fields.find(({ path }) => path === "totals.total");
  expect(total).toMatchObject({ matched: 2, wrong: 1, missing: 1, scored: 4 });
  expect(evaluation.summary).toMatchObject({ documents: 4, answered: 3, canonical: { documents_right: 1 } });
  expect(evaluation.unmatched).toMatchObject({
    items: { count: 0 },
    records: { count: 1, first: [{ image: "day.tif#0", reason: "no_item" }] },
    documents: { count: 1, first: [{ index: 0, file: "day.tif", document: 2 }] },
  });
  expect((await ocrlty("eval", "second", "--gt", "labels.json")).stdout).toContain(
    "\n1 document has no labels, while another of its picture has: day.tif#2\n",
  );
  expect(table("worst.csv").map(({ document, fields }) => [document, fields])).toEqual([
    ["3", "totals.total"],
    ["4", "totals.tax"],
    ["6", "totals.total"],
    ["1", ""],
  ]);
  // The other run has the total of the third right.
  expect((await ocrlty("eval", "first", "--gt", "labels.json")).status).toBe(0);
  const diff = await ocrlty("diff", "first", "second", "--worst", "changed.csv");
  expect(diff.stdout).toMatch(/^day\.tif#3 +totals\.total +30\.00 +30\.00 +33\.00$/m);
  const [broken] = table("changed.csv");
  expect(broken).toMatchObject({
    broken: "1",
    file: "day.tif",
    document: "3",
    broken_fields: "totals.total",
  });
});

test("a draft names each document, and a run is right by its own", async () => {
  const draft = await ocrlty("gt", "from-run", "second", "--name", "draft", "--out", "draft.json");
  expect(draft.status, draft.stderr).toBe(0);
  const records = JSON.parse(cli.read("draft.json")) as { file: string }[];
  expect(records.map(({ file }) => file)).toEqual(["day.tif#1", "day.tif#2", "day.tif#3", "day.tif#4"]);
  const { stdout } = await ocrlty("eval", "second", "--gt", "draft");
  expect(stdout).toContain("documents right: 4 of 4");
  expect(stdout).not.toContain("no labels");
});

test("without labels the documents of both are compared, one by one", async () => {
  for (const runId of ["third", "fourth"]) {
    totalOf = (page) => (page === 2 && runId === "third" ? "22.00" : `${page}0.00`);
    expect((await ocrlty("batch", "post", "--split", "--run-id", runId, ...task)).status).toBe(0);
  }
  const { stdout } = await ocrlty("diff", "third", "fourth");
  expect(stdout).toMatch(/^totals\.total +75\.0 % +75\.0 % +4 +0$/m);
  expect(stdout).toContain("4 documents in both\n");
});

test("read again, the documents are held to those of before, in a run and alone", async () => {
  totalOf = (page) => (page === 3 ? "33.00" : page === 4 ? "44.00" : `${page}0.00`);
  const whole = await ocrlty("replay", "second", "--live");
  expect([whole.status, whole.stdout]).toEqual([1, expect.stringContaining("3 of 4 documents are the same")]);
  expect(whole.stdout).toMatch(/^totals\.total +3 +1$/m);
  const alone = await ocrlty("replay", "second~0", "--live");
  expect([alone.status, alone.stdout]).toEqual([
    1,
    expect.stringContaining('documents.3.result.totals.total: "40.00" before, "44.00" now'),
  ]);
  const form = { file: await sheets(2), split: "auto", request_id: "call", task_id: "receipt_v1" };
  expect((await at.call("/v1/extract", await formOf(form))).status).toBe(200);
  cli.file("two.tif", await sheets(2));
  const same = await ocrlty("replay", "call", "--live", "--picture", "two.tif");
  expect([same.status, same.stdout], same.stderr).toEqual([0, expect.stringContaining("the same: call")]);
  totalOf = (page) => `${page}1.00`;
  const other = await ocrlty("replay", "call", "--live", "--picture", "two.tif");
  expect([other.status, other.stdout]).toEqual([
    1,
    expect.stringContaining("documents.1.result.totals.total"),
  ]);
});
