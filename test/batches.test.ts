import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Bucket from "#core/artifact/bucket";
import type { Item } from "#core/run/schema";
import { answer, type Batches, open, silent } from "#test/batches";
import * as ModelServer from "#test/model-server";

let batches: Batches;
let keys: string[];

beforeAll(async () => {
  batches = await open({ timeScale: 1 / 10, env: { ITEM_MAX_CONCURRENCY: "16" } });
  keys = await batches.keys(20);
});
afterAll(async () => {
  await batches?.close();
});

const repeat = (n: number) => Array.from({ length: n }, (_, i) => keys[i % keys.length] as string);
const itemsOf = async (runId: string, query = "") =>
  ((await batches.loop.call(`/v1/runs/${runId}/items${query}`)).body as { items: Item[] }).items;

describe("a run", () => {
  test("reads every picture once, and shows how far it is", async () => {
    const before = batches.model.requests.length;
    const made = await batches.create({ keys: keys.slice(0, 6), run_id: "first", concurrency: 2 });
    expect(made).toMatchObject({ run_id: "first", counts: { total: 6 }, concurrency: 2 });
    const run = await batches.ended("first");
    expect(run).toMatchObject({
      status: "succeeded",
      counts: { total: 6, queued: 0, running: 0, succeeded: 6, failed: 0, canceled: 0 },
      schema_ok: 6,
    });
    expect(batches.model.requests.length - before).toBe(6);
    await batches.verify("first");
    const [item] = await itemsOf("first");
    expect(item).toMatchObject({ index: 0, status: "succeeded", request_id: "first~0", attempts: 1 });
    const extract = await batches.loop.call("/v1/extracts/first~0");
    expect(extract.body).toMatchObject({ request_id: "first~0", status: "succeeded", result: item?.result });
  });

  test("one bad picture fails by itself, and only it is run again", async () => {
    await Bucket.replace(batches.bucket, silent, "data/shared/test/bad.jpg", {
      body: "this is no picture",
      contentType: "image/jpeg",
    });
    const list = [...keys.slice(0, 9), "shared/test/bad.jpg", ...keys.slice(9, 19)];
    await batches.create({ keys: list, run_id: "one-bad", concurrency: 8 });
    const run = await batches.ended("one-bad");
    expect(run).toMatchObject({ status: "succeeded", counts: { total: 20, succeeded: 19, failed: 1 } });
    await batches.verify("one-bad");
    expect(await itemsOf("one-bad", "?status=failed")).toMatchObject([
      { index: 9, error: { code: "unsupported_media_type" } },
    ]);
    const again = await batches.loop.call("/v1/batch_extract_rerun", {
      json: { source_run_id: "one-bad", run_id: "one-bad-again", only: "failed" },
    });
    expect(again.status, again.text).toBe(202);
    expect(await batches.ended("one-bad-again")).toMatchObject({ counts: { total: 1, failed: 1 } });
  });
});

describe("concurrency", () => {
  test.each([1, 2])("%i means that many at the model server, and never more", async (concurrency) => {
    batches.model.respond = () => answer(150);
    const seen = watch();
    await batches.create({ keys: repeat(8 * concurrency), run_id: `exact-${concurrency}`, concurrency });
    await batches.ended(`exact-${concurrency}`);
    expect(seen.most()).toBe(concurrency);
    await batches.verify(`exact-${concurrency}`);
  });

  test("two runs keep their own, 7 and 8, at the same time", async () => {
    // Nobody is answered before all that may be there are there.
    const full = Promise.withResolvers<void>();
    const seen = watch();
    batches.model.respond = async () => {
      if (seen.now() === 15) full.resolve();
      await full.promise;
      return answer(100);
    };
    await Promise.all([
      batches.create({ keys: repeat(35), run_id: "seven", concurrency: 7 }),
      batches.create({ keys: repeat(40), run_id: "eight", concurrency: 8 }),
    ]);
    await Promise.all([batches.ended("seven"), batches.ended("eight")]);
    expect(seen.most("seven")).toBe(7);
    expect(seen.most("eight")).toBe(8);
    expect(seen.most()).toBe(15);
    await batches.verify("seven");
    await batches.verify("eight");
  });
});

