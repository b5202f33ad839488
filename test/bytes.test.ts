import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Place from "#core/artifact/place";
import { extractTable } from "#core/extraction/extract.sql";
import * as Record from "#core/reading/record";
import type { Artifact } from "#core/reading/schema";
import type { Services } from "#core/reading/services";
import * as Extracts from "#core/reconcile/extracts";
import * as Runs from "#core/reconcile/runs";
import * as Items from "#core/run/results/items";
import { runTable } from "#core/run/run.sql";
import { client, open, type Stores, silent } from "#test/support/run-stores";

/*
 * libSQL's server refuses an answer of more than 10 MB, and so does the loop's. So a step that reads many rows must
 * not read wide columns; otherwise an outage of the bucket would make it fail forever.
 */

let stores: Stores;
let services: Services & Stores["services"];
beforeAll(async () => {
  stores = await open();
  services = stores.services as typeof services;
});
afterAll(() => stores.close());

const createdAt = new Date("2026-11-23T10:00:00.000Z");
const long = "x".repeat(200_000);
const old = () => new Date(Date.now() - 3_600_000);

/** An answer of about 200 KB that waits in its row. */
const waiting = (requestId: string) =>
  Record.encode({
    ...{ request_id: requestId, task_id: "receipt_v1", created_at: createdAt.toISOString() },
    ...{ status: "succeeded", result: { note: long }, schema_ok: true, warnings: [] },
    ...{ usage: { prompt_tokens: 1, completion_tokens: 1, attempts: 1 }, timings_ms: { inference: 1 } },
    ...{ artifact_rel: Place.extractKey("key-1", requestId, createdAt), payload_hash: "h", input: null },
    ...{ principal: { key_id: "key-1", role: "client" } },
  } as unknown as Artifact);

describe("wide columns in many rows", () => {
  test("60 answers that waited in their rows for the bucket are stored when it is back, and the rows after them are repaired", async () => {
    const { db } = services;
    const row = {
      keyId: "key-1",
      taskId: "receipt_v1",
      payloadHash: "h",
      createdAt,
      token: 1,
      endedAt: old(),
    };
    const ids = Array.from({ length: 60 }, (_, i) => `waiting-${i}`);
    for (const requestId of ids)
      await db.query.insert(extractTable).values({
        ...{ ...row, requestId, status: "retryable", leaseUntil: old() },
        pendingArtifact: waiting(requestId),
      });
    const input = {
      source: "inline" as const,
      declaredMimeType: null,
      objectKey: "inputs/tmp/1",
      etag: null,
    };
    const behind = { ...input, temporary: true, debug: null, principalRole: "client" };
    await db.query
      .insert(extractTable)
      .values({ ...row, requestId: "behind", status: "failed", leaseUntil: old(), input: behind });
    expect(await Extracts.reconcile(services, silent)).toMatchObject({ stored: 60, inputs: 1 });
  });

  test("a page of 200 items whose answers wait for the bucket is answered, and the items of 60 lost workers are requeued", async () => {
    const { db } = services;
    await db.query.insert(runTable).values({
      ...{ runUid: "u", keyId: "key-1", runId: "r", taskId: "receipt_v1", payloadHash: "h", total: 200 },
      ...{ principalRole: "client", state: "running", epoch: 5, concurrency: 2, source: "manifest" },
      ...{ persistInputs: false, createdAt, touchedAt: new Date() },
    });
    await db.client.execute(`WITH RECURSIVE c(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM c WHERE i < 199)
      INSERT INTO item (run_uid, idx, source_kind, object_key, status, lease_until, token, pending_artifact)
      SELECT 'u', i, 'data', 'data/shared/1.png', iif(i < 60, 'running', 'queued'), 1, 1, hex(zeroblob(100000)) FROM c`);
    const wanted = { runId: "r", keyId: undefined, principal: client(), log: silent };
    const page = await Items.page(db, wanted, { status: undefined, limit: 200, cursor: undefined });
    expect(page.items).toHaveLength(200);

    // Replaces earlier content, as if the rows' workers had stored nothing.
    stores.bucket.hook.answer = ({ operation }) => ({ status: operation === "PutObject" ? 412 : 404 });
    expect(await Runs.reconcile(services, silent)).toMatchObject({ items_requeued: 60 });
  });
});
