import { parse } from "csv-parse/sync";
import { eq } from "drizzle-orm";
import { readXlsx } from "hucre/xlsx";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import * as Given from "#core/export/given";
import * as Dialect from "#core/export/table/dialect";
import * as Finishing from "#core/run/finishing";
import { type RunRow, runTable } from "#core/run/run.sql";
import { batches, sizes } from "#spec/limits";
import * as EndedRun from "#test/support/ended-run";
import * as Papers from "#test/support/papers";
import { silent } from "#test/support/test-bucket";
import * as Finish from "./finish.ts";
import * as Results from "./results.ts";

let stores: EndedRun.Stores;
beforeAll(async () => {
  stores = await EndedRun.start();
});
afterAll(async () => {
  await stores.close();
});
afterEach(() => {
  stores.store.hook.answer = () => undefined;
});

const ample = () => Date.now() + 60_000;
const finish = async (run: RunRow) => {
  expect(await Finish.step(stores.services, run, { deadline: ample() }, silent)).toBe("done");
  return stores.reload(run);
};
type Wanted = Parameters<typeof Results.of>[3];
const of = (run: RunRow, wanted: Partial<Wanted>) =>
  Results.of(stores.services, silent, run, {
    ...{ format: "json", values: "both", dialect: Dialect.stored, asUrl: false, deadline: ample() },
    ...wanted,
  });
const whole = async (run: RunRow, wanted: Partial<Wanted>) => {
  const { content } = await of(run, wanted);
  if (content.kind !== "whole") throw new Error("it lies in the bucket");
  return content.body;
};
const semicolon = { name: "semicolon", byteOrderMark: false } as const;
const lines = [
  { name: "TEA", quantity: "2", unit_price: "0,20", price: "0,40" },
  { name: "CAKE", quantity: "1", unit_price: null, price: "0,60" },
];

/** An ended run of two receipts. `older`: its files contain only printed values, as an earlier version wrote them. */
async function ended(runId: string, older = false): Promise<RunRow> {
  const items = [0, 1].map((i) => stores.succeeded({ runId }, i, { items: lines }));
  const run = await finish(await stores.insert({ runId }, await Promise.all(items)));
  if (!older) return run;
  const { jsonl } = Place.batchFiles(run.keyId, runId, run.createdAt);
  const written = (await stores.text(jsonl)) ?? "";
  const stripped = written
    .trimEnd()
    .split("\n")
    .map((line) => {
      const { normalized, checks, schema_errors, model, image_sha256, ...rest } = JSON.parse(line);
      return `${JSON.stringify(rest)}\n`;
    });
  await Bucket.replace(stores.store.bucket, silent, jsonl, {
    ...{ body: stripped.join(""), contentType: "application/x-ndjson" },
  });
  return run;
}

/** Mappings of alice and bob below the data root, two of them invalid. */
async function putMappings(bucket: Bucket.Bucket): Promise<void> {
  const put = (rel: string, body: string) =>
    Bucket.replace(bucket, silent, rel, { body, contentType: "application/json" });
  await put("data/alice/ledger.json", JSON.stringify(Papers.beancount));
  await put("data/bob/ledger.json", JSON.stringify(Papers.beancount));
  await put("data/alice/broken.json", '{"currency":"EUR",}');
  await put("data/alice/large.json", " ".repeat(512 * 1024 + 1));
}