/** The most that are in flight from now on, by the times of the model server's requests; of one run by its ids. */
function watch() {
  const from = batches.model.requests.length;
  return {
    now: (): number =>
      batches.model.requests.slice(from).filter(({ endedAt }) => endedAt === undefined).length,
    most: (runId?: string): number => {
      const requests = batches.model.requests
        .slice(from)
        .filter(
          (each) => runId === undefined || String(each.headers["x-request-id"]).startsWith(`${runId}~`),
        );
      const changes = requests.flatMap(({ at, endedAt = at }) => [
        [at, 1],
        [endedAt, -1],
      ]) as [number, number][];
      // At the same millisecond an end comes first: the next one began because of it.
      changes.sort(([a, up], [b, down]) => a - b || up - down);
      let now = 0;
      return changes.reduce((most, [, change]) => {
        now += change;
        return Math.max(most, now);
      }, 0);
    },
  };
}

describe("cancel", () => {
  test("at half: what has not begun is canceled, what is in flight ends, and nothing more reaches the model", async () => {
    batches.model.respond = () => answer(200);
    const before = batches.model.requests.length;
    await batches.create({ keys: repeat(40), run_id: "half", concurrency: 4 });
    await vi.waitFor(() => expect(batches.model.requests.length - before).toBeGreaterThanOrEqual(20), {
      timeout: 20_000,
      interval: 20,
    });
    const canceled = await batches.loop.call("/v1/runs/half/cancel", { method: "POST" });
    expect(canceled.status, canceled.text).toBe(202);
    const asked = batches.model.requests.length - before;
    const run = await batches.ended("half");
    expect(run.status).toBe("canceled");
    // Those whose claim was made before the cancel may still ask.
    expect(batches.model.requests.length - before).toBeLessThanOrEqual(asked + 4);
    expect(run.counts.succeeded).toBe(batches.model.requests.length - before);
    expect(run.counts.succeeded + run.counts.canceled).toBe(40);
    await batches.verify("half");
    expect((await batches.loop.call("/v1/runs/half/cancel", { method: "POST" })).status).toBe(202);
  });
});

describe("ids", () => {
  test("runs whose ids look alike, and extracts named like items, never share a result", async () => {
    batches.model.respond = (_request, n) => ModelServer.json({ total: `${n}.00` });
    const other = await batches.loop.call("/v1/extract", {
      json: { image_base64: "AAAA", request_id: "a~0" },
    });
    expect(other.status).toBe(400);
    const [one, two] = await Promise.all([
      batches.create({ keys: keys.slice(0, 3), run_id: "a" }),
      batches.create({ keys: keys.slice(3, 6), run_id: "a-1" }),
    ]);
    expect([one.run_id, two.run_id]).toEqual(["a", "a-1"]);
    await Promise.all([batches.ended("a"), batches.ended("a-1")]);
    const rows = [...(await batches.verify("a")), ...(await batches.verify("a-1"))];
    expect(new Set(rows.map((row) => row.result)).size).toBe(6);
    const deleted = await batches.loop.call("/v1/runs/a", { method: "DELETE" });
    expect(deleted.body).toMatchObject({ deleted: { extracts: 3, runs: 1 } });
    expect((await batches.loop.call("/v1/runs/a")).status).toBe(404);
    expect((await batches.loop.call("/v1/runs/a-1")).status).toBe(200);
    await batches.verify("a-1");
    const again = await batches.loop.call("/v1/batch_extract", {
      json: { manifest: [{ image_key: keys[0] }], run_id: "a" },
    });
    expect((again.body as { error: { code: string } }).error.code).toBe("conflict");
  });
});

test("in all of this reconcile had nothing to mend", async () => {
  await vi.waitFor(() => expect(batches.loop.events("reconciled_runs").length).toBeGreaterThan(0), 20_000);
  for (const {
    items_requeued,
    items_stored,
    runs_ordered,
    runs_failed,
    runs_renumbered,
  } of batches.loop.events("reconciled_runs"))
    expect({ items_requeued, items_stored, runs_ordered, runs_failed, runs_renumbered }).toEqual({
      ...{ items_requeued: 0, items_stored: 0, runs_ordered: 0, runs_failed: 0, runs_renumbered: 0 },
    });
});
