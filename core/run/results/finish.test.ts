import { AbortMultipartUploadCommand } from "@aws-sdk/client-s3";
import { type Client, LibsqlError } from "@libsql/client/http";
import { eq } from "drizzle-orm";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as Listing from "#core/artifact/listing";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Finishing from "#core/run/finishing";
import { type RunRow, runTable } from "#core/run/run.sql";
import { Item, Run } from "#core/run/schema";
import * as EndedRun from "#test/support/ended-run";
import { recording, silent } from "#test/support/test-bucket";
import * as Finish from "./finish.ts";
import type * as Write from "./write.ts";

const MiB = 1024 * 1024;
/** As small as the protocol allows. */
const small: Write.Sizes = { partBytes: 5 * MiB, rows: 50, reads: 4 };
const ample = () => ({ deadline: Date.now() + 60_000 });

let stores: EndedRun.Stores;
const { log, lines } = recording();

beforeAll(async () => {
  stores = await EndedRun.start();
});
afterAll(async () => {
  await stores.close();
});
afterEach(() => {
  stores.store.hook.answer = () => undefined;
  lines.length = 0;
});

const step = async (run: RunRow, options: Parameters<typeof Finish.step>[4] = {}, time = ample()) =>
  Finish.step(stores.services, await stores.reload(run), time, log, options);

/** Steps until the run has ended; whatever a step throws, the next one goes on. @returns how many steps threw. */
async function finish(
  run: RunRow,
  how: { sizes?: Write.Sizes; timeMs?: number; services?: typeof stores.services; most?: number } = {},
) {
  const { sizes = small, timeMs = 60_000, services = stores.services, most = 2_000 } = how;
  const seen = { threw: 0, more: 0 };
  for (let i = 0; i < most; i += 1) {
    try {
      const time = { deadline: Date.now() + timeMs };
      if ((await Finish.step(services, await stores.reload(run), time, log, { sizes })) === "done")
        return seen;
      seen.more += 1;
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "storage_unavailable") throw thrown;
      seen.threw += 1;
    }
  }
  throw new Error("the run does not end");
}

const filesOf = (run: RunRow) => Place.batchFiles(run.keyId, run.runId, run.createdAt);
const artifactOf = (run: RunRow) => Place.batchKey(run.keyId, run.runId, run.createdAt);
/** Everything that was written of a run. */
async function documents(run: RunRow): Promise<Record<string, string | undefined>> {
  const all = await stores.rels(`batches/2026-11-23/${run.keyId}/${run.runId}`);
  return Object.fromEntries(
    await Promise.all(all.map(async (rel) => [rel, await stores.text(rel)] as const)),
  );
}
/** As if nothing of it had been written yet, or only its first documents; the time of its end stays. */
async function rewind(run: RunRow, document = 0): Promise<void> {
  const first = document > 0 ? filesOf(run).jsonl : undefined;
  for (const rel of Object.keys(await documents(run)))
    if (rel !== first) await Bucket.remove(stores.store.bucket, silent, rel);
  await stores.db.query
    .update(runTable)
    .set({
      state: "finishing",
      finishing: { ...Finishing.begin("succeeded", "test"), document },
      artifactRel: null,
    })
    .where(eq(runTable.runUid, run.runUid));
}

