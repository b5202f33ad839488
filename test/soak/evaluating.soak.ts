/** The worker of an evaluation is killed in the middle of it; the queue delivers its message again, and another goes on. */
import { randomUUID } from "node:crypto";
import { createClient } from "@libsql/client";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import type * as Read from "#core/evaluation/read";
import * as Files from "#core/run/results/files";
import { runTable } from "#core/run/run.sql";
import { product } from "#local/app";
import * as Functions from "#spec/functions";
import { bucketOf } from "#test/soak/parallel";
import { startLoop, type TestLoop } from "#test/support/loop";
import { silent } from "#test/support/test-bucket";

/** The worker has 6 s, and the message of a killed one comes back after little more. */
const timeScale = 1 / 10;
const workerTimeoutMs = 60_000;
/** Four parts of 400 documents at most. */
const documents = 1_300;

interface Call {
  operation: string;
  key: string;
}

/** The steps of the worker; it is killed when its call reaches the bucket. */
const moments: Record<string, (call: Call) => boolean> = {
  "it reads the results": ({ operation, key }) =>
    operation === "GetObject" && /\bmeasured\b.*\.jsonl$/.test(key),
  "it stores its second part": ({ operation, key }) =>
    operation === "PutObject" && /\.samples-\d+-1\.jsonl$/.test(key),
  "it stores the counters of its second part": ({ operation, key }) =>
    operation === "PutObject" && /\.carry-\d+-1$/.test(key),
  "it stores the figures": ({ operation, key }) =>
    operation === "PutObject" && /\/eval_[\w-]{24}\.json$/.test(key),
  "it removes the counters": ({ operation, key }) => operation === "DeleteObject" && key.includes(".carry-"),
};

let loop: TestLoop;
let at: (call: Call) => boolean = () => false;
let killed = 0;

/** True when a worker was there and is dead now. */
function kill(): boolean {
  const busy = loop.lambda
    .instances()
    .find(({ functionName, state }) => functionName === "later" && state === "busy");
  return busy !== undefined && loop.lambda.killInstance(busy.pid);
}

beforeAll(async () => {
  const later = { ...Functions.functions.later, timeoutMs: workerTimeoutMs };
  loop = await startLoop({
    timeScale,
    app: { ...product, functions: { ...Functions.functions, later } },
    onRequest: {
      s3: (call) => {
        if (killed > 0 || !at(call) || !kill()) return undefined;
        killed += 1;
        return { status: 0 };
      },
    },
  });
  await ended();
}, 120_000);
afterAll(async () => {
  await loop?.close();
});

const results = Array.from({ length: documents }, (_, i) => ({
  ...{ index: i, custom_id: null, file: `in/${i}.png`, tags: { store: String(i % 7) }, quality: null },
  ...{ status: i % 50 === 0 ? "failed" : "succeeded", request_id: `measured~${i}` },
  result: i % 50 === 0 ? null : { total: i % 9 === 0 ? "0.01" : `${i}.50`, tax: "1.00" },
  timings_ms: { total: 100 + (i % 90) },
}));

/** A run that has ended, with its results, and labels for all of its items. */
async function ended(): Promise<void> {
  const db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
  const bucket = bucketOf(loop);
  const now = new Date();
  const run = { keyId: "local-admin", runUid: randomUUID(), runId: "measured", createdAt: now };
  await db.query.insert(runTable).values({
    ...{ ...run, taskId: "receipt_fields_v1", payloadHash: "0", principalRole: "admin", state: "succeeded" },
    ...{ epoch: 1, concurrency: 4, source: "manifest", persistInputs: false, total: documents },
    ...{ succeeded: documents, touchedAt: now, finishedAt: now },
  });
  const body = results.map((item) => `${JSON.stringify(item)}\n`).join("");
  const contentType = "application/x-ndjson";
  await Bucket.replace(bucket, silent, Files.places(run).jsonl, { body, contentType });
  bucket.client.destroy();
  db.client.close();
}

/** An evaluation without its own ids and times: the figures, and the bytes of the samples. */
async function measured(gtId: unknown): Promise<string> {
  const ordered = await loop.call("/v1/evals", { json: { run_id: "measured", gt_id: gtId } });
  expect(ordered.status, ordered.text).toBe(202);
  const path = String((ordered.body as { poll_url: string }).poll_url);
  const answer = await vi.waitFor(
    async () => {
      const now = await loop.call(path);
      expect(now.status).toBe(200);
      return now;
    },
    { timeout: 120_000, interval: 200 },
  );
  const { summary, fields, slices, unmatched, cost, samples } = answer.body as Read.Shown;
  const parts = await Promise.all(samples.map(async ({ url }) => (await fetch(url)).text()));
  return JSON.stringify({ summary, fields, slices, unmatched, cost, samples: parts.join("") });
}

describe("an evaluation whose worker is killed", () => {
  let gtId: unknown;
  let undisturbed: string;
  beforeAll(async () => {
    const content = results.map(({ file }, i) => ({
      file,
      total: `${i}.50`,
      tax: i % 3 === 0 ? null : "1.00",
    }));
    const created = await loop.call("/v1/ground_truths", { json: { name: "shop", content } });
    gtId = (created.body as { gt_id: string }).gt_id;
    undisturbed = await measured(gtId);
    expect(undisturbed.split("request_id")).toHaveLength(documents + 1);
  }, 120_000);

  test.each(Object.entries(moments))(
    "when %s: the message comes back, and the evaluation has the same bytes",
    async (_, moment) => {
      at = moment;
      killed = 0;
      const begun = loop.events("evaluation_end").length;
      expect(await measured(gtId)).toBe(undisturbed);
      expect(killed).toBe(1);
      // The killed worker did not end the evaluation, unless it was killed just after that.
      expect(loop.events("evaluation_end").length - begun).toBeLessThanOrEqual(1);
    },
  );
});
