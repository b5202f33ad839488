/**
 * Memory and pace of the planner at two sizes of a run. V8's young generation grows with the work done, so both sizes
 * do the same work, the small one with more runs. Only the size of a run differs.
 */
import { execFile } from "node:child_process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { runTable } from "#core/run/run.sql";
import * as TooLarge from "#core/upload/too-large";
import { type Bundle, bundle } from "#local/bundle/bundle";
import { functions } from "#spec/functions";
import { windowOf } from "#spec/limits";
import * as Figures from "../support/figures.ts";
import type { Measured } from "./planner.ts";

import * as Servers from "./servers.ts";
import { silent } from "./silent.ts";

export interface Step extends Measured {
  step: "fill" | "check" | "finish";
  /** The number of items of one run, and the number of runs. */
  items: number;
  runs: number;
  /** Sent, checked or written. */
  items_per_second: number;
}

/** A run ten times as large may need this much more memory. */
export const maxGrowth = 1.2;

const execute = promisify(execFile);
const concurrency = 64;
const { most: window } = windowOf(concurrency);
/** As many times as a run of 10,000 items can be filled; smaller sizes need several runs. */
const fills = 50;

/** Measures every step at both sizes. */
export async function measure(
  sizes: readonly [number, number],
  progress: (line: string) => void,
): Promise<Step[]> {
  const servers = await Servers.start();
  const program = await bundle({ handlers: { planner: "bench/batch/planner.main" } });
  try {
    const measured: Step[] = [];
    for (const step of ["fill", "check", "finish"] as const) {
      for (const items of sizes) {
        const times = Math.min(fills, Math.floor(items / window));
        const runs = Math.max(1, Math.round(step === "fill" ? fills / times : sizes[1] / items));
        const uids: string[] = [];
        for (let i = 0; i < runs; i += 1) {
          const uid = `${step}-${items}-${i}`;
          await seed(servers, uid, step, items);
          uids.push(uid);
        }
        const one = await planner(program, servers, { step, times, uids });
        const done = runs * (step === "fill" ? times * window : items);
        const line: Step = {
          ...{ step, items, runs, ...one },
          items_per_second: Math.round(done / (one.ms / 1000)),
        };
        await check(servers, step, uids, done);
        progress(JSON.stringify(line));
        measured.push(line);
      }
    }
    return measured;
  } finally {
    program.release();
    await servers.close();
  }
}

/** Peak of memory at the larger size against the smaller, by step. */
export function growth(measured: readonly Step[]): Record<string, { rss: number; heap: number }> {
  const found: Record<string, { rss: number; heap: number }> = {};
  for (const step of new Set(measured.map((one) => one.step))) {
    const [small, large] = measured.filter((one) => one.step === step);
    if (small === undefined || large === undefined) continue;
    found[step] = {
      rss: Figures.round(large.peak_rss_mb / small.peak_rss_mb, 2),
      heap: Figures.round(large.peak_heap_mb / small.peak_heap_mb, 2),
    };
  }
  return found;
}

async function planner(
  program: Bundle,
  { env }: Servers.Servers,
  { step, times, uids }: { step: Step["step"]; times: number; uids: readonly string[] },
): Promise<Measured> {
  const url = pathToFileURL(program.functions.planner?.file ?? "").href;
  const script = `(await import(${JSON.stringify(url)})).main(process.argv.slice(1))`;
  const { stdout } = await execute(
    process.execPath,
    [
      `--max-old-space-size=${functions.plan.memoryMb}`,
      ...["--input-type=module", "--eval", script, "--", step, String(times), ...uids],
    ],
    { env: { ...process.env, ...env } },
  );
  return JSON.parse(stdout) as Measured;
}