describe("the results of a run", () => {
  test("are found in every stored format, by its name", async () => {
    const run = await ended("found");
    const files = Place.batchFiles(run.keyId, run.runId, run.createdAt);
    const places = {
      json: files.json,
      jsonl: files.jsonl,
      csv: files.csv,
      line_items_csv: files.lineItemsCsv,
    };
    for (const format of ["json", "jsonl", "csv", "line_items_csv"] as const) {
      expect(await whole(run, { format })).toBe(await stores.text(places[format]));
      const { fileName, content } = await of(run, { format, asUrl: true });
      expect(fileName).toMatch(/^found\.(results\.(json|jsonl|csv)|line_items\.csv)$/);
      expect(content).toEqual({ kind: "stored", rel: places[format] });
    }
    const flat = await finish(await stores.insert({ taskId: "receipt_fields_v1" }, []));
    await expect(of(flat, { format: "line_items_csv" })).rejects.toMatchObject({ code: "invalid_request" });
  });

  test("are refused with an option of another format", async () => {
    const run = await ended("options");
    const marked = { name: "comma", byteOrderMark: true } as const;
    const cases: [Partial<Wanted>, string][] = [
      [{ format: "jsonl", dialect: semicolon }, "dialect"],
      [{ format: "xlsx", dialect: marked }, "bom"],
      [{ format: "json", values: "canonical" }, "values"],
      [{ format: "csv", dialect: semicolon, asUrl: true }, "as"],
      [{ format: "csv", values: "printed", asUrl: true }, "as"],
    ];
    for (const [wanted, path] of cases)
      await expect(of(run, wanted)).rejects.toMatchObject({
        code: "invalid_request",
        details: { issues: [{ path }] },
      });
  });

  test("are a ledger's file by the caller's mapping, which lists every item that cannot be booked", async () => {
    const run = { runId: "ledger", taskId: "receipt_v1" };
    const results = [Papers.receipt(0).result, Papers.receipt(1, { tax: "1.60" }).result];
    const items = results.map((result, i) => stores.succeeded(run, i, result ?? {}));
    const row = await finish(await stores.insert(run, await Promise.all(items)));
    const { bucket } = stores.services;
    const alice = { keyId: "alice", scopes: [] };
    await putMappings(bucket);

    const mapping = (format: Wanted["format"], key?: string, partial: "0" | "1" = "0") =>
      Results.mappingOf(bucket, silent, { format, mapping: key, partial }, alice);
    const refused: [Parameters<typeof mapping>, RegExp][] = [
      [["beancount"], /^mapping: is missing: beancount needs your accounts/],
      [["beancount", "alice/none.json"], /^mapping: there is no such file below the data root/],
      [["beancount", "bob/ledger.json"], /^mapping: only keys under shared\/ and under your own key_id/],
      [["beancount", "alice/large.json"], /^mapping: a mapping has at most 524288 bytes/],
      [["beancount", "alice/broken.json"], /^mapping: /],
      [["datev", "alice/ledger.json"], /^mapping\.account: must be an account of 1 to 9 digits/],
      [["csv", "alice/ledger.json"], /^mapping: only for the formats datev, xero, quickbooks, beancount/],
      [["xlsx", undefined, "1"], /^partial: only for the formats/],
    ];
    for (const [args, message] of refused)
      await expect(mapping(...args), args.join(" ")).rejects.toMatchObject({
        ...{ code: "invalid_request", message: expect.stringMatching(message) },
      });
    expect(await mapping("csv")).toBeUndefined();

    const wanted = { format: "beancount", mapping: await mapping("beancount", "alice/ledger.json") } as const;
    await expect(of(row, wanted)).rejects.toMatchObject({
      code: "conflict",
      message:
        "beancount cannot book item 1: it prints its tax without a rate; partial=1 gives the file without such items",
      details: {
        reason: "items_left_out",
        left_out: [{ index: 1, custom_id: "c-1", reason: "tax_not_split" }],
        left_out_count: 1,
      },
    });
    const { fileName, contentType, told, content } = await of(row, { ...wanted, partial: true });
    expect([fileName, contentType, told]).toEqual([
      ...["ledger.beancount", "text/plain; charset=utf-8", { leftOut: 1, notes: 0 }],
    ]);
    expect(content.kind === "whole" && Buffer.from(content.body).toString()).toContain(
      "Assets:Cash  -10.00 EUR",
    );
    // An existing file does not hide which items are left out.
    expect((await of(row, { ...wanted, partial: true, asUrl: true })).content.kind).toBe("stored");
    await expect(of(row, { ...wanted, asUrl: true })).rejects.toMatchObject({ code: "conflict" });
    await expect(of(row, { ...wanted, values: "printed" })).rejects.toMatchObject({ param: "values" });
    const datev = await of(row, {
      format: "datev",
      mapping: await Given.parse(JSON.stringify(Papers.datev), "datev"),
      partial: true,
    });
    expect([datev.fileName, datev.told?.leftOut]).toEqual(["EXTF_ledger.datev.csv", 1]);
  });

  test("that are tables are converted, up to the size of an answer", async () => {
    const run = await ended("converted");
    const { csv } = Place.batchFiles(run.keyId, run.runId, run.createdAt);
    expect(await whole(run, { format: "csv", dialect: semicolon })).toMatch(/^index;custom_id;/);
    const body = Buffer.alloc(sizes.directAnswerBytes + 1, "a");
    await Bucket.replace(stores.services.bucket, silent, csv, { body, contentType: "text/csv" });
    expect((await of(run, { format: "csv" })).content).toEqual({ kind: "stored", rel: csv });
    await expect(of(run, { format: "csv", dialect: semicolon })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(
        "ocrlty results converted --format csv --dialect semicolon --out results.csv",
      ),
      details: { reason: "results_too_large" },
    });
  });

  test("show printed or canonical values alone, also of a run that ended before there were canonical ones", async () => {
    for (const run of [await ended("today"), await ended("before", true)]) {
      const table = async (values: "printed" | "canonical") => {
        const text = await whole(run, { format: "line_items_csv", values, dialect: semicolon });
        return parse(String(text), { delimiter: ";", columns: true }) as Record<string, string>[];
      };
      const printed = await table("printed");
      expect(printed.map(({ price }) => price)).toEqual(["0,40", "0,60", "0,40", "0,60"]);
      expect(Object.keys(printed[0] ?? {})).not.toContain("price_value");
      const canonical = await table("canonical");
      expect(canonical.map(({ price_value }) => price_value)).toEqual(["0.4", "0.6", "0.4", "0.6"]);
      expect(canonical.map(({ name }) => name)).toEqual(["TEA", "CAKE", "TEA", "CAKE"]);
      expect(Object.keys(canonical[0] ?? {})).not.toContain("price");
    }
  });

  test("are a workbook whose amounts are numbers, made anew or found where it was put", async () => {
    const run = await ended("book", true);
    const { fileName, contentType, content } = await of(run, { format: "xlsx" });
    expect([fileName, contentType]).toEqual([
      "book.results.xlsx",
      expect.stringMatching(/spreadsheetml\.sheet$/),
    ]);
    const body = content.kind === "whole" ? content.body : "";
    const [documents, rows] = (await readXlsx(Buffer.from(body))).sheets;
    expect([documents?.name, rows?.name]).toEqual(["documents", "line_items"]);
    const [header = [], ...cells] = rows?.rows ?? [];
    expect(cells.map((row) => row[header.indexOf("price_value")])).toEqual([0.4, 0.6, 0.4, 0.6]);
    // A file that is answered by its address is stored beside the run's files, and is not made again.
    stores.store.calls.length = 0;
    const first = await of(run, { format: "xlsx", asUrl: true });
    const second = await of(run, { format: "xlsx", asUrl: true });
    expect(second.content).toEqual(first.content);
    const { rel } = first.content as { rel: string };
    expect(Buffer.from((await Bucket.get(stores.store.bucket, silent, rel)) ?? [])).toEqual(body);
    expect(stores.store.calls.filter(({ operation }) => operation === "PutObject")).toHaveLength(1);
  });

  test("are not made within a call if they are too large, and the answer has the command that makes them", async () => {
    const run = await ended("many");
    const tooMany = { ...run, total: batches.exportedItems + 1 };
    for (const wanted of [{ format: "xlsx" }, { format: "csv", values: "canonical" }] as const)
      await expect(of(tooMany, wanted)).rejects.toMatchObject({
        code: "conflict",
        message: expect.stringContaining(`ocrlty results many --format ${wanted.format} `),
        details: { reason: "results_too_large", items: 10_001, limit: 10_000 },
      });
    await expect(of(run, { format: "xlsx", deadline: Date.now() - 1 })).rejects.toMatchObject({
      code: "conflict",
      details: { reason: "results_too_large" },
    });
  });

  test("of a run that is deleted meanwhile leave nothing behind", async () => {
    const run = await ended("deleted");
    stores.store.hook.answer = ({ operation }) => {
      if (operation !== "PutObject") return undefined;
      void stores.db.query
        .update(runTable)
        .set({ state: "deleting" })
        .where(eq(runTable.runUid, run.runUid))
        .run();
      return undefined;
    };
    await expect(of(run, { format: "xlsx", asUrl: true })).rejects.toMatchObject({ code: "not_found" });
    const { made } = Place.batchFiles(run.keyId, run.runId, run.createdAt);
    expect(await stores.rels(made)).toEqual([]);
  });

  test("are refused until the run has ended, and for a run whose files are gone", async () => {
    for (const state of ["planning", "running", "canceling", "finishing"] as const) {
      const run = await stores.insert({ state, finishing: Finishing.begin("succeeded", "test") }, []);
      for (const format of ["json", "xlsx"] as const)
        await expect(of(run, { format })).rejects.toMatchObject({
          code: "conflict",
          details: { reason: "run_not_ended" },
        });
    }
    const gone = await stores.insert({ state: "succeeded" }, []);
    for (const format of ["json", "csv", "xlsx"] as const)
      await expect(of(gone, { format })).rejects.toMatchObject({ code: "not_found" });
  });
});
