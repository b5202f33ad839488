import { eq } from "drizzle-orm";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as Listing from "#core/artifact/listing";
import * as Bucket from "#core/bucket/bucket";
import { type RunRow, runTable } from "#core/run/run.sql";
import { Item, Run } from "#core/run/schema";
import {
  ample,
  artifactOf,
  filesOf,
  line,
  meddling,
  type Rig,
  receipt,
  records,
  small,
  start,
} from "#test/support/finish-rig";
import { silent } from "#test/support/test-bucket";
import * as Finish from "./finish.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await start();
});
afterAll(() => rig.close());
afterEach(() => rig.reset());

/** The items of the run "told", from its two JSON files. */
async function expectItems(run: RunRow): Promise<Item[]> {
  const files = filesOf(run);
  const jsonl = ((await rig.stores.text(files.jsonl)) ?? "").trimEnd().split("\n");
  const items = jsonl.map((written) => Item.parse(JSON.parse(written)));
  expect(items.map(({ index, status, request_id }) => [index, status, request_id])).toEqual([
    [0, "succeeded", "told~0"],
    [1, "failed", "told~1"],
    [2, "canceled", "told~2"],
    [3, "succeeded", "told~3"],
  ]);
  expect(items[0]?.result).toEqual(receipt("1,00", [line("tea", "0,40"), line('cake, "big"', "0,60")]));
  expect(items[1]?.error).toEqual({ code: "invalid_image", message: "not a picture" });
  expect(JSON.parse((await rig.stores.text(files.json)) ?? "")).toEqual({ run_id: "told", items });
  return items;
}

/** The same items, from the two CSV files. */
async function expectTables(run: RunRow): Promise<void> {
  const files = filesOf(run);
  const [header = [], ...rows] = records(await rig.stores.text(files.csv));
  expect(header.slice(0, 9)).toEqual([
    "index",
    "custom_id",
    "file",
    "status",
    "request_id",
    "schema_ok",
    "error_code",
    "error_message",
    "merchant.name",
  ]);
  expect(header).toContain("totals.total");
  expect(header.join()).not.toContain("items");
  const column = (name: string) => rows.map((row) => row[header.indexOf(name)]);
  expect(column("merchant.name")).toEqual(["Shop", "", "", ""]);
  expect(column("totals.total")).toEqual(["1,00", "", "", ""]);
  expect(column("error_code")).toEqual(["", "invalid_image", "", ""]);
  expect(column("schema_ok")).toEqual(["true", "", "", "false"]);
  const lineItems = records(await rig.stores.text(files.lineItemsCsv));
  expect(lineItems.map((row) => row.slice(0, 9))).toEqual([
    ["index", "custom_id", "file", "line", "name", "quantity", "unit_price", "price", "complete"],
    ["0", "c-0", "f 0.png", "1", "tea", "1", "", "0,40", ""],
    ["0", "c-0", "f 0.png", "2", 'cake, "big"', "1", "", "0,60", ""],
  ]);
}

/** The run's artifact, which contains the items and names the files. */
async function expectArtifact(run: RunRow, ended: RunRow, items: Item[]): Promise<void> {
  const files = filesOf(run);
  const written = (await rig.stores.text(artifactOf(run))) ?? "";
  const artifact = JSON.parse(written);
  expect(Run.parse(artifact)).toMatchObject({
    status: "succeeded",
    finished_at: ended.finishedAt?.toISOString(),
    counts: { total: 4, queued: 0, running: 0, succeeded: 2, failed: 1, canceled: 1 },
    artifact_rel: artifactOf(run),
  });
  expect(artifact.items).toEqual(items);
  expect(artifact.inputs_index[2]).toMatchObject({
    source_kind: "url",
    image_url: "https://example.com/c.png",
  });
  expect(artifact.inputs_index[0]).toMatchObject({ source_kind: "data", image_key: "shared/0.png" });
  expect(written).not.toMatch(/Signature|u:p/);
  expect(artifact.task_snapshot).toMatchObject({
    task_id: "receipt_v1",
    prompt_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    schema: { type: "object" },
  });
  expect(artifact.results).toEqual({
    jsonl: files.jsonl,
    json: files.json,
    csv: files.csv,
    line_items_csv: files.lineItemsCsv,
  });
}