/** The database with another `batch`, which is what every write goes through, and `execute`. */
function through(db: Database.Db, hooks: Partial<Pick<Client, "batch" | "execute">>): Database.Db {
  const client = new Proxy(db.client, {
    get: (target, name) => {
      if (name in hooks) return hooks[name as keyof typeof hooks];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return Database.wrap(client);
}

/** Counts the rows of the largest answer. */
function counting(real: Database.Db) {
  let most = 0;
  const db = through(real, {
    execute: (async (...args: Parameters<Client["execute"]>) => {
      const answer = await real.client.execute(...args);
      most = Math.max(most, answer.rows.length);
      return answer;
    }) as Client["execute"],
  });
  return { db, most: () => most };
}

/** Every third write is lost, so that each save is once: before it was done, or, when `applied`, its answer. */
function crashing(real: Database.Db, applied: boolean) {
  let writes = 0;
  const db = through(real, {
    batch: async (statements, mode) => {
      writes += 1;
      if (writes % 3 !== 0) return real.client.batch(statements, mode);
      if (applied) await real.client.batch(statements, mode);
      throw new LibsqlError("the connection is gone", "SERVER_ERROR");
    },
  });
  return { db, writes: () => writes };
}

/** Somebody else comes three documents further between this step's first write and its second. */
function meddling(real: Database.Db, run: RunRow): Database.Db {
  let writes = 0;
  return through(real, {
    batch: async (statements, mode) => {
      writes += 1;
      if (writes === 2) {
        const finishing = { ...Finishing.begin("succeeded", "test"), document: 3 };
        await real.query.update(runTable).set({ finishing }).where(eq(runTable.runUid, run.runUid));
      }
      return real.client.batch(statements, mode);
    },
  });
}

/** Records of a CSV text after RFC 4180. */
function records(csv: string | undefined): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain = "", end] of (csv ?? "").matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === "\n") rows.push([]);
  }
  expect(rows.pop()).toEqual([]);
  return rows;
}

const receipt = (total: string, items: object[]) => ({
  merchant: { name: "Shop" },
  totals: { total },
  items,
});
const line = (name: string, price: string | null) => ({ name, quantity: "1", unit_price: null, price });

