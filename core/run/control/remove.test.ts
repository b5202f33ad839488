import { eq } from "drizzle-orm";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Place from "#core/artifact/place";
import { AppError } from "#core/error";
import * as Dialect from "#core/export/table/dialect";
import { extractTable } from "#core/extraction/extract.sql";
import * as Runs from "#core/reconcile/runs";
import * as Finish from "#core/run/results/finish";
import * as Results from "#core/run/results/results";
import { type RunRow, runTable } from "#core/run/run.sql";
import * as Inputs from "#core/run/source/inputs";
import { keptPrefix } from "#core/run/source/kept";
import * as EndedRun from "#test/support/ended-run";
import { silent } from "#test/support/test-bucket";
import * as Remove from "./remove.ts";

let stores: EndedRun.Stores;
beforeAll(async () => {
  stores = await EndedRun.start();
});
afterAll(async () => {
  await stores.close();
});
beforeEach(async () => {
  for (const prefix of ["extracts/", "batches/", "inputs/", "data/"])
    await Inputs.removeBelow(stores.store.bucket, silent, prefix);
});
afterEach(() => {
  stores.store.hook.answer = () => undefined;
});

const ample = () => Date.now() + 60_000;
const csv: Parameters<typeof Results.of>[3] = {
  ...{ format: "csv", values: "both", dialect: Dialect.stored, asUrl: false, deadline: ample() },
};
const finish = async (run: RunRow) => {
  expect(await Finish.step(stores.services, run, { deadline: ample() }, silent)).toBe("done");
  return stores.reload(run);
};
const begin = (run: RunRow, deadline = ample()) => Remove.begin(stores.services, silent, run, deadline);

/** An ended run of two items with their artifacts, one attempt, and two kept pictures. */
async function ended(runId: string, more: EndedRun.NewRun = {}): Promise<RunRow> {
  const items = [0, 1].map((i) => stores.succeeded({ runId }, i, { total: "1" }));
  const run = await stores.insert({ runId, persistInputs: true, ...more }, await Promise.all(items));
  for (const i of [0, 1]) {
    await stores.store.put(Place.extractKey("alice", `${runId}~${i}`, run.createdAt));
    await stores.store.put(`${keptPrefix(run)}${i}`);
  }
  const { made } = Place.batchFiles("alice", runId, run.createdAt);
  await stores.store.put(`${made}xlsx-both-0`);
  await stores.store.put(Place.attemptKey("alice", `${runId}~1`, run.createdAt, 3));
  await stores.store.put(Place.stepKey("alice", `${runId}~1`, run.createdAt, 5));
  return finish(run);
}