describe("the files of an ended run", () => {
  test("list every item in every form, and the run's artifact has its end", async () => {
    const id = { runId: "told" };
    const run = await rig.stores.insert(
      { ...id, taskId: "receipt_v1", webhookUrl: "https://example.com/hook" },
      [
        await rig.stores.succeeded(
          id,
          0,
          receipt("1,00", [line("tea", "0,40"), line('cake, "big"', "0,60")]),
        ),
        { status: "failed", errorCode: "invalid_image", errorMessage: "not a picture", file: "b.png" },
        { status: "canceled", sourceKind: "url", url: "https://u:p@example.com/c.png?X-Signature=secret" },
        {
          ...(await rig.stores.succeeded(id, 3, { totals: "of another shape", items: "none" })),
          schemaOk: false,
        },
      ],
    );
    expect(await rig.step(run)).toBe("done");
    const ended = await rig.stores.reload(run);
    expect(ended).toMatchObject({ state: "succeeded", finishing: null, artifactRel: artifactOf(run) });
    expect(rig.lines).toContainEqual(
      expect.objectContaining({ event: "run_end", run_id: "told", succeeded: 2, failed: 1, canceled: 1 }),
    );

    const items = await expectItems(run);
    await expectTables(run);
    await expectArtifact(run, ended, items);
    const listed = await Listing.page(rig.stores.store.bucket, silent, {
      kind: "batches",
      keyId: "alice",
      limit: 50,
    });
    expect(listed.items.filter((entry) => entry.request_id.startsWith("told"))).toHaveLength(1);
    expect(rig.stores.sentTo("later")).toBe(1);
  });

  test("give each item the values of its artifact, and read each artifact once", async () => {
    const id = { runId: "pinned" };
    const item = await rig.stores.succeeded(id, 0, { totals: { total: "1,00" } });
    const run = await rig.stores.insert({ ...id, taskId: "receipt_v1" }, [item]);
    const normalized = { "totals.total": { value: "42", currency: "EUR", decimals: 2 } };
    const about = { request_id: "pinned~0", payload_hash: "0", principal: { key_id: "alice" } };
    const answer = { schema_errors: [], normalized, checks: [], model: "m-1", image_sha256: "i" };
    const result = { totals: { total: "1,00" } };
    await rig.stores.store.put(item.artifactRel ?? "", JSON.stringify({ ...about, ...answer, result }));
    rig.stores.store.calls.length = 0;
    await rig.step(run);
    const read = rig.stores.store.calls.filter(({ key }) => key.endsWith(item.artifactRel ?? "-"));
    expect(read).toHaveLength(1);
    const { jsonl, json, csv } = filesOf(run);
    expect(Item.parse(JSON.parse((await rig.stores.text(jsonl)) ?? ""))).toMatchObject(answer);
    expect(JSON.parse((await rig.stores.text(json)) ?? "").items[0]).toMatchObject(answer);
    const [header = [], row = []] = records(await rig.stores.text(csv));
    expect(row[header.indexOf("totals.total_value")]).toBe("42");
    expect(row[header.indexOf("totals.total_currency")]).toBe("EUR");
  });

  test("disarm formulas in values and names of the caller", async () => {
    const run = await rig.stores.insert({ taskId: "receipt_v1" }, [
      {
        ...(await rig.stores.succeeded({ runId: "x" }, 0, {
          merchant: { name: "=cmd|' /C calc'!A0", address: "+1+1", phone: "@x", tax_id: "\tx" },
          date: "-2+3",
          items: [line("=HYPERLINK(1)", "two\nlines")],
        })),
        customId: "=1+1",
        file: "@a.png",
      },
    ]);
    await rig.step(run);
    const csv = records(await rig.stores.text(filesOf(run).csv));
    expect(csv[1]).toContain("'-2+3");
    for (const cell of csv.flat()) expect(cell).not.toMatch(/^[=+@\t\r-]/);
    expect(csv[1]?.slice(1, 3)).toEqual(["'=1+1", "'@a.png"]);
    const [, entry = []] = records(await rig.stores.text(filesOf(run).lineItemsCsv));
    expect(entry.slice(1, 5)).toEqual(["'=1+1", "'@a.png", "1", "'=HYPERLINK(1)"]);
    expect(entry[7]).toBe("two\nlines");
  });

  test("have results above 16 KiB, which only the artifacts of the items hold; a lost artifact does not stop the run", async () => {
    const id = { runId: "large" };
    const large = { items: [{ name: "x".repeat(20_000), price: "1" }] };
    const items = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => rig.stores.succeeded(id, i, large)));
    expect(items.every((item) => item.result === null)).toBe(true);
    const run = await rig.stores.insert(id, items);
    await Bucket.remove(rig.stores.store.bucket, silent, items[4]?.artifactRel ?? "");
    expect(await rig.step(run, { sizes: small })).toBe("done");
    const artifact = JSON.parse((await rig.stores.text(artifactOf(run))) ?? "");
    expect(artifact.items.map((item: Item) => item.result)).toEqual([
      large,
      large,
      large,
      large,
      null,
      large,
    ]);
    expect(records(await rig.stores.text(filesOf(run).lineItemsCsv))).toHaveLength(6);
    expect(rig.lines).toContainEqual(
      expect.objectContaining({ event: "result_missing", run_id: "large", index: 4 }),
    );
  });

  test("name the items' file instead of the items above the bound", async () => {
    const run = await rig.stores.insert({}, [
      await rig.stores.succeeded({ runId: "x" }, 0, {}),
      { status: "canceled" },
    ]);
    await rig.step(run, { artifactItems: 1 });
    expect(JSON.parse((await rig.stores.text(artifactOf(run))) ?? "")).toMatchObject({
      items: null,
      inputs_index: null,
      items_rel: filesOf(run).jsonl,
      counts: { total: 2 },
    });
  });

  test("exist for a run without items, and for a run whose items were all canceled", async () => {
    for (const items of [[], [{ status: "canceled" as const }, { status: "canceled" as const }]]) {
      const run = await rig.stores.insert({ state: "canceling", waitingFor: "model_server" }, items);
      expect(await rig.step(run)).toBe("done");
      const artifact = Run.parse(JSON.parse((await rig.stores.text(artifactOf(run))) ?? ""));
      expect(artifact).toMatchObject({ status: "canceled", waiting_for: null });
      expect(JSON.parse((await rig.stores.text(filesOf(run).json)) ?? "").items).toHaveLength(items.length);
      expect(records(await rig.stores.text(filesOf(run).csv))).toHaveLength(items.length + 1);
      expect(await rig.stores.reload(run)).toMatchObject({ state: "canceled" });
    }
  });

  test("wait for the last item and for the end of the planning", async () => {
    const running = await rig.stores.insert({}, [{ status: "succeeded" }, { status: "running" }]);
    const canceling = await rig.stores.insert({ state: "canceling" }, [{ status: "queued" }]);
    const planning = await rig.stores.insert({ state: "planning", planning: { phase: "receiving" } }, []);
    const canceledEarly = await rig.stores.insert(
      { state: "canceling", planning: { phase: "receiving" } },
      [],
    );
    for (const run of [running, canceling, planning, canceledEarly]) {
      expect(await rig.step(run)).toBe("not_yet");
      expect(await rig.stores.reload(run)).toEqual(run);
    }
  });
});