describe("the files of an ended run", () => {
  test("tell of every item in every form, and the artifact of the run as it ended", async () => {
    const id = { runId: "told" };
    const run = await stores.insert({ ...id, taskId: "receipt_v1", webhookUrl: "https://example.com/hook" }, [
      await stores.succeeded(id, 0, receipt("1,00", [line("tea", "0,40"), line('cake, "big"', "0,60")])),
      { status: "failed", errorCode: "invalid_image", errorMessage: "not a picture", file: "b.png" },
      { status: "canceled", sourceKind: "url", url: "https://u:p@example.com/c.png?X-Signature=secret" },
      { ...(await stores.succeeded(id, 3, { totals: "of another shape", items: "none" })), schemaOk: false },
    ]);
    expect(await step(run)).toBe("done");
    const ended = await stores.reload(run);
    expect(ended).toMatchObject({ state: "succeeded", finishing: null, artifactRel: artifactOf(run) });
    expect(lines).toContainEqual(
      expect.objectContaining({ event: "run_end", run_id: "told", succeeded: 2, failed: 1, canceled: 1 }),
    );

    const files = filesOf(run);
    const jsonl = ((await stores.text(files.jsonl)) ?? "").trimEnd().split("\n");
    const items = jsonl.map((written) => Item.parse(JSON.parse(written)));
    expect(items.map(({ index, status, request_id }) => [index, status, request_id])).toEqual([
      [0, "succeeded", "told~0"],
      [1, "failed", "told~1"],
      [2, "canceled", "told~2"],
      [3, "succeeded", "told~3"],
    ]);
    expect(items[0]?.result).toEqual(receipt("1,00", [line("tea", "0,40"), line('cake, "big"', "0,60")]));
    expect(items[1]?.error).toEqual({ code: "invalid_image", message: "not a picture" });
    expect(JSON.parse((await stores.text(files.json)) ?? "")).toEqual({ run_id: "told", items });

    const [header = [], ...rows] = records(await stores.text(files.csv));
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
    const lineItems = records(await stores.text(files.lineItemsCsv));
    expect(lineItems.map((row) => row.slice(0, 9))).toEqual([
      ["index", "custom_id", "file", "line", "name", "quantity", "unit_price", "price", "complete"],
      ["0", "c-0", "f 0.png", "1", "tea", "1", "", "0,40", ""],
      ["0", "c-0", "f 0.png", "2", 'cake, "big"', "1", "", "0,60", ""],
    ]);

    const written = (await stores.text(artifactOf(run))) ?? "";
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
    const listed = await Listing.page(stores.store.bucket, silent, {
      kind: "batches",
      keyId: "alice",
      limit: 50,
    });
    expect(listed.items.filter((entry) => entry.request_id.startsWith("told"))).toHaveLength(1);
    expect(stores.sentTo("later")).toBe(1);
  });

  test("say of an item what its artifact says, and read each artifact once", async () => {
    const id = { runId: "pinned" };
    const item = await stores.succeeded(id, 0, { totals: { total: "1,00" } });
    const run = await stores.insert({ ...id, taskId: "receipt_v1" }, [item]);
    const normalized = { "totals.total": { value: "42", currency: "EUR", decimals: 2 } };
    const about = { request_id: "pinned~0", payload_hash: "0", principal: { key_id: "alice" } };
    const answer = { schema_errors: [], normalized, checks: [], model: "m-1", image_sha256: "i" };
    const result = { totals: { total: "1,00" } };
    await stores.store.put(item.artifactRel ?? "", JSON.stringify({ ...about, ...answer, result }));
    stores.store.calls.length = 0;
    await step(run);
    const read = stores.store.calls.filter(({ key }) => key.endsWith(item.artifactRel ?? "-"));
    expect(read).toHaveLength(1);
    const { jsonl, json, csv } = filesOf(run);
    expect(Item.parse(JSON.parse((await stores.text(jsonl)) ?? ""))).toMatchObject(answer);
    expect(JSON.parse((await stores.text(json)) ?? "").items[0]).toMatchObject(answer);
    const [header = [], row = []] = records(await stores.text(csv));
    expect(row[header.indexOf("totals.total_value")]).toBe("42");
    expect(row[header.indexOf("totals.total_currency")]).toBe("EUR");
  });

  test("disarm what a spreadsheet would run as a formula, in values and names of the caller", async () => {
    const run = await stores.insert({ taskId: "receipt_v1" }, [
      {
        ...(await stores.succeeded({ runId: "x" }, 0, {
          merchant: { name: "=cmd|' /C calc'!A0", address: "+1+1", phone: "@x", tax_id: "\tx" },
          date: "-2+3",
          items: [line("=HYPERLINK(1)", "two\nlines")],
        })),
        customId: "=1+1",
        file: "@a.png",
      },
    ]);
    await step(run);
    const csv = records(await stores.text(filesOf(run).csv));
    expect(csv[1]).toContain("'-2+3");
    for (const cell of csv.flat()) expect(cell).not.toMatch(/^[=+@\t\r-]/);
    expect(csv[1]?.slice(1, 3)).toEqual(["'=1+1", "'@a.png"]);
    const [, entry = []] = records(await stores.text(filesOf(run).lineItemsCsv));
    expect(entry.slice(1, 5)).toEqual(["'=1+1", "'@a.png", "1", "'=HYPERLINK(1)"]);
    expect(entry[7]).toBe("two\nlines");
  });

  test("have results above 16 KiB, which only the artifacts of the items hold; a lost one ends nothing", async () => {
    const id = { runId: "large" };
    const large = { items: [{ name: "x".repeat(20_000), price: "1" }] };
    const items = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => stores.succeeded(id, i, large)));
    expect(items.every((item) => item.result === null)).toBe(true);
    const run = await stores.insert(id, items);
    await Bucket.remove(stores.store.bucket, silent, items[4]?.artifactRel ?? "");
    expect(await step(run, { sizes: small })).toBe("done");
    const artifact = JSON.parse((await stores.text(artifactOf(run))) ?? "");
    expect(artifact.items.map((item: Item) => item.result)).toEqual([
      large,
      large,
      large,
      large,
      null,
      large,
    ]);
    expect(records(await stores.text(filesOf(run).lineItemsCsv))).toHaveLength(6);
    expect(lines).toContainEqual(
      expect.objectContaining({ event: "result_missing", run_id: "large", index: 4 }),
    );
  });

  test("name the items' file instead of the items above the bound", async () => {
    const run = await stores.insert({}, [
      await stores.succeeded({ runId: "x" }, 0, {}),
      { status: "canceled" },
    ]);
    await step(run, { artifactItems: 1 });
    expect(JSON.parse((await stores.text(artifactOf(run))) ?? "")).toMatchObject({
      items: null,
      inputs_index: null,
      items_rel: filesOf(run).jsonl,
      counts: { total: 2 },
    });
  });

  test("are there for a run without items, and for one of which everything was canceled", async () => {
    for (const items of [[], [{ status: "canceled" as const }, { status: "canceled" as const }]]) {
      const run = await stores.insert({ state: "canceling", waitingFor: "model_server" }, items);
      expect(await step(run)).toBe("done");
      const artifact = Run.parse(JSON.parse((await stores.text(artifactOf(run))) ?? ""));
      expect(artifact).toMatchObject({ status: "canceled", waiting_for: null });
      expect(JSON.parse((await stores.text(filesOf(run).json)) ?? "").items).toHaveLength(items.length);
      expect(records(await stores.text(filesOf(run).csv))).toHaveLength(items.length + 1);
      expect(await stores.reload(run)).toMatchObject({ state: "canceled" });
    }
  });

  test("wait for the last item and for the end of the planning", async () => {
    const running = await stores.insert({}, [{ status: "succeeded" }, { status: "running" }]);
    const canceling = await stores.insert({ state: "canceling" }, [{ status: "queued" }]);
    const planning = await stores.insert({ state: "planning", planning: { phase: "receiving" } }, []);
    const canceledEarly = await stores.insert({ state: "canceling", planning: { phase: "receiving" } }, []);
    for (const run of [running, canceling, planning, canceledEarly]) {
      expect(await step(run)).toBe("not_yet");
      expect(await stores.reload(run)).toEqual(run);
    }
  });
});