describe("when a run ends, its pictures", () => {
  test("are removed: those that came with it and its uploads, rows included; never the data root", async () => {
    const upload = await stores.upload("gone");
    await stores.store.put("data/shared/1.png");
    const run = await stores.insert({}, [upload, { ...upload, index: 1 }, {}]);
    await stores.store.put(`${keptPrefix(run)}0`);
    const own = await stores.insert({}, [{ sourceKind: "run", objectKey: `${keptPrefix(run)}0` }]);
    // A run that took over an item does not remove the other run's picture.
    await finish(own);
    expect(await stores.rels("inputs/")).toHaveLength(2);
    await finish(run);
    expect(await stores.rels("inputs/")).toEqual([`${keptPrefix(run)}0`]);
    expect(await stores.rels("data/")).toEqual(["data/shared/1.png"]);
    expect(await stores.uploads()).not.toContain("upload_gone");

    const came = await stores.insert({ runUid: "with-files" }, [
      { sourceKind: "run", objectKey: "inputs/runs/alice/with-files/0" },
      { sourceKind: "run", objectKey: "inputs/runs/alice/with-files/1" },
    ]);
    for (const i of [0, 1]) await stores.store.put(`inputs/runs/alice/with-files/${i}`);
    await finish(came);
    expect(await stores.rels("inputs/runs/alice/with-files/")).toEqual([]);
  });

  test("stay as long as another run needs the upload: a run that has not ended, or that keeps its inputs", async () => {
    const upload = await stores.upload("shared");
    const first = await stores.insert({}, [upload]);
    const second = await stores.insert({}, [{ ...upload, status: "queued" }]);
    const keeper = await stores.insert({ persistInputs: true, state: "succeeded" }, [upload]);
    await finish(first);
    expect(await stores.rels("inputs/")).toEqual([upload.objectKey]);
    expect(await begin(keeper)).toMatchObject({ kind: "deleted", deleted: { inputs: 0 } });
    expect(await stores.rels("inputs/")).toEqual([upload.objectKey]);
    expect(await stores.uploads()).toContain("upload_shared");
    await stores.db.query.update(runTable).set({ succeeded: 1 }).where(eq(runTable.runUid, second.runUid));
    await finish(second);
    expect(await stores.rels("inputs/")).toEqual([]);
    expect(await stores.uploads()).not.toContain("upload_shared");
  });

  test("stay as long as a single extract of the same key waits in the queue with the same upload", async () => {
    const upload = await stores.upload("waiting");
    const input = {
      ...({ source: "upload", objectKey: upload.objectKey, etag: null, temporary: false } as const),
    };
    const row = { taskId: "receipt_fields_v1", payloadHash: "h", status: "queued", token: 1 } as const;
    const now = new Date();
    const extract = (keyId: string, status: "queued" | "succeeded") => ({
      ...{ ...row, keyId, status, requestId: `waiting-${status}`, createdAt: now, leaseUntil: now },
      input: { ...input, declaredMimeType: null, debug: null, principalRole: "client" },
    });
    await stores.db.query.insert(extractTable).values([extract("alice", "queued"), extract("bob", "queued")]);
    const first = await stores.insert({}, [upload]);
    await finish(first);
    expect(await stores.rels("inputs/")).toEqual([upload.objectKey]);
    expect(await stores.uploads()).toContain("upload_waiting");
    await stores.db.query
      .update(extractTable)
      .set({ status: "succeeded" })
      .where(eq(extractTable.keyId, "alice"));
    await finish(await stores.insert({}, [upload]));
    expect(await stores.rels("inputs/")).toEqual([]);
    expect(await stores.uploads()).not.toContain("upload_waiting");
  });

  test("stay when they are to be kept, and are removed after a crash between row and object", async () => {
    const kept = await stores.upload("kept");
    await finish(await stores.insert({ persistInputs: true }, [kept]));
    expect(await stores.rels("inputs/")).toEqual([kept.objectKey]);

    const upload = await stores.upload("torn");
    const run = await stores.insert({}, [upload]);
    stores.store.hook.answer = ({ operation }) =>
      operation === "DeleteObject" ? { status: 403 } : undefined;
    const deadline = ample();
    await expect(Finish.step(stores.services, run, { deadline }, silent)).rejects.toMatchObject({
      code: "storage_unavailable",
    });
    expect(await stores.uploads()).not.toContain("upload_torn");
    stores.store.hook.answer = () => undefined;
    await finish(await stores.reload(run));
    expect(await stores.rels("inputs/")).toEqual([kept.objectKey]);
  });
});

describe("a run that could not be carried out", () => {
  test("is failed with its reason, without rows and pictures of its own; uploads stay for the next try", async () => {
    const upload = await stores.upload("next-try");
    const state = "planning" as const;
    const run = await stores.insert({ state, webhookUrl: "https://example.com/", runUid: "broken" }, [
      { ...upload, status: "queued" },
      { status: "queued" },
    ]);
    await stores.store.put("inputs/runs/alice/broken/0");
    const before = stores.sentTo("later");
    const error = new AppError("invalid_request", "lines of the manifest are wrong", {
      details: { issues: [{ line: 2, path: "image_key", message: "is unknown" }] },
    });
    await Finish.fail(stores.services, run, error, silent);
    const row = await stores.reload(run);
    expect(row).toMatchObject({
      state: "failed",
      planning: null,
      total: 0,
      errorCode: "invalid_request",
      errorDetails: error.details,
      finishedAt: expect.any(Date),
    });
    expect(await stores.items(run)).toEqual([]);
    expect(await stores.rels("inputs/")).toEqual([upload.objectKey]);
    expect(stores.sentTo("later")).toBe(before + 1);
    await expect(Results.of(stores.services, silent, row, csv)).rejects.toMatchObject({
      code: "conflict",
      details: { reason: "run_failed" },
    });
  });

  test("cannot be a run that has begun", async () => {
    const run = await stores.insert({}, [{ status: "running" }]);
    await Finish.fail(stores.services, run, new AppError("internal", "x"), silent);
    expect(await stores.reload(run)).toEqual(run);
    expect(await stores.items(run)).toHaveLength(1);
  });
});

