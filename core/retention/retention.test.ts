import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Place from "#core/artifact/place";
import { extractTable } from "#core/extraction/extract.sql";
import { groundTruthTable } from "#core/ground-truth/ground-truth.sql";
import { anonymous } from "#core/key/key";
import { keyTable } from "#core/key/key.sql";
import { runTable } from "#core/run/run.sql";
import * as EndedRun from "#test/support/ended-run";
import { silent } from "#test/support/test-bucket";
import * as Retention from "./retention.ts";

let stores: EndedRun.Stores;
beforeAll(async () => {
  stores = await EndedRun.start();
  const key = { role: "client" as const, scopes: [], createdAt: new Date() };
  await stores.db.query.insert(keyTable).values([
    { ...key, keyId: "alice" },
    { ...key, keyId: "keeps-long", retentionDays: 90 },
  ]);
});
afterAll(() => stores.close());

const dayMs = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * dayMs);
const sweep = (days: number | undefined) =>
  Retention.sweep(stores.services, silent, { days, deadline: Date.now() + 20_000 });

/** An extract that was made this many days ago, with its artifact and an attempt. */
async function extractOf(
  keyId: string,
  requestId: string,
  days: number,
  status: "succeeded" | "queued" | "deleted" = "succeeded",
) {
  const createdAt = daysAgo(days);
  const row = { keyId, requestId, taskId: "receipt_v1", payloadHash: "h", status, createdAt, token: 1 };
  await stores.db.query.insert(extractTable).values({ ...row, leaseUntil: createdAt, endedAt: createdAt });
  if (status !== "succeeded") return;
  await stores.store.put(Place.extractKey(keyId, requestId, createdAt));
  await stores.store.put(Place.attemptKey(keyId, requestId, createdAt, 1));
}
const extracts = async () =>
  (await stores.db.query.select().from(extractTable)).map(({ requestId }) => requestId).toSorted();
const runs = async () => (await stores.db.query.select().from(runTable)).map(({ runId }) => runId).toSorted();

