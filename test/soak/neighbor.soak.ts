import { execFile } from "node:child_process";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { expect, test } from "vitest";
import { extractTable } from "#core/extraction/extract.sql";
import * as Queue from "#core/queue/queue";
import { reader } from "#test/soak/parallel";
import { type Batches, open, queuesOf, silent } from "#test/support/batches/batches";
import type { Answer, TestLoop } from "#test/support/loop";
import { base64 } from "#test/support/pictures";

/*
 * One key does its worst (10,000 queued extracts, pictures that take the decoder seconds, runs whose webhooks fail,
 * runs that are deleted), and another key's calls stay as fast as before.
 */

const serviceMs = 1_000;
const calls = 300;
const atOnce = 4;
const backlog = 10_000;
/** The most that the first key may cost the other at the 95th percentile. */
const most = 1.3;

test("one key's heaviest load slows another key's calls by less than a third", async () => {
  // Takes every connection and never answers.
  const deaf = http.createServer(() => undefined).listen(0, "127.0.0.1");
  const batches = await open({
    env: { ITEM_MAX_CONCURRENCY: "16", WEBHOOK_ALLOW_PRIVATE: "1" },
    model: { respond: reader(serviceMs) },
  });
  const { loop } = batches;
  const stop = new AbortController();
  try {
    const good = await newKey(loop, "good");
    const bad = await newKey(loop, "bad");
    await p95(loop, good, "warm", 20);
    const alone = await p95(loop, good, "alone", calls);

    await inLine(batches, backlog);
    const keys = await batches.keys(8);
    const hook = `http://127.0.0.1:${(deaf.address() as AddressInfo).port}/`;
    const slow = (await slowPicture()).toString("base64");
    const worst = [
      until(stop.signal, (i) =>
        loop.call("/v1/extract", { key: bad, json: { image_base64: slow, request_id: `slow-${i}` } }),
      ),
      until(stop.signal, async (i) => {
        const manifest = keys.map((image_key) => ({ image_key }));
        const run_id = `worst-${i}`;
        await loop.call("/v1/batch_extract", {
          key: bad,
          json: { run_id, manifest, webhook_url: hook, concurrency: 2 },
        });
        await new Promise((later) => setTimeout(later, 2_000));
        return loop.call(`/v1/runs/worst-${i - 4}`, { key: bad, method: "DELETE" });
      }),
    ];
    const beside = await p95(loop, good, "beside", calls);
    const left = await waiting(batches);
    stop.abort();
    const [pictures = 0, deleted = 0] = await Promise.all(worst);
    console.info(
      `a bad neighbor: ${JSON.stringify({ alone, beside, ratio: beside / alone, left, pictures, deleted })}`,
    );
    // The server was available all the time.
    expect(left).toBeGreaterThan(backlog / 2);
    expect(Math.min(pictures, deleted)).toBeGreaterThan(10);
    expect(beside / alone).toBeLessThanOrEqual(most);
  } finally {
    stop.abort();
    deaf.closeAllConnections();
    deaf.close();
    await batches.close();
  }
});

/** The 95th percentile of the calls in milliseconds; each must be answered with 200. */
async function p95(loop: TestLoop, key: string, name: string, count: number): Promise<number> {
  const took: number[] = [];
  let next = 0;
  const caller = async () => {
    for (let i = next++; i < count; i = next++) {
      const json = { image_base64: await base64(20_000 + i), request_id: `${name}-${i}` };
      const startedAt = performance.now();
      const answer = await loop.call("/v1/extract", { key, json });
      took.push(performance.now() - startedAt);
      expect(answer.status, answer.text).toBe(200);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  return Math.round(took.toSorted((a, b) => a - b)[Math.floor(0.95 * took.length)] ?? 0);
}

/** Repeats it one at a time, whatever the result. @returns how many calls were accepted. */
async function until(signal: AbortSignal, what: (i: number) => Promise<Answer>): Promise<number> {
  let taken = 0;
  for (let i = 0; !signal.aborted; i += 1) if ((await what(i)).status < 400) taken += 1;
  return taken;
}

/** Queued extracts of the first key, each with its message, as its calls would have left them. */
async function inLine(batches: Batches, count: number): Promise<void> {
  const { db, loop } = batches;
  const [key = ""] = await batches.keys(1);
  const now = new Date();
  const rows = Array.from({ length: count }, (_, i) => ({
    ...{ keyId: "bad", requestId: `line-${i}`, taskId: "receipt_fields_v1", payloadHash: "hash" },
    ...{ status: "queued" as const, createdAt: now, leaseUntil: now, notBefore: now, sentAt: now, token: 1 },
    input: {
      ...{ source: "inline" as const, declaredMimeType: null, objectKey: `data/${key}`, etag: null },
      ...{ temporary: false, debug: null, principalRole: "client" },
    },
  }));
  for (let at = 0; at < rows.length; at += 500)
    await db.query.insert(extractTable).values(rows.slice(at, at + 500));
  const bodies = rows.map(({ keyId, requestId }) => ({ key_id: keyId, request_id: requestId }));
  expect((await Queue.sendAll(queuesOf(loop), "single", bodies, silent)).size).toBe(count);
}

const waiting = async ({ db }: Batches) =>
  (await db.query.select().from(extractTable)).filter(({ status }) => status === "queued").length;

/** Harmless, within all limits, and more work than a receipt: 40 megapixels that compress well. */
function slowPicture(): Promise<Buffer> {
  const size = { width: 8_000, height: 5_000, channels: 3 as const, background: "#eee" };
  return sharp({ create: size }).png({ compressionLevel: 9 }).toBuffer();
}

async function newKey(loop: TestLoop, keyId: string): Promise<string> {
  const program = resolve(import.meta.dirname, "../../cli/ocrlty.ts");
  // Without the limits that new keys have, whose effect is not measured here.
  const without = [
    "requests-per-minute",
    "items-per-day",
    "max-run-items",
    "max-in-flight",
    "max-stored-bytes",
  ];
  const args = [
    ...[
      "keys",
      "create-key",
      "--key-id",
      keyId,
      "--role",
      "admin",
      "--json",
      "--db",
      `${loop.home}/ocrlty.db`,
    ],
    ...without.flatMap((limit) => [`--${limit}`, "none"]),
  ];
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args], {
    env: { ...process.env, OCRLTY_HOME: loop.home, API_KEY_PEPPER: "" },
  });
  return String(JSON.parse(stdout).api_key);
}
