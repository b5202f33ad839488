/**
 * Lists and backs up artifacts through the API of a local loop at two sizes, and reports how the functions' memory
 * and the calls to the bucket grow. `npm run bench -- artifacts [--sizes 500,5000] [--json]`.
 *
 * V8's young generation grows with the work done. So the small size is backed up as many times as gives the same
 * number of artifacts, and only the size of an archive differs.
 *
 * Exit status 1 if something is missing, out of order or changed, if tar disagrees, or if memory grew by more than a
 * quarter.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import type { ArtifactEntry } from "#core/artifact/listing";
import { verify } from "#core/backup/verify";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import type { Log } from "#core/log";
import { type Loop, start } from "#local/loop";

const execute = promisify(execFile);
const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

interface Measured {
  artifacts: number;
  artifact_bytes: number;
  put_s: number;
  list_pages: number;
  list_s: number;
  /** Most calls to the bucket that one page made. */
  list_calls_per_page: number;
  newest_first: boolean;
  /** The first one. */
  backup_s: number;
  backups: number;
  /** False: answered at once; true: packed behind the queue. */
  backup_queued: boolean;
  backup_bytes: number;
  manifest_ok: boolean;
  /** What the system's tar unpacked with the right bytes; null without a tar. */
  tar_files: number | null;
  /** Peak of each function's process; null if the system does not report it. */
  peak_rss_mb: Record<string, number | null>;
}

/** About what an artifact of a receipt looks like: 4 KB to 8 KB of JSON, different each time. */
function content(i: number): string {
  const noise = createHash("sha512").update(String(i)).digest("hex");
  const attempts = Array.from({ length: 8 + (i % 17) }, (_, n) => ({
    n,
    text: `${noise}${n}${noise.slice(n)}`,
  }));
  return `${JSON.stringify({ request_id: `r-${i}`, principal: { key_id: `key-${i % 3}` }, attempts }, null, 1)}\n`;
}

/** Spread over 40 days and three keys. */
const relOf = (i: number) => {
  const day = new Date(Date.UTC(2026, 9, 1 + (i % 40))).toISOString().slice(0, 10);
  return `extracts/${day}/key-${i % 3}/r-${String(i).padStart(6, "0")}.json`;
};