describe("the writing of large results", () => {
  let run: RunRow;
  let whole: Record<string, string | undefined>;
  /** A table, and the artifact, which has more sections than any other; and what both are made of. */
  let lastTwo: typeof whole;
  beforeAll(async () => {
    const id = { runId: "big" };
    // 5.5 MiB: two parts for every document but one table, and results that lie in the bucket among them.
    const items = await Promise.all(
      Array.from({ length: 120 }, (_, i) =>
        stores.succeeded(id, i, {
          items: [{ name: `é${i} `.repeat(i % 4 === 0 ? 2_000 : 12_500), price: "1" }],
        }),
      ),
    );
    run = await stores.insert(
      { ...id, finishedAt: new Date("2026-11-24T00:05:00Z"), persistInputs: true },
      items,
    );
    await rewind(run);
    await finish(run, { sizes: { partBytes: 64 * MiB, rows: 500, reads: 16 } });
    whole = await documents(run);
    expect(Object.keys(whole)).toHaveLength(5);
    lastTwo = Object.fromEntries(
      [filesOf(run).jsonl, filesOf(run).lineItemsCsv, artifactOf(run)].map((rel) => [rel, whole[rel]]),
    );
  });

  test("in parts gives the bytes that one put gives, and holds no more than a chunk of rows", async () => {
    await rewind(run);
    const { db, most } = counting(stores.db);
    stores.store.calls.length = 0;
    await finish(run, { services: { ...stores.services, db } });
    const operations = stores.store.calls.map(({ operation }) => operation);
    expect(operations.filter((operation) => operation === "UploadPart").length).toBe(8);
    expect(operations.filter((operation) => operation === "CompleteMultipartUpload").length).toBe(4);
    expect(most()).toBe(small.rows);
    expect(await documents(run)).toEqual(whole);
  });

  test("goes on behind a crash at every save, with the same bytes", async () => {
    for (const applied of [false, true]) {
      await rewind(run, 3);
      const { db, writes } = crashing(stores.db, applied);
      const { threw } = await finish(run, { services: { ...stores.services, db } });
      // Every write of the database was lost once, or its answer was.
      expect(threw).toBeGreaterThanOrEqual(2);
      expect(writes()).toBeGreaterThan(6);
      expect(await documents(run)).toEqual(lastTwo);
    }
  });

  test("goes on behind failures of the bucket", async () => {
    await rewind(run, 3);
    let writes = 0;
    stores.store.hook.answer = ({ operation }) => {
      if (!/Put|Create|Upload|Complete/.test(operation)) return undefined;
      writes += 1;
      return writes % 3 === 0 ? { status: 403 } : undefined;
    };
    expect((await finish(run)).threw).toBeGreaterThan(1);
    expect(await documents(run)).toEqual(lastTwo);
  });

  test("begins a document anew whose upload was ended by somebody else", async () => {
    await rewind(run, 3);
    stores.store.hook.answer = ({ operation }) =>
      operation === "CompleteMultipartUpload" ? { status: 403 } : undefined;
    await expect(step(run, { sizes: small })).rejects.toMatchObject({ code: "storage_unavailable" });
    stores.store.hook.answer = () => undefined;
    const { finishing } = await stores.reload(run);
    expect(finishing?.etags).toHaveLength(1);
    await stores.store.bucket.client.send(
      new AbortMultipartUploadCommand({
        Bucket: "test",
        Key: Bucket.absolute(stores.store.bucket, filesOf(run).lineItemsCsv),
        UploadId: finishing?.uploadId ?? "",
      }),
    );
    await finish(run);
    expect(lines).toContainEqual(expect.objectContaining({ event: "finish_restarted", document: 3 }));
    expect(await documents(run)).toEqual(lastTwo);
  });

  test("begins at the first document again where that is lost, or where another version of the code began", async () => {
    for (const [document, version] of [
      [2, "test"],
      [5, "older"],
    ] as const) {
      await rewind(run);
      const finishing = { ...Finishing.begin("succeeded", version), document };
      await stores.db.query.update(runTable).set({ finishing }).where(eq(runTable.runUid, run.runUid));
      await finish(run);
      expect(await documents(run)).toEqual(whole);
    }
  });

  test("is carried over between steps that end in the middle of a part", async () => {
    await rewind(run, 3);
    const startedAt = performance.now();
    await finish(run);
    // A part of the time that this machine needs for all of it, just now.
    const timeMs = (performance.now() - startedAt) / 10;
    await rewind(run, 3);
    const { more } = await finish(run, { timeMs });
    expect(more).toBeGreaterThan(3);
    expect(await documents(run)).toEqual(lastTwo);
  });
});

