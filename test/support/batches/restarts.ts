/** A run whose whole stack is killed in the middle. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { asc, eq } from "drizzle-orm";
import { expect } from "vitest";
import * as Database from "#core/db/database";
import { itemTable, runTable } from "#core/run/run.sql";
import * as Stack from "#test/soak/stack";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";
import { answer } from "./batches.ts";

const timeScale = 1 / 10;
const goneMs = 5_000;
const concurrency = 8;

/**
 * Sends a manifest to a whole stack and kills it with SIGKILL `kills` times; each time it is started again on the
 * same folder, without any call.
 * @returns one line with the cost.
 */
export async function restarts({ items, kills }: { items: number; kills: number }): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "ocrlty-restarts-"));
  const model = await ModelServer.start({ model: "scripted", respond: () => answer(100) });
  const env = { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", OCRLTY_TIME_SCALE: String(timeScale) };
  let stack = await Stack.start(home, env);
  try {
    await send(stack, items);
    let inFlight = 0;
    for (let kill = 1; kill <= kills; kill += 1) {
      const enough = (items * kill) / (kills + 1);
      await expect
        .poll(() => model.requests.length, { timeout: 300_000, interval: 20 })
        .toBeGreaterThan(enough);
      const children = await stack.kill();
      // Everything that was asked and not yet stored, at most one item per slot.
      inFlight += concurrency;
      await Stack.expectGone(children, goneMs);
      stack = await Stack.start(home, env);
    }
    const db = Database.wrap(createClient({ url: `file:${join(home, "ocrlty.db")}`, timeout: 5_000 }));
    try {
      const [state] = await poll(async () => {
        const rows = await db.query.select().from(runTable).where(eq(runTable.runId, "restarts"));
        return rows.filter((row) => row.state === "succeeded");
      });
      const rows = await db.query.select().from(itemTable).orderBy(asc(itemTable.index));
      expect(rows.filter(({ status }) => status !== "succeeded")).toEqual([]);
      expect(rows.length).toBe(items);
      expect(state).toMatchObject({ total: items, succeeded: items, failed: 0, canceled: 0 });
    } finally {
      db.client.close();
    }
    const asked = model.requests.length;
    expect(asked).toBeGreaterThanOrEqual(items);
    expect(asked).toBeLessThanOrEqual(items + inFlight);
    return `${items} items, ${kills} kills of the whole stack: ${asked} model requests <= ${items} + ${inFlight} in flight at kills`;
  } finally {
    await stack.stop();
    await model.close();
    await rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** One picture, uploaded once, as every item of the run. */
async function send(stack: Stack.Stack, items: number): Promise<void> {
  const call = async (path: string, json: unknown) => {
    let body: Record<string, unknown> = {};
    // At this scale a cold process may exceed its own time limit; both calls may be repeated.
    const status = async () => {
      const response = await fetch(`${stack.url}${path}`, {
        method: "POST",
        headers: { "x-api-key": stack.key, "content-type": "application/json" },
        body: JSON.stringify(json),
      });
      body = (await response.json()) as typeof body;
      return response.status;
    };
    await expect.poll(status, { timeout: 30_000, interval: 200, message: path }).toBeLessThan(300);
    return body;
  };
  const bytes = Buffer.from(await base64(1), "base64");
  const upload = (await call("/v1/uploads", { mime_type: "image/jpeg", bytes: bytes.length })) as {
    image_ref: string;
    upload_url: string;
    headers: Record<string, string>;
  };
  const put = await fetch(upload.upload_url, { method: "PUT", headers: upload.headers, body: bytes });
  expect(put.ok).toBe(true);
  await call("/v1/batch_extract", {
    run_id: "restarts",
    concurrency,
    persist_inputs: true,
    manifest: Array.from({ length: items }, () => ({ image_ref: upload.image_ref })),
  });
}

async function poll<T>(look: () => Promise<T[]>): Promise<T[]> {
  let found: T[] = [];
  const some = async () => {
    found = await look();
    return found.length;
  };
  await expect.poll(some, { timeout: 300_000, interval: 500 }).toBeGreaterThan(0);
  return found;
}
