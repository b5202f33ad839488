import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import type { Artifact } from "#core/reading/schema";
import { usageTable } from "#core/usage/usage.sql";
import * as Batches from "#test/support/batches/batches";
import * as ModelServer from "#test/support/model-server/model-server";
import { pagesOf, sheet } from "#test/support/sheets";
import { tiffOf } from "#test/support/tiff";

/*
 * Documents of 50 pages on the loop; the worker is killed with SIGKILL repeatedly in the middle. A call has two pages,
 * and a worker hands over to the next after four calls.
 */

const pages = 50;
const callsOfOne = pages / 2;

let batches: Batches.Batches;
let bytes: Buffer;
/** Called at every call, with its number since the document was sent. */
let onCall: (n: number) => boolean = () => false;
let inFlight = 0;
let most = 0;

beforeAll(async () => {
  // Ten different pages, repeated. A page is recognized by its width, and each call's answer names its pages.
  const ten = await Promise.all(Array.from({ length: 10 }, (_, index) => sheet(1_024 + (index + 1) * 32)));
  bytes = tiffOf(Array.from({ length: pages }, (_, index) => ten[index % 10] as Buffer));
  let count = 0;
  batches = await Batches.open({
    timeScale: 1 / 10,
    env: { VLLM_MAX_IMAGES: "2" },
    model: {
      maxModelLen: 8_192,
      respond: async (request) => {
        count += 1;
        if (onCall(count)) return ModelServer.hang();
        inFlight += 1;
        most = Math.max(most, inFlight);
        const seen = await pagesOf(request);
        await sleep(50);
        inFlight -= 1;
        return ModelServer.json({
          ...{ total: `${seen.join("+")}.00`, subtotal: `${seen[0]}.00`, tax: null, service: null },
          ...{ discount: null, cash: null, card: null, change: null },
        });
      },
    },
  });
});
afterAll(() => batches?.close());

/** Kills the worker at these of its calls. */
function killAt(functionName: "single" | "item", calls: readonly number[]): { kills: number } {
  const from = batches.model.requests.length;
  const done = { kills: 0 };
  onCall = () => {
    const n = batches.model.requests.length - from;
    if (!calls.includes(n)) return false;
    const busy = batches.loop.lambda
      .instances()
      .find((one) => one.functionName === functionName && one.state === "busy");
    if (busy === undefined || !batches.loop.lambda.killInstance(busy.pid)) return false;
    done.kills += 1;
    // The call is answered, because the killed worker may be that of another document.
    return false;
  };
  return done;
}

async function extracted(requestId: string): Promise<{ artifact: Artifact; calls: number }> {
  const from = batches.model.requests.length;
  const sent = await batches.loop.call("/v1/extract", {
    json: { image_base64: bytes.toString("base64"), request_id: requestId },
    headers: { prefer: "respond-async" },
  });
  expect(sent.status, sent.text).toBe(202);
  const ended = async () => (await batches.loop.call(`/v1/extracts/${requestId}`)).body;
  await expect.poll(ended, { timeout: 240_000, interval: 200 }).toMatchObject({ status: "succeeded" });
  const answer = await batches.loop.call(`/v1/debug/artifacts/${requestId}`);
  return { artifact: answer.body as Artifact, calls: batches.model.requests.length - from };
}

/** The answer without ids and times. */
const read = ({ result, warnings, raw_model_text, sent_pages, calls }: Artifact) => ({
  ...{ result, warnings, raw_model_text, sent_pages, calls },
});
const stepsLeft = async () =>
  (await Bucket.list(batches.bucket, Batches.silent, { prefix: "extracts/" })).objects
    .map(({ rel }) => rel)
    .filter((rel) => rel.includes("~step-"));
const usage = async () => {
  const rows = await batches.db.query.select().from(usageTable);
  const sum = (name: "pages" | "modelCalls" | "items") => rows.reduce((all, row) => all + row[name], 0);
  return { pages: sum("pages"), calls: sum("modelCalls"), items: sum("items") };
};

test("an extract of 50 pages has the same answer however often its worker is killed, and each kill costs one call", async () => {
  const whole = await extracted("whole");
  expect(whole.calls).toBe(callsOfOne);
  expect(await usage()).toEqual({ pages, calls: callsOfOne, items: 1 });
  const killed = killAt("single", [3, 8, 9, 17, 28]);
  const again = await extracted("killed");
  console.info(`50 pages: ${whole.calls} calls; with ${killed.kills} kills ${again.calls}`);
  expect(killed.kills).toBe(5);
  expect(again.calls).toBeLessThanOrEqual(whole.calls + killed.kills);
  expect(read(again.artifact)).toEqual(read(whole.artifact));
  expect(await stepsLeft()).toEqual([]);
  // The calls at which a worker died had no answer, and are not counted as usage.
  expect(await usage()).toEqual({ pages: 2 * pages, calls: 2 * callsOfOne, items: 2 });
});

test("items of 50 pages beside others have the same answer, and there are never more calls at the model than the run's concurrency", async () => {
  await Bucket.replace(batches.bucket, Batches.silent, "data/shared/long.tif", {
    ...{ body: bytes, contentType: "image/tiff" },
  });
  const before = await usage();
  const manifest = [
    { image_key: "shared/long.tif" },
    ...[1, 2, 3, 4].map((page) => ({ image_key: "shared/long.tif", pages: [page] })),
    { image_key: "shared/long.tif" },
  ];
  most = 0;
  const killed = killAt("item", [4, 11, 30]);
  const from = batches.model.requests.length;
  await batches.made({ run_id: "long", manifest, concurrency: 2 });
  const run = await batches.ended("long", 300_000);
  const calls = batches.model.requests.length - from;
  console.info(
    `a run of 2 × 50 and 4 × 1 pages: ${calls} calls with ${killed.kills} kills, at most ${most} at once`,
  );
  expect(run.counts).toMatchObject({ succeeded: 6, failed: 0, pages: 2 * pages + 4 });
  expect(killed.kills).toBe(3);
  expect(calls).toBeLessThanOrEqual(2 * callsOfOne + 4 + killed.kills);
  expect(most).toBeLessThanOrEqual(2);
  await batches.verify("long");
  const items = await batches.items("long");
  expect(items.map(({ pagesRead, attempts }) => [pagesRead, attempts])).toEqual(
    [pages, 1, 1, 1, 1, pages].map((each) => [each, 1]),
  );
  expect(items[0]?.result).toBe(items[5]?.result);
  expect(await stepsLeft()).toEqual([]);
  const after = await usage();
  expect([after.pages - before.pages, after.calls - before.calls]).toEqual([
    ...[2 * pages + 4, 2 * callsOfOne + 4],
  ]);
});

test("a run that is canceled in the middle of a document ends with the current step, and leaves no objects of it", async () => {
  const reached = Promise.withResolvers<void>();
  const from = batches.model.requests.length;
  onCall = () => {
    if (batches.model.requests.length - from === 2) reached.resolve();
    return false;
  };
  await batches.made({ run_id: "canceled", manifest: [{ image_key: "shared/long.tif" }], concurrency: 1 });
  await reached.promise;
  await batches.loop.call("/v1/runs/canceled/cancel", { method: "POST" });
  expect(await batches.ended("canceled", 60_000)).toMatchObject({
    status: "canceled",
    counts: { canceled: 1 },
  });
  expect(batches.model.requests.length - from).toBeLessThanOrEqual(4);
  expect(await stepsLeft()).toEqual([]);
});
