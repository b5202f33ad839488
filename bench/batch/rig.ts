/**
 * A local loop with a scripted model server for measurements of runs. Every request of the functions is counted on
 * the wire, and may be delayed.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import type { Run } from "#core/run/schema";
import { type App, product } from "#local/app";
import { type Loop, type LoopOptions, start } from "#local/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";
import { silent } from "./silent.ts";

/** Milliseconds added to every request. */
export interface Latency {
  sqlMs: number;
  putMs: number;
  sqsMs: number;
}

export const noLatency: Latency = { sqlMs: 0, putMs: 0, sqsMs: 0 };

/** The requests since the start; `sqs` are the functions' own calls, by action. */
export interface Counted {
  sqlRequests: number;
  sqlStatements: number;
  s3: Record<string, number>;
  sqs: Record<string, number>;
}

export interface Rig {
  readonly loop: Loop;
  readonly model: ModelServer.ModelServer;
  readonly latency: Latency;
  readonly counted: Counted;
  /** How long a model call takes. */
  service: { ms: number };
  /** Every item's picture; a handful of them in turn. */
  post(run: { items: number; concurrency: number }): Promise<string>;
  /** Waits until the run has ended. Throws unless every item of it succeeded. */
  ended(runId: string): Promise<Run>;
  close(): Promise<void>;
}

const result = {
  ...{ total: "12.00", subtotal: "10.00", tax: "2.00", service: null },
  ...{ discount: null, cash: null, card: null, change: null },
};

const pictures = 8;
/** So seldom that it is no load. The time at which a run ended is in its answer. */
const pollMs = 500;
/** The most lines of a manifest in a request. */
const inlineMost = 1_000;

/** Starts it without the schedule: reconcile's queries would be counted. */
export async function open(options: {
  maxConcurrency: number;
  onLine?: (line: string) => void;
}): Promise<Rig> {
  const home = await mkdtemp(join(tmpdir(), "ocrlty-bench-"));
  const service = { ms: 0 };
  const latency = { ...noLatency };
  const counted: Counted = { sqlRequests: 0, sqlStatements: 0, s3: {}, sqs: {} };
  const model = await ModelServer.start({
    model: "scripted",
    respond: () => ModelServer.json(result, service.ms === 0 ? {} : { delayMs: service.ms }),
  });
  const app: App = { ...product, schedules: {} };
  const loop = await start({
    home,
    port: 0,
    env: {
      VLLM_BASE_URL: model.url,
      VLLM_MODEL: "scripted",
      ITEM_MAX_CONCURRENCY: String(options.maxConcurrency),
    },
    log: options.onLine ?? (() => undefined),
    app,
    onRequest: observers(counted, latency),
  }).catch(async (error: unknown) => {
    await model.close();
    throw error;
  });

  const call = callerOf(loop);
  const bucket = Bucket.open(Config.bucketOf(loop.env), 60_000);
  for (let i = 0; i < pictures; i += 1)
    await Bucket.replace(bucket, silent, `data/shared/bench/${i}.jpg`, {
      body: await picture(i + 1),
      contentType: "image/jpeg",
    });
  let runs = 0;

  return {
    ...{ loop, model, latency, counted, service },
    post: async ({ items, concurrency }) => {
      runs += 1;
      const runId = `bench-${runs}`;
      await call("/v1/batch_extract", { run_id: runId, concurrency, ...(await sourceOf(call, items)) });
      return runId;
    },
    ended: (runId) => ended(call, runId),
    close: async () => {
      bucket.client.destroy();
      await loop.close(0);
      await model.close();
      await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

/** Counts each request and delays it. */
function observers(counted: Counted, latency: Latency): NonNullable<LoopOptions["onRequest"]> {
  const wait = (ms: number) => (ms > 0 ? sleep(ms) : undefined);
  return {
    sql: ({ statements }) => {
      counted.sqlRequests += 1;
      counted.sqlStatements += statements;
      return wait(latency.sqlMs);
    },
    s3: async ({ operation }) => {
      counted.s3[operation] = (counted.s3[operation] ?? 0) + 1;
      if (operation === "PutObject") await wait(latency.putMs);
    },
    sqs: ({ action, byFunction }) => {
      if (byFunction) counted.sqs[action] = (counted.sqs[action] ?? 0) + 1;
      // A poll waits anyway.
      return action === "ReceiveMessage" ? undefined : wait(latency.sqsMs);
    },
  };
}

type Call = (path: string, json?: unknown) => Promise<unknown>;

const callerOf =
  (loop: Loop): Call =>
  async (path, json) => {
    const response = await fetch(`${loop.url}${path}`, {
      method: json === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json", "x-api-key": loop.apiKey ?? "" },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
    return JSON.parse(text) as unknown;
  };

/** The manifest of a run; a long one is uploaded. */
async function sourceOf(call: Call, items: number): Promise<object> {
  const lines = Array.from({ length: items }, (_, i) => ({
    image_key: `shared/bench/${i % pictures}.jpg`,
  }));
  if (items <= inlineMost) return { manifest: lines };
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  return { manifest_ref: await upload(call, body) };
}

async function ended(call: Call, runId: string): Promise<Run> {
  for (;;) {
    const run = (await call(`/v1/runs/${runId}`)) as Run;
    if (["succeeded", "failed", "canceled"].includes(run.status)) {
      if (run.counts.succeeded !== run.counts.total)
        throw new Error(`the run ended with ${JSON.stringify(run.counts)}`);
      return run;
    }
    await sleep(pollMs);
  }
}

async function upload(call: Call, body: string): Promise<string> {
  const made = (await call("/v1/uploads", {
    kind: "manifest",
    mime_type: "application/x-ndjson",
    bytes: Buffer.byteLength(body),
  })) as { manifest_ref: string; upload_url: string; headers: Record<string, string> };
  const put = await fetch(made.upload_url, { method: "PUT", headers: made.headers, body });
  if (!put.ok) throw new Error(`the upload was answered ${put.status}: ${await put.text()}`);
  return made.manifest_ref;
}
