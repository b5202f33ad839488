/**
 * `npm run bench -- extract`: what the product's own work costs an extract, compared with a bare handler that makes
 * the same calls on the same loop (bench/bare.ts), as a ratio of medians. The two run in turns, so that other load
 * affects both.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type App, product } from "#local/app";
import { type Loop, start } from "#local/loop";
import * as Functions from "#spec/functions";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";
import * as Figures from "./support/figures.ts";

/** Milliseconds added to every request: nothing, or what a database and a bucket in the same region take. */
const latencies = [
  { sqlMs: 0, putMs: 0 },
  { sqlMs: 25, putMs: 60 },
] as const;
const concurrencies = [1, 8] as const;

/** Both on the same 16 processes: eight are warm for each. */
const warmUpRounds = 3;

const app: App = {
  ...product,
  // The schedule's queries would be counted.
  schedules: {},
  functions: {
    ...Functions.functions,
    bare: { ...Functions.functions.extract, handler: "bench/bare.handler" },
  },
  table: {
    ...product.table,
    routes: [...product.table.routes, { method: "POST", path: "/bare", function: "bare" }],
  },
};

const answer = { total: "12.00", subtotal: "10.00", tax: "2.00" };
const result = { ...answer, service: null, discount: null, cash: null, card: null, change: null };

interface Row {
  sql_ms: number;
  put_ms: number;
  concurrency: number;
  calls: number;
  extract_ms: { median: number; p95: number };
  bare_ms: { median: number; p95: number };
  ratio: number;
  overhead_ms: number;
}

/** What the product asked of others for one extract, on average. */
interface RoundTrips {
  sql_requests: number;
  sql_statements: number;
  s3_requests: number;
  model_requests: number;
}

/** Measures and prints. Exit status 0; 2 for wrong arguments. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: "boolean", default: false },
      calls: { type: "string", default: "48" },
      "model-ms": { type: "string", default: "50" },
    },
  });
  const calls = Number(values.calls);
  const modelMs = Number(values["model-ms"]);
  if (!Number.isInteger(calls) || calls < 8 || !(modelMs >= 0)) {
    process.stderr.write("--calls is a number from 8 on, --model-ms one from 0 on\n");
    return 2;
  }
  const home = await mkdtemp(join(tmpdir(), "ocrlty-bench-"));
  const model = await ModelServer.start({
    model: "scripted",
    respond: () => ModelServer.json(result, { delayMs: modelMs }),
  });
  const injected = { sqlMs: 0, putMs: 0 };
  const counted: RoundTrips = { sql_requests: 0, sql_statements: 0, s3_requests: 0, model_requests: 0 };
  const loop = await start({
    home,
    port: 0,
    env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" },
    log: () => undefined,
    app,
    onRequest: {
      sql: async ({ statements }) => {
        counted.sql_requests += 1;
        counted.sql_statements += statements;
        if (injected.sqlMs > 0) await sleep(injected.sqlMs);
      },
      s3: async ({ operation }) => {
        counted.s3_requests += 1;
        if (operation === "PutObject" && injected.putMs > 0) await sleep(injected.putMs);
      },
    },
  });
  try {
    const asked = () => ({ ...counted, model_requests: model.requests.length });
    const measured = await measure(sender(loop, await base64(1)), { calls, injected, asked });
    const figures = { model_ms: modelMs, ...measured };
    process.stdout.write(values.json ? `${JSON.stringify(figures, null, 2)}\n` : text(figures));
    return 0;
  } finally {
    await loop.close(0);
    await model.close();
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

type Path = "/v1/extract" | "/bare";
/** Makes calls at the same time. @returns how long each took, in milliseconds. */
type RoundOf = (path: Path, concurrency: number) => Promise<number[]>;

function sender(loop: Loop, picture: string): RoundOf {
  let count = 0;
  const send = async (path: Path): Promise<number> => {
    count += 1;
    const startedAt = performance.now();
    const response = await fetch(`${loop.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": loop.apiKey ?? "" },
      body: JSON.stringify({ request_id: `bench-${count}`, image_base64: picture }),
    });
    const body = await response.text();
    if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${body}`);
    return performance.now() - startedAt;
  };
  return (path, concurrency) => Promise.all(Array.from({ length: concurrency }, () => send(path)));
}

/** Measures with each latency and concurrency. */
async function measure(
  round: RoundOf,
  {
    calls,
    injected,
    asked,
  }: { calls: number; injected: { sqlMs: number; putMs: number }; asked: () => RoundTrips },
) {
  for (let i = 0; i < warmUpRounds; i += 1) {
    await round("/v1/extract", 8);
    await round("/bare", 8);
  }
  const rows: Row[] = [];
  let roundTrips: RoundTrips | undefined;
  for (const latency of latencies) {
    Object.assign(injected, latency);
    for (const concurrency of concurrencies) {
      const { times, own } = await inTurns(round, { calls, concurrency, asked });
      roundTrips ??= own;
      rows.push(rowOf(latency, concurrency, times));
    }
  }
  return { rows, round_trips: roundTrips };
}

/** Calls of the product and of the bare handler, in turns, with the round trips of one of the product's. */
async function inTurns(
  round: RoundOf,
  { calls, concurrency, asked }: { calls: number; concurrency: number; asked: () => RoundTrips },
) {
  const times = { extract: [] as number[], bare: [] as number[] };
  const own: RoundTrips = { sql_requests: 0, sql_statements: 0, s3_requests: 0, model_requests: 0 };
  const names = Object.keys(own) as (keyof RoundTrips)[];
  while (times.extract.length < calls) {
    const before = asked();
    times.extract.push(...(await round("/v1/extract", concurrency)));
    const now = asked();
    for (const name of names) own[name] += now[name] - before[name];
    times.bare.push(...(await round("/bare", concurrency)));
  }
  for (const name of names) own[name] = Figures.round(own[name] / times.extract.length, 2);
  return { times, own };
}

function rowOf(
  { sqlMs, putMs }: (typeof latencies)[number],
  concurrency: number,
  { extract, bare }: { extract: number[]; bare: number[] },
): Row {
  const both = (values: number[]) => ({
    median: Figures.round(Figures.median(values), 1),
    p95: Figures.round(Figures.quantile(values, 0.95), 1),
  });
  return {
    sql_ms: sqlMs,
    put_ms: putMs,
    concurrency,
    calls: extract.length,
    extract_ms: both(extract),
    bare_ms: both(bare),
    ratio: Figures.round(Figures.median(extract) / Figures.median(bare), 2),
    overhead_ms: Figures.round(Figures.median(extract) - Figures.median(bare), 1),
  };
}

function text(figures: {
  model_ms: number;
  rows: readonly Row[];
  round_trips: RoundTrips | undefined;
}): string {
  const { model_ms, rows, round_trips: trips } = figures;
  const lines = rows.map((row) => [
    row.sql_ms,
    row.put_ms,
    row.concurrency,
    row.extract_ms.median,
    row.bare_ms.median,
    row.ratio,
    row.overhead_ms,
    row.extract_ms.p95,
    row.bare_ms.p95,
  ]);
  const head = [
    "SQL +ms",
    "put +ms",
    "at once",
    "extract ms",
    "bare ms",
    "ratio",
    "overhead ms",
    "extract p95",
    "bare p95",
  ];
  const perExtract =
    trips === undefined
      ? ""
      : `\nan extract makes ${trips.sql_requests} SQL requests (${trips.sql_statements} statements), ${trips.s3_requests} S3 requests, ${trips.model_requests} model calls\n`;
  return `model server: ${model_ms} ms\n${Figures.table(head, lines)}\n${perExtract}`;
}