/** Checks that the measured work was really done. */
async function check(
  { db }: Servers.Servers,
  step: Step["step"],
  uids: readonly string[],
  done: number,
): Promise<void> {
  const list = JSON.stringify(uids);
  const of = sql`run_uid IN (SELECT value FROM json_each(${list}))`;
  const [items, runs] = await Database.batch(
    db,
    [
      Database.statement(
        sql`SELECT count(*) AS n FROM item WHERE ${of} AND ${step === "fill" ? sql`sent_epoch > 0` : sql`1`}`,
      ),
      Database.statement(sql`SELECT DISTINCT state FROM run WHERE ${of}`),
    ],
    "read",
  );
  const states = runs?.rows.map(({ state }) => state);
  const expected = step === "finish" ? "succeeded" : "running";
  if (Number(items?.rows[0]?.n) !== done || states?.length !== 1 || states[0] !== expected)
    throw new Error(`${step}: ${Number(items?.rows[0]?.n)} items of ${done}, runs ${states?.join()}`);
}

const keyId = "bench";
const pictures = 8;

/** A run as its step finds it. */
async function seed(servers: Servers.Servers, uid: string, step: Step["step"], items: number): Promise<void> {
  const now = new Date();
  const row: typeof runTable.$inferInsert = {
    ...{ runUid: uid, keyId, runId: uid, taskId: "receipt_fields_v1", payloadHash: "bench" },
    ...{ principalRole: "client", state: "running", epoch: 7, concurrency, total: items },
    ...{ source: "manifest", persistInputs: false, createdAt: now, startedAt: now, touchedAt: now },
  };
  if (step === "check") {
    const { objectKey, etag } = await manifest(servers, uid, items);
    await servers.db.query.insert(runTable).values({
      ...row,
      ...{ state: "planning", source: "manifest_ref", total: 0, startedAt: null },
      planning: {
        ...{ phase: "manifest", objectKey, etag, offset: 0, line: 0, rows: 0 },
        ...{ limit: null, issues: [], issueCount: 0, temporary: false },
      },
    });
    return;
  }
  const ended = step === "finish";
  await servers.db.query
    .insert(runTable)
    .values({ ...row, ...(ended ? { succeeded: items, schemaOk: items } : {}) });
  const day = now.toISOString().slice(0, 10);
  const result = JSON.stringify({
    ...{ total: "1,591,600", subtotal: "1,346,000", tax: "144,695", service: "100,950" },
    ...{ discount: null, cash: "1,600,000", card: null, change: "8,400" },
  });
  await servers.db.client.execute({
    sql: `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
      INSERT INTO item (run_uid, idx, source_kind, object_key, etag, status, custom_id, artifact_rel, result, schema_ok,
        attempts, prompt_tokens, completion_tokens, model_calls, total_ms, inference_ms, ended_at)
      SELECT ?, i, 'data', 'data/shared/' || i || '.jpg', 'etag', ?, 'custom-' || i,
        iif(?, 'extracts/${day}/${keyId}/${uid}~' || i || '.json', NULL), iif(?, ?, NULL), iif(?, 1, NULL),
        ?, 2000, 90, 1, 1100, 1000, ? FROM n`,
    args: [
      ...[items, uid, ended ? "succeeded" : "queued", ended, ended, result, ended],
      ...[ended ? 1 : 0, ended ? now.getTime() : null],
    ],
  });
}

/** A stored manifest over a handful of pictures. */
async function manifest({ bucket }: Servers.Servers, uid: string, items: number) {
  for (let i = 0; i < pictures; i += 1) {
    const body = `picture ${i}`;
    await Bucket.replace(bucket, silent, `data/shared/${i}.jpg`, { body, contentType: "image/jpeg" });
  }
  const lines = Array.from(
    { length: items },
    (_, i) =>
      `${JSON.stringify({ custom_id: `custom-${i}`, file: `folder/${i}.jpg`, image_key: `shared/${i % pictures}.jpg` })}\n`,
  );
  const rel = `data/${keyId}/${uid}.jsonl`;
  await Bucket.replace(bucket, silent, rel, { body: lines.join(""), contentType: "application/x-ndjson" });
  const opened = await Bucket.read(bucket, silent, rel);
  if (opened === undefined) throw new Error("the manifest was not stored");
  const { etag } = opened;
  await Bucket.collect(opened.body, Number.POSITIVE_INFINITY, TooLarge.stored);
  return { objectKey: rel, etag };
}
