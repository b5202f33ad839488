import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { createClient } from "@libsql/client";
import sharp from "sharp";
import { expect } from "vitest";
import * as Database from "#core/db/database";
import { extractTable } from "#core/extraction/extract.sql";
import { product } from "#local/app";
import * as Functions from "#spec/functions";
import * as Limits from "#spec/limits";
import { reader } from "#test/soak/parallel";
import { startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";

/**
 * Storage calls may take 4 s; 2 s of a call's time are reserved for the hand-over. The worker has more time than it
 * needs.
 */
const timeScale = 1 / 2;
const times = Limits.times(timeScale);
/** A call gets half of the time that the picture takes, but at least the time to reach the picture. */
const leastMs = 500;
const mostMs = 4_000;

/** Large pictures at a time, so that most of the 16 instances are free for other calls. */
const abreast = 3;

/** What happens to a call while sharp decodes its picture. */
const fates = [
  /** Its deadline passes, and it is handed over. */
  "cut off",
  /** Its hand-over hangs until the function's timeout; it fails and may be repeated. */
  "timed out",
  /** Its process is killed, as the platform does at the timeout. */
  "killed",
] as const;

export interface TimedOut {
  /** Answers by status: 200 only if the machine was faster than the deadline. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly killed: number;
  readonly handedOver: number;
  /** Calls with other pictures in the meantime, and the longest of them. */
  readonly others: number;
  readonly slowestOtherMs: number;
  /** Resident megabytes of the loop's process and of the largest instance. Undefined without `ps`. */
  readonly memoryMb: Record<"before" | "most" | "after", { loop: number; instance: number }> | undefined;
}

/**
 * 98 megapixels with an alpha channel, interlaced, in less than 4 MB: unpacking and scaling takes a processor about
 * two seconds, and all pixels are in memory.
 */
export async function slowPicture(): Promise<Buffer> {
  const side = 9_900;
  const background = { r: 200, g: 100, b: 50, alpha: 0.5 };
  const bytes = await sharp({ create: { width: side, height: side, channels: 4, background } })
    .png({ compressionLevel: 6, progressive: true })
    .toBuffer();
  expect(bytes.byteLength).toBeLessThan(Limits.sizes.inlineImageBytes);
  return bytes;
}

/** The minimum processor time that it takes on this machine under its present load. */
async function decodeMs(picture: Buffer): Promise<number> {
  const startedAt = performance.now();
  await sharp(picture).resize(2_000, 2_000).flatten().jpeg().toBuffer();
  return performance.now() - startedAt;
}

/** Adds bytes after the end of a PNG: the same picture, another payload. */
const distinct = (picture: Buffer, n: number) =>
  Buffer.concat([picture, Buffer.from(`${n}`.padStart(8, "0"))]);

/**
 * Sends `count` pictures whose decoding outlasts the call, with each outcome in turn. Checks that the loop keeps
 * working: other calls are answered, killed processes are replaced, memory is released, no extract is stuck.
 */
export async function timeouts(count: number): Promise<TimedOut> {
  const picture = await slowPicture();
  const availableMs = Math.min(mostMs, Math.max(leastMs, (await decodeMs(picture)) / 2));
  const timeoutMs = availableMs + times.httpReserveMs;
  const calls = Array.from({ length: count }, (_, n) => ({
    id: `slow-${n}`,
    fate: fates[n % fates.length],
    imageBase64: distinct(picture, n).toString("base64"),
  }));
  const hanging = new Set(calls.filter(({ fate }) => fate === "timed out").map(({ id }) => id));
  const model = await ModelServer.start({ model: "scripted", respond: reader(20) });
  let loop: TestLoop | undefined;
  try {
    loop = await startLoop({
      timeScale,
      env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" },
      app: {
        ...product,
        functions: {
          ...Functions.functions,
          extract: { ...Functions.functions.extract, timeoutMs: Math.round(timeoutMs / timeScale) },
        },
      },
      onRequest: {
        s3: async ({ operation, key }) => {
          const id = key.slice(key.lastIndexOf("/") + 1);
          if (operation !== "PutObject" || !hanging.has(id)) return undefined;
          await sleep(times.storageTimeoutMs + 1_000);
          return { status: 0 };
        },
      },
    });
    return await run(loop, calls, availableMs / 2);
  } finally {
    await loop?.close();
    await model.close();
  }
}

interface SlowCall {
  readonly id: string;
  readonly fate: (typeof fates)[number] | undefined;
  readonly imageBase64: string;
}

const extract = (loop: TestLoop, id: string, imageBase64: string) =>
  loop.call("/v1/extract", { json: { image_base64: imageBase64, request_id: id } });

async function run(loop: TestLoop, calls: readonly SlowCall[], killAfterMs: number): Promise<TimedOut> {
  const small = await base64(7_000);
  // Everything is warm before the first measurement.
  const warm = async () => (await extract(loop, "small-warm", small)).status;
  await expect.poll(warm, { timeout: 20_000 }).toBe(200);
  const first = new Set(loop.lambda.instances().map(({ pid }) => pid));
  const watch = await watchMemory(loop);

  const everybodyElse = callOthers(loop);
  const sender = new Sender(loop, killAfterMs);
  // One after the other, so that a kill hits the intended call.
  await sender.sendAll(calls.filter(({ fate }) => fate !== "killed"));
  await sender.sendAll(calls.filter(({ fate }) => fate === "killed"));
  const { others, slowestOtherMs } = await everybodyElse.stop();
  const { statuses, killed } = sender;
  expect(others).toBeGreaterThan(0);
  expect(killed).toBeGreaterThan(0);
  // 500, 503 and 504: killed, or too late for the hand-over; they may be sent again.
  expect([...statuses.values()].filter((status) => ![200, 202, 500, 503, 504].includes(status))).toEqual([]);
  expect([...statuses.values()].filter((status) => status === 200).length).toBeLessThan(calls.length / 2);

  await expectNoneStuck(loop, calls);
  const rows = await rowsOf(loop);
  // Running out of time is not the picture's fault, so the same call may be sent again.
  expect(rows.filter(({ status }) => status === "failed" || status === "queued")).toEqual([]);
  // The loop answers as before, with other processes than the killed ones.
  const after = async () => (await extract(loop, "small-after", small)).status;
  await expect.poll(after, { timeout: 60_000 }).toBe(200);
  expect(loop.lambda.instances().some(({ pid }) => !first.has(pid))).toBe(true);
  const all = Map.groupBy(statuses.values(), String);
  return {
    statuses: Object.fromEntries([...all].map(([status, each]) => [status, each.length])),
    killed,
    handedOver: rows.filter((row) => row.handedOverAt !== null).length,
    others,
    slowestOtherMs,
    memoryMb: await watch.end(),
  };
}

/** Calls of somebody else until `stop`; each must be answered. */
function callOthers(loop: TestLoop): { stop(): Promise<{ others: number; slowestOtherMs: number }> } {
  let over = false;
  const seen = { others: 0, slowestOtherMs: 0 };
  const calling = (async () => {
    while (!over) {
      const startedAt = Date.now();
      const answer = await loop.call("/health", { key: null });
      expect(answer.status, answer.text).toBe(200);
      seen.slowestOtherMs = Math.max(seen.slowestOtherMs, Date.now() - startedAt);
      seen.others += 1;
      await sleep(20);
    }
  })();
  // Its failure is handled where it is awaited.
  calling.catch(() => undefined);
  return {
    stop: async () => {
      over = true;
      await calling;
      return seen;
    },
  };
}

/** Sends large pictures, a few at a time, and kills the processes of those whose fate it is. */
class Sender {
  readonly statuses = new Map<string, number>();
  killed = 0;
  readonly #loop: TestLoop;
  readonly #killAfterMs: number;

  constructor(loop: TestLoop, killAfterMs: number) {
    this.#loop = loop;
    this.#killAfterMs = killAfterMs;
  }

  async sendAll(batch: SlowCall[]): Promise<void> {
    await Promise.all(
      Array.from({ length: abreast }, async () => {
        for (let next = batch.shift(); next !== undefined; next = batch.shift()) {
          const answer = extract(this.#loop, next.id, next.imageBase64);
          if (next.fate === "killed") await this.#killOne(answer);
          this.statuses.set(next.id, (await answer).status);
        }
      }),
    );
  }

  async #killOne(answer: Promise<unknown>): Promise<void> {
    let answered = false;
    void answer.finally(() => {
      answered = true;
    });
    await sleep(this.#killAfterMs);
    // On a busy machine the call may not have reached its process yet.
    for (let done = false; !done && !answered; await sleep(5)) {
      const busy = this.#loop.lambda
        .instances()
        .find(({ functionName, state }) => functionName === "extract" && state === "busy");
      done = busy !== undefined && this.#loop.lambda.killInstance(busy.pid);
      if (done) this.killed += 1;
    }
  }
}

/** A handed-over extract ends, at the latest by its budget; a killed one can be claimed after its lease. */
async function expectNoneStuck(loop: TestLoop, calls: readonly SlowCall[]): Promise<void> {
  const timeout = 60_000 + calls.length * 8_000;
  await Promise.all(
    calls.map(({ id }) =>
      expect
        .poll(async () => (await loop.call(`/v1/extracts/${id}`)).status, {
          timeout,
          interval: 500,
          message: id,
        })
        .not.toBe(202),
    ),
  );
}

async function rowsOf(loop: TestLoop) {
  const db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
  try {
    return await db.query.select().from(extractTable);
  } finally {
    db.client.close();
  }
}

/** Memory that may stay: allocators keep some, and the loop's store keeps its indexes. */
const mayStayMb = { loop: 250, instance: 250 };

async function watchMemory(loop: TestLoop): Promise<{ end(): Promise<TimedOut["memoryMb"]> }> {
  const look = async () => {
    const sizes = await residentMb([process.pid, ...loop.lambda.instances().map(({ pid }) => pid)]);
    if (sizes === undefined) return undefined;
    const instances = [...sizes].filter(([pid]) => pid !== process.pid).map(([, mb]) => mb);
    return { loop: sizes.get(process.pid) ?? 0, instance: Math.max(0, ...instances) };
  };
  const before = await look();
  if (before === undefined) return { end: async () => undefined };
  const most = { ...before };
  let now = before;
  const timer = setInterval(async () => {
    const seen = await look();
    if (seen === undefined) return;
    now = seen;
    most.loop = Math.max(most.loop, seen.loop);
    most.instance = Math.max(most.instance, seen.instance);
  }, 250);
  return {
    end: async () => {
      try {
        const grown = () => ({
          loop: now.loop - before.loop < mayStayMb.loop,
          instance: now.instance - before.instance < mayStayMb.instance,
        });
        await expect.poll(grown, { timeout: 30_000, interval: 250 }).toEqual({ loop: true, instance: true });
        return { before, most, after: now };
      } finally {
        clearInterval(timer);
      }
    },
  };
}

/** Resident memory by process; undefined without `ps`. A process that has just ended is left out. */
async function residentMb(pids: readonly number[]): Promise<Map<number, number> | undefined> {
  if (process.platform === "win32") return undefined;
  const { stdout } = await promisify(execFile)("ps", ["-o", "pid=,rss=", "-p", pids.join(",")]);
  return new Map(
    stdout
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((cells) => cells.length === 2)
      .map(([pid, kilobytes]) => [Number(pid), Math.round(Number(kilobytes) / 1024)]),
  );
}
