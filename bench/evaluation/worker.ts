/** What a spawned process of the bench does. The measuring process must not do it, because its memory would count. */
import * as fs from "node:fs";
import type { SQSClient } from "@aws-sdk/client-sqs";
import { createClient } from "@libsql/client/http";
import { eq } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import * as Evaluations from "#core/evaluation/diff/evaluations";
import { evaluationTable, type Row } from "#core/evaluation/evaluation.sql";
import * as Job from "#core/evaluation/job/job";
import type { Log } from "#core/log";
import * as Limits from "#spec/limits";
import { round } from "../support/figures.ts";

/** Where the stores of the measuring process are. */
export interface Stores {
  s3: string;
  sql: string;
}

export const credentials = { accessKeyId: "bench", secretAccessKey: "bench-secret" };
export const sqlToken = "bench-token";
export const bucketName = "bench";

export const bucketOf = ({ s3 }: Stores): Bucket.Bucket =>
  Bucket.open(
    {
      ...{ bucket: bucketName, endpoint: s3, region: "auto", prefix: "", allowOverwrite: false },
      ...{ presignTtlS: 60, forcePathStyle: true, ...credentials },
    },
    60_000,
  );

export const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

export interface Measured {
  /** The kernel's peak of the process, and what is still in use at its end, after a garbage collection. */
  peak_mb: number;
  live_mb: number;
  cpu_ms: number;
  wall_ms: number;
  /** Steps of the worker. */
  steps: number;
  /** Documents that were evaluated, or compared. */
  documents: number;
}

/** As the function has it: a step is given this long. */
const stepMs = 20_000;

/** Keeps every line that is parsed, once, as a string in memory takes it: the leak that the bench must notice. */
function leak(): void {
  const parse = JSON.parse.bind(JSON);
  const kept = new Map<string, Buffer>();
  JSON.parse = (...args: Parameters<typeof parse>) => {
    const [text] = args;
    const name = text.slice(0, 60);
    if (!kept.has(name)) kept.set(name, Buffer.from(text, "utf16le"));
    return parse(...args);
  };
}

async function evaluate(stores: Stores, db: Database.Db, evalId: string): Promise<[number, number]> {
  const services: Job.Services = {
    ...{ db, bucket: bucketOf(stores), times: Limits.times(1), version: "bench", gpuCostPerHour: 1 },
    // The next step's message: this process takes the next step by itself.
    queues: {
      client: { send: async () => ({}) } as unknown as SQSClient,
      urls: { later: "" } as Job.Services["queues"]["urls"],
      timeoutMs: 5_000,
    },
  };
  for (let steps = 1; ; steps += 1) {
    const deadline = Date.now() + stepMs;
    const leaseUntil = new Date(deadline + 5_000);
    await Job.step(services, { kind: "evaluation", eval_id: evalId }, { deadline, leaseUntil, log: silent });
    const row = await rowOf(db, evalId);
    if (row.state === "failed") throw new Error(`the evaluation failed: ${row.errorMessage}`);
    if (row.state === "succeeded") return [steps, row.summary?.documents ?? 0];
  }
}

/** Compares an evaluation with itself, as a call does that has all the time it needs. */
async function compare(stores: Stores, db: Database.Db, evalId: string): Promise<[number, number]> {
  const row = await rowOf(db, evalId);
  const how = { mode: "canonical", deadline: Number.POSITIVE_INFINITY } as const;
  return [1, (await Evaluations.of(bucketOf(stores), silent, [row, row], how)).documents];
}

async function rowOf(db: Database.Db, evalId: string): Promise<Row> {
  const [row] = await db.query.select().from(evaluationTable).where(eq(evaluationTable.evalId, evalId));
  if (row === undefined) throw new Error("the evaluation is gone");
  return row;
}

async function measure(stores: Stores, what: string, evalId: string): Promise<Measured> {
  const db = Database.wrap(createClient({ url: stores.sql, authToken: sqlToken }));
  if (what === "leaking") leak();
  const [begun, at] = [process.cpuUsage(), performance.now()];
  const [steps, documents] = await (what === "diff" ? compare : evaluate)(stores, db, evalId);
  const { user, system } = process.cpuUsage(begun);
  const wallMs = performance.now() - at;
  gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const status = fs.readFileSync("/proc/self/status", "utf8");
  return {
    peak_mb: round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024, 1),
    live_mb: round((heapUsed + arrayBuffers) / 2 ** 20, 1),
    ...{ cpu_ms: round((user + system) / 1000), wall_ms: round(wallMs), steps, documents },
  };
}

if (process.argv[2] === "--spawned") {
  const [what = "", evalId = "", s3 = "", sql = ""] = process.argv.slice(3);
  process.stdout.write(JSON.stringify(await measure({ s3, sql }, what, evalId)));
  process.exit(0);
}