describe("work whose retention is over", () => {
  test("is removed with its artifacts and frees its id; other work stays", async () => {
    await extractOf("alice", "old", 31);
    await extractOf("alice", "deleted-by-caller", 31, "deleted");
    await extractOf("alice", "waits", 31, "queued");
    await extractOf("alice", "young", 29);
    await extractOf("keeps-long", "kept", 31);
    await extractOf(anonymous.keyId, "of-nobody", 31);
    expect(await sweep(undefined)).toEqual({ extracts: 0, runs: 0, ground_truths: 0, evals: 0 });

    expect(await sweep(30)).toEqual({ extracts: 2, runs: 0, ground_truths: 0, evals: 0 });

    expect(await extracts()).toEqual(["kept", "waits", "young"]);
    const left = await stores.rels("extracts/");
    expect(left.filter((rel) => rel.includes("/old"))).toEqual([]);
    expect(left).toHaveLength(4);
  });

  test("ground truths are removed, too, by the day on which they were made", async () => {
    const row = (gtId: string, keyId: string, days: number) => ({
      ...{ gtId, keyId, name: "n", sha256: "s", records: 1, bytes: 2, imageKey: "file" },
      ...{ objectKey: `ground_truths/${keyId}/${gtId}.jsonl`, createdAt: daysAgo(days) },
    });
    const rows = [row("old", "alice", 31), row("young", "alice", 29), row("kept", "keeps-long", 31)];
    await stores.db.query.insert(groundTruthTable).values(rows);
    for (const { objectKey } of rows) await stores.store.put(objectKey);
    expect(await sweep(30)).toMatchObject({ ground_truths: 1 });
    expect(await stores.rels("ground_truths/")).toEqual([
      "ground_truths/alice/young.jsonl",
      "ground_truths/keeps-long/kept.jsonl",
    ]);
    const left = await stores.db.query.select().from(groundTruthTable);
    expect(left.map(({ gtId }) => gtId).toSorted()).toEqual(["kept", "young"]);
  });

  test("a key's own days hold where the stage keeps everything", async () => {
    await extractOf("keeps-long", "very-old", 91);
    expect(await sweep(undefined)).toEqual({ extracts: 1, runs: 0, ground_truths: 0, evals: 0 });
    expect(await extracts()).not.toContain("very-old");
  });

  test("a run goes with its items and their artifacts, a deleted one with its id, one that goes on stays", async () => {
    const ended = { state: "succeeded" as const, createdAt: daysAgo(31), finishedAt: daysAgo(31) };
    const item = await stores.succeeded({ runId: "gone" }, 0, { total: "1" });
    await stores.insert({ ...ended, runId: "gone" }, [item]);
    await stores.insert({ ...ended, runId: "tombstone", state: "deleted" }, []);
    await stores.insert({ ...ended, runId: "goes-on", state: "running" }, []);
    expect((await sweep(30)).runs).toBe(1);
    expect(await runs()).toEqual(["goes-on"]);
  });

  test("a run with a retention of its own is removed after that", async () => {
    const ended = { state: "succeeded" as const, finishedAt: new Date(Date.now() - 3_600_000) };
    await stores.insert({ ...ended, runId: "an-hour", expiresAfterS: 3_500 }, []);
    await stores.insert({ ...ended, runId: "two-hours", expiresAfterS: 7_200 }, []);
    expect((await sweep(undefined)).runs).toBe(1);
    expect(await runs()).toEqual(["goes-on", "two-hours"]);
  });

  test("its days are counted from its end, so that a long run can still be read", async () => {
    const made = { state: "succeeded" as const, createdAt: daysAgo(31) };
    await stores.insert({ ...made, runId: "took-long", finishedAt: daysAgo(1) }, []);
    await extractOf("alice", "took-long", 31);
    await stores.db.client.execute({
      sql: "UPDATE extract SET ended_at = ? WHERE request_id = 'took-long'",
      args: [daysAgo(1).getTime()],
    });
    expect(await sweep(30)).toEqual({ extracts: 0, runs: 0, ground_truths: 0, evals: 0 });
    await stores.db.client.execute("DELETE FROM run WHERE run_id = 'took-long'");
    await stores.db.client.execute("DELETE FROM extract WHERE request_id = 'took-long'");
  });
});

describe("a long history", () => {
  test("is removed as fast as time allows, key by key, even if some of it cannot be removed", async () => {
    await Promise.all(Array.from({ length: 55 }, (_, i) => extractOf("alice", `many-${i}`, 40)));
    await extractOf("keeps-long", "also", 100);
    stores.store.hook.answer = ({ operation, key }) =>
      operation === "DeleteObject" && key?.includes("/many-7.json") ? { status: 403 } : undefined;
    await expect(sweep(30)).rejects.toMatchObject({ code: "storage_unavailable" });
    stores.store.hook.answer = () => undefined;
    expect((await extracts()).filter((id) => /many|also/.test(id))).toEqual(["many-7"]);
    await stores.db.client.execute("DELETE FROM extract WHERE request_id = 'many-7'");
  });

  test("includes runs that reruns still read; these stay and do not block others", async () => {
    const ended = { state: "succeeded" as const, createdAt: daysAgo(41), finishedAt: daysAgo(41) };
    for (let i = 0; i < 5; i += 1) {
      await stores.insert({ ...ended, runId: `read-${i}` }, []);
      await stores.insert(
        { runId: `reads-${i}`, source: "rerun", sourceRunId: `read-${i}`, state: "running", total: 1 },
        [],
      );
    }
    await stores.insert({ ...ended, createdAt: daysAgo(40), runId: "behind" }, []);
    expect(await sweep(30)).toEqual({ extracts: 0, runs: 1, ground_truths: 0, evals: 0 });
    expect(await runs()).not.toContain("behind");
  });
});
