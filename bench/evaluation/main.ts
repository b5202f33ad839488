/**
 * `npm run bench -- evaluation [--sizes 1000,10000] [--json]`: evaluates runs whose receipts have 30 rows, in separate processes,
 * step by step as the function does: results and labels are read from a bucket and joined, samples and figures are written to it.
 * The peak of memory for the most documents is compared with that for the fewest. A process that keeps whatever it reads must
 * miss that bar already at four times the fewest; otherwise the bar could not be missed at all. Then each evaluation is compared with itself, as
 * `GET /v1/evals/{eval_id}/diff/{other_id}` does, to see how many documents fit into a call.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { createClient } from "@libsql/client/http";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { migrate } from "#core/db/migrate";
import * as Evaluation from "#core/evaluation/evaluation";
import { evaluationTable } from "#core/evaluation/evaluation.sql";
import * as Files from "#core/run/results/files";
import { runTable } from "#core/run/run.sql";
import * as S3Server from "#local/s3/server";
import * as SqlServer from "#local/sql/server";
import * as SupportFigures from "../support/figures.ts";
import * as Papers from "./papers.ts";
import * as Worker from "./worker.ts";

const maxGrowth = 1.2;
const labelsKey = "data/shared/labels.jsonl";
/** A call's budget, less what is kept for its answer (spec/limits.ts). */
const callMs = 25_000;

/**
 * A heap of a fixed size, as a function has: without a limit the collector waits longer on a machine with more
 * memory, and the peak would measure that.
 */
const heap = ["--max-old-space-size=96", "--max-semi-space-size=8", "--expose-gc"];

type Line = Worker.Measured & { what: string; size: number };

/** `resourceUsage().maxRSS` of a spawned process is at least its parent's, so the kernel's own peak is read there. */
async function spawned({ s3, sql }: Worker.Stores, what: string, evalId: string): Promise<Worker.Measured> {
  const worker = fileURLToPath(new URL("worker.ts", import.meta.url));
  const args = [...heap, worker, "--spawned", what, evalId, s3, sql];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Worker.Measured;
}

/** A run of that size with its results and labels; the evaluations that are asked for are rows of it. */
async function prepare(stores: Worker.Stores, db: Database.Db, size: number) {
  const bucket = Worker.bucketOf(stores);
  const { results, labels } = Papers.of(size);
  const now = new Date();
  const run = { keyId: "bench", runUid: randomUUID(), runId: `bench-${size}`, createdAt: now };
  await db.query.insert(runTable).values({
    ...{ ...run, taskId: "receipt_v1", payloadHash: "0", principalRole: "client", state: "succeeded" },
    ...{ epoch: 1, concurrency: 4, source: "manifest", persistInputs: false, total: size },
    ...{ succeeded: size, touchedAt: now, finishedAt: now },
  });
  const contentType = "application/x-ndjson";
  await Bucket.replace(bucket, Worker.silent, Files.places(run).jsonl, { body: results, contentType });
  await Bucket.replace(bucket, Worker.silent, labelsKey, { body: labels, contentType });
  const head = await Bucket.head(bucket, Worker.silent, labelsKey);
  bucket.client.destroy();
  const evaluation = async () => {
    const evalId = Evaluation.newId();
    await db.query.insert(evaluationTable).values({
      ...{ evalId, keyId: run.keyId, runUid: run.runUid, runId: run.runId, taskId: "receipt_v1" },
      labels: { object_key: labelsKey, etag: head?.etag ?? "", image_key: "file" },
      ...{ strMode: "strip", state: "running", leaseUntil: now, createdAt: now },
      progress: { next: 0, total: size, parts: [], carry: null },
    });
    return evalId;
  };
  return evaluation;
}

async function measureAll(stores: Worker.Stores, db: Database.Db, sizes: readonly number[]): Promise<Line[]> {
  const lines: Line[] = [];
  const [least = 0] = sizes;
  const leaking = [least, 4 * least];
  for (const size of new Set([...leaking, ...sizes].sort((a, b) => a - b))) {
    const evaluation = await prepare(stores, db, size);
    const evalId = await evaluation();
    const wanted: [string, string][] = [];
    if (leaking.includes(size)) wanted.push(["leaking", await evaluation()]);
    if (sizes.includes(size)) wanted.push(["as it is", evalId], ["diff", evalId]);
    for (const [what, id] of wanted) {
      process.stderr.write(`${size} documents, ${what}\n`);
      const measured = await spawned(stores, what, id);
      if (measured.documents !== size)
        throw new Error(`${measured.documents} of ${size} documents were evaluated`);
      lines.push({ what, size, ...measured });
    }
  }
  return lines;
}

/** Prints the table, or JSON with `--json`; 1 if memory grows, or if the leak's growth is not detected. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { sizes: { type: "string", default: "1000,10000" }, json: { type: "boolean", default: false } },
  });
  if (process.platform !== "linux") {
    process.stderr.write("a process's high-water mark is Linux's alone: not measured\n");
    return 0;
  }
  const sizes = values.sizes.split(",").map(Number);
  if (sizes.length < 2 || sizes.some((size) => !Number.isInteger(size) || size < 1)) {
    process.stderr.write("--sizes takes two whole numbers or more\n");
    return 2;
  }
  const dir = fs.mkdtempSync(join(tmpdir(), "ocrlty-bench-"));
  const s3 = await S3Server.start({ dir, buckets: [Worker.bucketName], ...Worker.credentials });
  const sql = await SqlServer.start({ file: join(dir, "bench.db"), authToken: Worker.sqlToken });
  const client = createClient({ url: sql.url, authToken: Worker.sqlToken });
  try {
    const db = Database.wrap(client);
    await migrate(db);
    return tell(await measureAll({ s3: s3.url, sql: sql.url }, db, sizes), values.json);
  } finally {
    client.close();
    await Promise.all([s3.close(), sql.close()]);
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

function tell(lines: readonly Line[], json: boolean): number {
  const growthOf = (what: string) => {
    const own = lines.filter((line) => line.what === what);
    return SupportFigures.round((own.at(-1)?.peak_mb ?? Number.NaN) / (own[0]?.peak_mb ?? Number.NaN), 2);
  };
  const [growth, leaking, diff] = ["as it is", "leaking", "diff"].map(growthOf) as [number, number, number];
  const isRight = growth <= maxGrowth && diff <= maxGrowth && leaking > maxGrowth;
  if (json) {
    process.stdout.write(`${JSON.stringify({ rows: Papers.rows, lines, growth, leaking, diff }, null, 2)}\n`);
    return isRight ? 0 : 1;
  }
  const head = ["documents of 30 rows", "", "peak MB", "live MB", "steps", "CPU ms a document", "seconds"];
  const table = lines.map(({ size, what, peak_mb, live_mb, steps, cpu_ms, wall_ms }) => [
    ...[size, what, peak_mb, live_mb, steps],
    ...[SupportFigures.round(cpu_ms / size, 2), SupportFigures.round(wall_ms / 1000, 1)],
  ]);
  const last = lines.at(-1);
  const fits = last === undefined ? 0 : Math.floor((last.size * callMs) / last.wall_ms / 100) * 100;
  process.stdout.write(
    `${SupportFigures.table(head, table)}\nthe peak grows by ${growth}, of the diff by ${diff}; by ${leaking} where all that is read is kept\n` +
      `about ${fits} documents fit into a call of the diff (${callMs / 1000} s)\n`,
  );
  return isRight ? 0 : 1;
}