describe("a step", () => {
  test("with no time at all still comes further, and the bytes are the same", async () => {
    const id = { runId: "slow" };
    const items = await Promise.all(
      [0, 1, 2, 3].map((i) => stores.succeeded(id, i, { items: [line(`n${i}`, "1"), line("m", "=2")] })),
    );
    const run = await stores.insert({ ...id, finishedAt: new Date("2026-11-24T00:05:00Z") }, items);
    await rewind(run);
    await finish(run);
    const whole = await documents(run);
    await rewind(run);
    const { more } = await finish(run, { timeMs: -1 });
    expect(more).toBeGreaterThan(20);
    expect(await documents(run)).toEqual(whole);
  });

  test("of a run that has ended changes nothing, and orders the webhook only if it was never tried", async () => {
    // Of a key one call is under way at a time.
    const run = await stores.insert({ keyId: "told", webhookUrl: "https://example.com/" }, []);
    const before = stores.sentTo("later");
    expect(await step(run)).toBe("done");
    expect(await step(run)).toBe("done");
    expect(stores.sentTo("later")).toBe(before + 1);
    const ended = await stores.reload(run);
    await stores.db.query.update(runTable).set({ webhook: [] }).where(eq(runTable.runUid, run.runUid));
    expect(await step(run)).toBe("done");
    expect(stores.sentTo("later")).toBe(before + 1);
    expect(lines.filter(({ event }) => event === "run_end")).toHaveLength(1);
    expect(await stores.reload(run)).toEqual({ ...ended, webhook: [] });
  });

  test("that was overtaken by another worker moves nothing", async () => {
    const run = await stores.insert({}, [{ status: "succeeded" }]);
    const db = meddling(stores.db, run);
    const services = { ...stores.services, db };
    expect(await Finish.step(services, run, ample(), log)).toBe("more");
    expect(await stores.reload(run)).toMatchObject({ state: "finishing", finishing: { document: 3 } });
  });
});