async function measure(count: number, backups: number): Promise<Measured> {
  const dir = fs.mkdtempSync(join(tmpdir(), "ocrlty-bench-"));
  let listCalls = 0;
  const loop = await start({
    home: dir,
    port: 0,
    // No picture is read, so the stand-in is not needed.
    env: { VLLM_BASE_URL: "http://127.0.0.1:9", VLLM_MODEL: "none", LOG_LEVEL: "WARN" },
    log: () => undefined,
    onRequest: {
      s3: ({ operation }) => {
        if (operation === "ListObjectsV2") listCalls += 1;
      },
    },
  });
  const bucket = open(loop);
  try {
    const [putS, { sums, bytes }] = await timed(() => putAll(bucket, count));
    const [listS, { items, pages, most }] = await timed(() => listAll(loop, () => listCalls));

    const file = join(dir, "backup.tar.gz");
    const [backupS, queued] = await timed(() => backup(loop, file, ""));
    for (let i = 1; i < backups; i += 1) {
      // Days before the first artifact: another job each time, with the same content.
      await backup(
        loop,
        join(dir, "again.tar.gz"),
        `?from=${new Date(Date.UTC(2026, 8, 1) - i * 86_400_000).toISOString().slice(0, 10)}`,
      );
    }
    const verified = await verify(() => fs.createReadStream(file));
    return {
      artifacts: count,
      artifact_bytes: bytes,
      put_s: putS,
      list_pages: pages,
      list_s: listS,
      list_calls_per_page: most,
      newest_first: isNewestFirst(items, count),
      backup_s: backupS,
      backups,
      backup_queued: queued,
      backup_bytes: fs.statSync(file).size,
      manifest_ok: verified.ok && verified.entries === count,
      tar_files: await unpacked(file, join(dir, "unpacked"), sums),
      peak_rss_mb: peaks(loop),
    };
  } finally {
    bucket.client.destroy();
    await loop.close(0);
    fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function putAll(bucket: Bucket.Bucket, count: number) {
  const sums = new Map<string, string>();
  let bytes = 0;
  for (let at = 0; at < count; at += 50) {
    await Promise.all(
      Array.from({ length: Math.min(50, count - at) }, async (_, n) => {
        const [rel, body] = [relOf(at + n), content(at + n)];
        bytes += Buffer.byteLength(body);
        sums.set(rel, createHash("sha256").update(body).digest("hex"));
        await Bucket.put(bucket, silent, rel, { body, contentType: "application/json" });
      }),
    );
  }
  return { sums, bytes };
}

/** Goes through all pages. `most` is the largest number of calls to the bucket for one page. */
async function listAll(loop: Loop, listCalls: () => number) {
  const items: ArtifactEntry[] = [];
  let pages = 0;
  let most = 0;
  for (let cursor: string | null = ""; cursor !== null; pages += 1) {
    const before = listCalls();
    const query = new URLSearchParams({ limit: "200", ...(cursor === "" ? {} : { cursor }) });
    const answer = await (await call(loop, `?${query}`)).json();
    const page = answer as { items: ArtifactEntry[]; next_cursor: string | null };
    items.push(...page.items);
    cursor = page.next_cursor;
    most = Math.max(most, listCalls() - before);
  }
  return { items, pages, most };
}

/** True if the list has each artifact once, the newest first. */
function isNewestFirst(items: readonly ArtifactEntry[], count: number): boolean {
  const order = items.map((item) => `${item.date} ${item.last_modified}`);
  const all = new Set(items.map((item) => item.artifact_rel));
  return (
    order.every((at, i) => i === 0 || at <= (order[i - 1] ?? "")) &&
    all.size === count &&
    items.length === count
  );
}

function open(loop: Loop): Bucket.Bucket {
  return Bucket.open(Config.bucketOf(loop.env), 60_000);
}

async function call(loop: Loop, path: string): Promise<Response> {
  const response = await fetch(`${loop.url}/v1/debug/artifacts${path}`, {
    headers: { "x-api-key": loop.apiKey ?? "" },
    redirect: "manual",
  });
  if (response.status >= 400) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  return response;
}

/** Writes the backup to the file; true if the call had to wait for a job. */
async function backup(loop: Loop, file: string, query: string): Promise<boolean> {
  let queued = false;
  let response = await call(loop, `/backup.tar.gz${query}`);
  for (; response.status === 202; response = await call(loop, `/backup.tar.gz${query}`)) {
    queued = true;
    await response.arrayBuffer();
    await sleep(200);
  }
  if (response.status === 303) response = await fetch(response.headers.get("location") ?? "");
  if (response.body === null) throw new Error("the backup has no body");
  await pipeline(Readable.fromWeb(response.body), fs.createWriteStream(file));
  return queued;
}

/** How many files the system's tar unpacks with the content that was put. */
async function unpacked(
  file: string,
  dir: string,
  sums: ReadonlyMap<string, string>,
): Promise<number | null> {
  try {
    await execute("tar", ["--version"]);
  } catch {
    return null;
  }
  fs.mkdirSync(dir);
  await execute("tar", ["-xzf", file, "-C", dir]);
  const isSame = ([rel, sha256]: [string, string]) =>
    fs.existsSync(join(dir, rel)) &&
    createHash("sha256")
      .update(fs.readFileSync(join(dir, rel)))
      .digest("hex") === sha256;
  return [...sums].filter(isSame).length;
}

/** The most memory that each function's process has held; only Linux reports it. */
function peaks(loop: Loop): Record<string, number | null> {
  const found: Record<string, number | null> = {};
  for (const { pid, functionName } of loop.lambda.instances()) {
    if (!["debug", "later"].includes(functionName)) continue;
    const status = fs.existsSync(`/proc/${pid}/status`) ? fs.readFileSync(`/proc/${pid}/status`, "utf8") : "";
    const kib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
    const mb = Number.isNaN(kib) ? null : Math.round(kib / 102.4) / 10;
    found[functionName] = mb === null ? null : Math.max(mb, found[functionName] ?? 0);
  }
  return found;
}

async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const startedAt = performance.now();
  const result = await work();
  return [Math.round(performance.now() - startedAt) / 1000, result];
}

const maxGrowth = 1.25;

/** Prints the table, or JSON with `--json`; 1 if a check failed. */
export async function run(args: string[]): Promise<number> {
  const { values: options } = parseArgs({
    args,
    options: { sizes: { type: "string", default: "500,5000" }, json: { type: "boolean", default: false } },
  });
  const sizes = options.sizes.split(",").map(Number);
  const measured: Measured[] = [];
  for (const size of sizes) {
    process.stderr.write(`${size} artifacts\n`);
    measured.push(await measure(size, Math.ceil(Math.max(...sizes) / size)));
  }
  const [small, large] = [measured[0], measured.at(-1)];
  const growth = Object.fromEntries(
    Object.keys(large?.peak_rss_mb ?? {}).map((name) => {
      const [before, after] = [small?.peak_rss_mb[name], large?.peak_rss_mb[name]];
      return [name, before && after ? Math.round((after / before) * 100) / 100 : null];
    }),
  );
  const good =
    measured.every(
      (one) => one.newest_first && one.manifest_ok && (one.tar_files ?? one.artifacts) === one.artifacts,
    ) && Object.values(growth).every((ratio) => ratio === null || ratio <= maxGrowth);
  if (options.json)
    process.stdout.write(`${JSON.stringify({ good, memory_ratio: growth, measured }, null, 2)}\n`);
  else {
    console.table(
      measured.map(({ peak_rss_mb, ...one }) => ({
        ...one,
        ...Object.fromEntries(Object.entries(peak_rss_mb).map(([name, mb]) => [`${name}_peak_mb`, mb])),
      })),
    );
    console.log(
      `memory at ${sizes.at(-1)} against ${sizes[0]}: ${JSON.stringify(growth)} (at most ${maxGrowth})`,
    );
    console.log(good ? "all there, in order, unchanged; memory flat" : "NOT as it should be");
  }
  return good ? 0 : 1;
}
