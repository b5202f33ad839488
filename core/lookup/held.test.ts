import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as Breaker from "#core/breaker/breaker";
import type { Hold } from "#core/breaker/breaker.sql";
import * as Database from "#core/db/database";
import { extractTable } from "#core/extraction/extract.sql";
import * as Extract from "#core/lookup/extract";
import * as Run from "#core/run/run";
import { runTable } from "#core/run/run.sql";
import { client, open, type Stores, silent } from "#test/support/run-stores";

let stores: Stores;
beforeAll(async () => {
  stores = await open();
  const { db } = stores.services;
  const shared = { keyId: "key-1", taskId: "receipt_v1", payloadHash: "h", createdAt: new Date() };
  await db.query.insert(runTable).values({
    ...{ ...shared, runUid: "uid", runId: "waits", principalRole: "client", state: "running", epoch: 1 },
    ...{ concurrency: 1, total: 1, source: "manifest", persistInputs: false, touchedAt: new Date() },
    waitingFor: "model_server",
  });
  await db.query.insert(extractTable).values({
    ...{ ...shared, requestId: "e", status: "queued", leaseUntil: new Date(0), token: 1 },
    waitingFor: "model_server",
  });
});
afterAll(() => stores.close());

const hold = (held: Hold | undefined) =>
  Database.batch(
    stores.services.db,
    Breaker.manage(stores.services.db, { hold: held, address: null }, sql`true`),
  );
const asked = { keyId: undefined, principal: client(), log: silent };

async function seen() {
  const { db } = stores.services;
  const extract = await Extract.get(stores.services, { ...asked, requestId: "e" });
  const page = await Run.list(db, {
    ...asked,
    taskId: undefined,
    status: undefined,
    limit: 5,
    cursor: undefined,
  });
  return {
    run: (await Run.get(db, { ...asked, runId: "waits" })).waiting_for,
    listed: page.items.map(({ waiting_for }) => waiting_for),
    retryAfterS: extract.kind === "running" ? extract.retryAfterS : undefined,
  };
}

test("what a pod's manager says reaches runs and extracts that wait, as long as it says it", async () => {
  expect(await seen()).toEqual({ run: "model_server", listed: ["model_server"], retryAfterS: undefined });
  await hold({ for: "pod", readyAt: Date.now() + 300_000 });
  const starting = await seen();
  expect(starting).toMatchObject({ run: "model_server", listed: ["model_server"] });
  expect(starting.retryAfterS).toBeGreaterThan(295);
  expect(starting.retryAfterS).toBeLessThanOrEqual(300);
  await hold({ for: "budget", readyAt: Date.now() + 9 * 3_600_000 });
  const spent = await seen();
  expect(spent).toMatchObject({ run: "budget", listed: ["budget"] });
  expect(spent.retryAfterS).toBeGreaterThan(32_000);
  await hold(undefined);
  expect(await seen()).toMatchObject({ run: "model_server", retryAfterS: undefined });
});