describe("a step", () => {
  test("with no time at all still comes further, and the bytes are the same", async () => {
    const id = { runId: "slow" };
    const items = await Promise.all(
      [0, 1, 2, 3].map((i) => rig.stores.succeeded(id, i, { items: [line(`n${i}`, "1"), line("m", "=2")] })),
    );
    const run = await rig.stores.insert({ ...id, finishedAt: new Date("2026-11-24T00:05:00Z") }, items);
    await rig.rewind(run);
    await rig.finish(run);
    const whole = await rig.documents(run);
    await rig.rewind(run);
    const { more } = await rig.finish(run, { timeMs: -1 });
    expect(more).toBeGreaterThan(20);
    expect(await rig.documents(run)).toEqual(whole);
  });

  test("of a run that has ended changes nothing, and orders the webhook only if it was never tried", async () => {
    // A key has one call under way at a time.
    const run = await rig.stores.insert({ keyId: "told", webhookUrl: "https://example.com/" }, []);
    const before = rig.stores.sentTo("later");
    expect(await rig.step(run)).toBe("done");
    expect(await rig.step(run)).toBe("done");
    expect(rig.stores.sentTo("later")).toBe(before + 1);
    const ended = await rig.stores.reload(run);
    await rig.stores.db.query.update(runTable).set({ webhook: [] }).where(eq(runTable.runUid, run.runUid));
    expect(await rig.step(run)).toBe("done");
    expect(rig.stores.sentTo("later")).toBe(before + 1);
    expect(rig.lines.filter(({ event }) => event === "run_end")).toHaveLength(1);
    expect(await rig.stores.reload(run)).toEqual({ ...ended, webhook: [] });
  });

  test("of a worker that was overtaken by another changes nothing", async () => {
    const run = await rig.stores.insert({}, [{ status: "succeeded" }]);
    const db = meddling(rig.stores.db, run);
    const services = { ...rig.stores.services, db };
    expect(await Finish.step(services, run, ample(), rig.log)).toBe("more");
    expect(await rig.stores.reload(run)).toMatchObject({ state: "finishing", finishing: { document: 3 } });
  });
});
