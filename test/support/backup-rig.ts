/** Shared by tests of backups: a bucket with artifacts, and callers with the queue for their jobs. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import * as tar from "tar-stream";
import * as Listing from "#core/artifact/listing";
import * as Backup from "#core/backup/backup";
import * as Job from "#core/backup/job";
import * as BackupLimits from "#core/backup/limits";
import { verify } from "#core/backup/verify";
import * as Bucket from "#core/bucket/bucket";
import * as TestBucket from "#test/support/test-bucket";
import { silent } from "#test/support/test-bucket";

export const MiB = 1024 * 1024;
export const everything: Listing.Range = {
  kinds: Listing.kinds,
  keyId: undefined,
  from: undefined,
  to: undefined,
};
/** Large from 5 artifacts on, a segment every 2, hand-over after every second segment. */
export const small: BackupLimits.Limits = {
  ...BackupLimits.limits(),
  direct: { objects: 4, bytes: 16 * MiB, listCalls: 40 },
  segment: { bytes: MiB, objects: 2 },
  partBytes: 5 * MiB,
  segmentsPerStep: 2,
};

export const artifact = (i: number, key = "alice") =>
  `extracts/2026-11-${String(10 + (i % 5))}/${key}/r-${String(i).padStart(3, "0")}.json`;

export async function start() {
  const store = await TestBucket.start();
  const isUnder = (prefix: string) => async () =>
    (await Bucket.list(store.bucket, silent, { prefix })).objects;
  async function clear(): Promise<void> {
    for (const prefix of ["extracts/", "batches/", "evals/", "backups/"])
      await Promise.all((await isUnder(prefix)()).map(({ rel }) => Bucket.remove(store.bucket, silent, rel)));
  }
  async function put(count: number, key = "alice", bytes = 300): Promise<string[]> {
    const rels = Array.from({ length: count }, (_, i) => artifact(i, key));
    await Promise.all(
      rels.map((rel, i) => store.put(rel, JSON.stringify({ rel, filler: String(i).repeat(bytes) }))),
    );
    return rels;
  }

  /** A caller, and the queue for its jobs. */
  function client(keyId = "admin", limits = small) {
    const queue: Job.Message[] = [];
    const services: Job.Services = {
      bucket: store.bucket,
      send: async (message) => void queue.push(message),
    };
    const deliver = (message: Job.Message, leaseMs = 60_000, timeMs = 60_000) =>
      Job.step(services, message, {
        deadline: Date.now() + timeMs,
        leaseUntil: new Date(Date.now() + leaseMs),
        log: silent,
        limits,
      });
    return {
      queue,
      services,
      deliver,
      request: (range: Partial<Listing.Range> = {}) =>
        Backup.request(services, { ...everything, ...range }, { keyId, log: silent, limits }),
      /** Delivers messages until none is left. @returns the number of steps. */
      async run(): Promise<number> {
        let steps = 0;
        for (let message = queue.shift(); message !== undefined; message = queue.shift(), steps += 1)
          await deliver(message);
        return steps;
      },
    };
  }

  return {
    store,
    isUnder,
    put,
    client,
    bytesOf: (outcome: Outcome) => bytesOf(store, outcome),
    /** Between two tests. */
    reset: async () => {
      store.hook.answer = () => undefined;
      await clear();
    },
    close: () => store.close(),
  };
}
export type Rig = Awaited<ReturnType<typeof start>>;

type Outcome = Awaited<ReturnType<typeof Backup.request>>;

async function bytesOf(store: TestBucket.TestBucket, outcome: Outcome): Promise<Buffer> {
  if (outcome.kind === "bytes") return Buffer.from(outcome.bytes);
  if (outcome.kind !== "stored") throw new Error("the backup is not there yet");
  return Buffer.from((await Bucket.get(store.bucket, silent, outcome.rel)) ?? []);
}

export const verified = (archive: Buffer) => verify(() => Readable.from(slices(archive)));
export function* slices(archive: Buffer) {
  for (let at = 0; at < archive.length; at += 64 * 1024) yield archive.subarray(at, at + 64 * 1024);
}

/** Names and contents according to the system's tar, or to tar-stream without one. */
export async function untar(archive: Buffer): Promise<Map<string, string>> {
  const dir = await mkdtemp(join(tmpdir(), "ocrlty-tar-"));
  const run = (args: string[]) => promisify(execFile)("tar", args, { cwd: dir, maxBuffer: 100 * MiB });
  const entries = new Map<string, string>();
  try {
    await writeFile(join(dir, "b.tar.gz"), archive);
    const hasTar = await run(["--version"]).then(
      () => true,
      () => false,
    );
    if (hasTar) {
      for (const name of (await run(["-tzf", "b.tar.gz"])).stdout.trim().split(/\r?\n/))
        entries.set(name, (await run(["-xzOf", "b.tar.gz", name])).stdout);
      return entries;
    }
    for await (const entry of Readable.from([gunzipSync(archive)]).pipe(
      tar.extract() as never,
    ) as tar.Extract)
      entries.set(entry.header.name, await text(entry as never));
    return entries;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