describe("the delete of a run", () => {
  test("removes everything of it and nothing of runs with similar names, and keeps the id", async () => {
    const names = ["a", "a-1", "a.items", "a.results", "a1"];
    const runs = new Map<string, RunRow>();
    for (const name of names) runs.set(name, await ended(name));
    await stores.store.put(Place.extractKey("alice", "a", new Date("2026-11-23T00:00:00Z")));
    await stores.store.put(Place.extractKey("alice", "a-1", new Date("2026-11-23T00:00:00Z")));
    const all = await stores.rels();
    const run = runs.get("a") as RunRow;
    expect(await begin(run)).toEqual({
      kind: "deleted",
      deleted: { extracts: 2, inputs: 2, evals: 0, runs: 1 },
    });
    const day = "2026-11-23/alice";
    expect(all.filter((rel) => rel.includes("/a~") || rel.includes(run.runUid))).toHaveLength(8);
    const gone = [
      `extracts/${day}/a~0.json`,
      `extracts/${day}/a~1.json`,
      `extracts/${day}/a~1~attempt-3.json`,
      `extracts/${day}/a~1~step-0005`,
      `batches/${day}/a.json`,
      `batches/${day}/a.items.jsonl`,
      `batches/${day}/a~results.json`,
      `batches/${day}/a.results.csv`,
      `batches/${day}/a.line_items.csv`,
      `batches/${day}/a~made-xlsx-both-0`,
      `${keptPrefix(run)}0`,
      `${keptPrefix(run)}1`,
    ];
    expect(await stores.rels()).toEqual(all.filter((rel) => !gone.includes(rel)));
    expect(all.filter((rel) => gone.includes(rel))).toHaveLength(gone.length);
    expect(await stores.items(run)).toEqual([]);
    expect(await stores.reload(run)).toMatchObject({ state: "deleted", artifactRel: null, runId: "a" });
    for (const name of names.slice(1))
      expect(await stores.reload(runs.get(name) as RunRow)).toEqual(runs.get(name));
    await expect(begin(run)).rejects.toMatchObject({ code: "not_found" });
  });

  test("removes the uploads that it kept, and clears the row", async () => {
    const upload = await stores.upload("mine");
    const run = await finish(
      await stores.insert({ persistInputs: true, webhookUrl: "https://example.com/?token=x" }, [upload, {}]),
    );
    expect(await begin(run)).toMatchObject({ deleted: { inputs: 1, runs: 1 } });
    expect(await stores.rels("inputs/")).toEqual([]);
    expect(await stores.uploads()).not.toContain("upload_mine");
    expect(await stores.reload(run)).toMatchObject({ webhookUrl: null, webhook: null });
  });

  test("counts each picture once: files that came with it, URLs, and uploads together with the run's copies of them", async () => {
    const put = (rel: string) => stores.store.put(rel);
    const files = { runUid: "came", runId: "came", persistInputs: true, state: "succeeded" as const };
    const came = await stores.insert(
      files,
      [0, 1].map((i) => ({
        sourceKind: "run" as const,
        objectKey: `inputs/runs/alice/came/${i}`,
        kept: true,
      })),
    );
    for (const i of [0, 1]) await put(`${keptPrefix(came)}${i}`);
    expect(await begin(came)).toMatchObject({ deleted: { inputs: 2 } });

    const copied = await stores.upload("copied");
    const bare = await stores.upload("bare");
    const url = { sourceKind: "url" as const, objectKey: null, url: "https://example.com/a.png", kept: true };
    const mixed = await stores.insert({ persistInputs: true, state: "succeeded" }, [
      { ...copied, kept: true },
      bare,
      url,
      // Taken over from another run, then copied.
      { sourceKind: "data", objectKey: "inputs/runs/alice/another/0", kept: true },
      {},
    ]);
    await put("inputs/runs/alice/another/0");
    for (const i of [0, 2, 3]) await put(`${keptPrefix(mixed)}${i}`);
    expect(await begin(mixed)).toMatchObject({ deleted: { inputs: 4 } });
    expect(await stores.rels("inputs/")).toEqual(["inputs/runs/alice/another/0"]);
  });

  test("of a large run is done by the planner, in steps that can be repeated after a crash anywhere", async () => {
    const upload = await stores.upload("large");
    const run = await stores.insert(
      { persistInputs: true, state: "succeeded" },
      Array.from({ length: 1_001 }, (_, i) => (i === 700 ? upload : {})),
    );
    for (let i = 0; i < 40; i += 1)
      await stores.store.put(Place.extractKey("alice", `${run.runId}~${i}`, run.createdAt));
    const before = stores.sentTo("plan");
    expect(await begin(run)).toEqual({ kind: "deleting" });
    expect(stores.sentTo("plan")).toBe(before + 1);
    expect((await stores.reload(run)).state).toBe("deleting");
    await expect(Results.of(stores.services, silent, await stores.reload(run), csv)).rejects.toMatchObject({
      code: "not_found",
    });

    let deletes = 0;
    stores.store.hook.answer = ({ operation }) => {
      if (operation !== "DeleteObject") return undefined;
      deletes += 1;
      return deletes % 20 === 0 ? { status: 403 } : undefined;
    };
    let threw = 0;
    for (let done = false; !done; ) {
      try {
        const held = await stores.reload(run);
        // Without time each step does only its minimum.
        done = (await Remove.step(stores.services, held, { deadline: 0 }, silent)) === "done";
      } catch (thrown) {
        if (!(thrown instanceof AppError) || thrown.code !== "storage_unavailable") throw thrown;
        threw += 1;
      }
      expect(threw).toBeLessThan(20);
    }
    expect(threw).toBeGreaterThan(1);
    expect(await stores.rels()).toEqual([]);
    expect(await stores.items(run)).toEqual([]);
    expect(await stores.reload(run)).toMatchObject({ state: "deleted" });
    expect(await Remove.step(stores.services, await stores.reload(run), { deadline: ample() }, silent)).toBe(
      "done",
    );
  });

  test("also removes objects that a late worker wrote, once no worker can be left", async () => {
    const run = await ended("late-writer");
    await begin(run);
    const late = Place.extractKey("alice", "late-writer~1", run.createdAt);
    await stores.store.put(late);
    await Runs.reconcile(stores.services, silent);
    expect(await stores.rels("extracts/")).toEqual([late]);
    await stores.db.client.execute({
      sql: "UPDATE run SET look_again_at = 1 WHERE run_uid = ?",
      args: [run.runUid],
    });
    await Runs.reconcile(stores.services, silent);
    expect(await stores.rels("extracts/")).toEqual([]);
    expect(await stores.reload(run)).toMatchObject({ state: "deleted", lookAgainAt: null });
  });

  test("is refused while a rerun, or a rerun of a rerun, still reads its pictures", async () => {
    const first = await ended("first");
    const second = await ended("second", { source: "rerun", sourceRunId: "first" });
    const rerun = { source: "rerun" as const, sourceRunId: "second" };
    const third = await stores.insert({ runId: "third", ...rerun }, [{ status: "running" }]);
    await stores.insert({ runId: "other", keyId: "bob", ...rerun }, [{ status: "running" }]);
    for (const run of [first, second])
      await expect(begin(run)).rejects.toMatchObject({
        code: "conflict",
        details: { reason: "rerun_not_ended" },
      });
    await stores.db.query.update(runTable).set({ state: "failed" }).where(eq(runTable.runUid, third.runUid));
    expect(await begin(first)).toMatchObject({ kind: "deleted" });
  });
});
