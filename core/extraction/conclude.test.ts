import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Place from "#core/artifact/place";
import * as Claim from "#core/extraction/claim";
import { conclude, storedBefore } from "#core/extraction/conclude";
import type * as Row from "#core/extraction/row";
import * as Record from "#core/reading/record";
import type { Artifact } from "#core/reading/schema";
import { usedOf } from "#core/reading/used";
import { usageTable } from "#core/usage/usage.sql";
import { noLimits } from "#spec/key-limits";
import * as TestBucket from "#test/support/test-bucket";
import * as TestDatabase from "#test/support/test-database";
import { extractTable } from "./extract.sql.ts";

let database: Awaited<ReturnType<typeof TestDatabase.start>>;
let s3: TestBucket.TestBucket;

beforeAll(async () => {
  [database, s3] = await Promise.all([TestDatabase.start(), TestBucket.start()]);
});
afterAll(() => Promise.all([database.close(), s3.close()]));
beforeEach(async () => {
  s3.hook.answer = () => undefined;
  await database.db.query.delete(extractTable);
  await database.db.query.delete(usageTable);
});

const log = TestBucket.silent;
const stores = () => ({ db: database.db, bucket: s3.bucket });

let made = 0;
const newId = () => `r-${++made}`;
/** Claims the id with a lease that has already ended, so that the next claim takes it over. */
async function claim(requestId: string): Promise<Row.Row> {
  const { claim: got } = await Claim.claim(
    database.db,
    { keyId: "k", requestId, taskId: "t", payloadHash: "hash", leaseUntil: new Date(Date.now() - 1) },
    { mustBeNew: false, handoverWindowMs: 1, limits: noLimits },
  );
  if (got?.kind !== "ours") throw new Error(`it is ${got?.kind}`);
  return got.row;
}

/** A worker's artifact; each worker waited for the model for a different time. */
const artifactOf = (row: Row.Row, inferenceMs: number, error?: Artifact["error"]): Artifact => ({
  request_id: row.requestId,
  task_id: row.taskId,
  created_at: row.createdAt.toISOString(),
  status: error === undefined ? "succeeded" : "failed",
  result: null,
  schema_ok: true,
  schema_errors: [],
  normalized: {},
  checks: [],
  warnings: [],
  model: "m",
  prompt_sha256: "p",
  schema_sha256: "s",
  image_sha256: "i",
  usage: { prompt_tokens: 100, completion_tokens: 10, attempts: 2 },
  timings_ms: { total: 0, image: 0, inference: inferenceMs, validate: 0 },
  artifact_rel: Place.extractKey(row.keyId, row.requestId, row.createdAt),
  ...(error === undefined ? {} : { error }),
  payload_hash: row.payloadHash,
  input: {
    source: "inline",
    mime_type: "image/png",
    declared_mime_type: null,
    bytes: 7,
    sha256: "i",
    width: 1,
    height: 1,
    pages: 1,
  },
  sent: null,
  request: null,
  raw_model_text: null,
  finish_reason: null,
  attempts: [],
  principal: { key_id: row.keyId, role: "client" },
  code_version: "0",
});

const used = async () => {
  const [row] = await database.db.query.select().from(usageTable);
  return { calls: row?.modelCalls, ms: row?.modelMs, tokens: row?.promptTokens, bytes: row?.imageBytes };
};

describe("what the model was asked for is counted once", () => {
  test("with the ending, also of a final failure", async () => {
    const row = await claim(newId());
    await conclude(stores(), log, row, artifactOf(row, 1_000));
    expect(await used()).toEqual({ calls: 2, ms: 1_000, tokens: 100, bytes: 7 });
    const bad = await claim(newId());
    const error = { code: "invalid_image", message: "no picture" } as const;
    await expect(conclude(stores(), log, bad, artifactOf(bad, 500, error))).rejects.toMatchObject(error);
    expect(await used()).toEqual({ calls: 4, ms: 1_500, tokens: 200, bytes: 14 });
  });

  test("of a worker that died between the artifact and the row: by the next worker or call that finds it", async () => {
    const id = newId();
    const died = await claim(id);
    const artifact = artifactOf(died, 1_000);
    await Record.put(s3.bucket, log, artifact.artifact_rel ?? "", Record.encode(artifact));
    expect(await storedBefore(stores(), log, await claim(id))).toMatchObject({ request_id: id });
    expect(await used()).toMatchObject({ calls: 2, ms: 1_000 });
    // The first worker was only slow: its token is outdated.
    await conclude(stores(), log, died, artifact);
    expect(await used()).toMatchObject({ calls: 2, ms: 1_000 });
  });

  test("of two workers that both asked: both, although only one of them ends the row", async () => {
    const id = newId();
    const slow = await claim(id);
    const holder = await claim(id);
    await conclude(stores(), log, slow, artifactOf(slow, 1_000));
    expect(await used()).toMatchObject({ calls: 0, ms: 0 });
    const answer = await conclude(stores(), log, holder, artifactOf(holder, 300));
    expect(answer.timings_ms.inference).toBe(1_000);
    expect(await used()).toMatchObject({ calls: 4, ms: 1_300 });
  });

  test("during an outage of the bucket once, after the artifact is stored", async () => {
    const id = newId();
    const row = await claim(id);
    s3.hook.answer = () => ({ status: 503 });
    // More than a row takes: the answer waits without its evidence.
    const text_layer = { pages: [{ page: 1, words: ["x".repeat(300 * 1024)] }], cut: false };
    const large = { ...artifactOf(row, 1_000), text_layer };
    await expect(conclude(stores(), log, row, large)).rejects.toMatchObject({
      code: "storage_unavailable",
    });
    expect(await used()).toMatchObject({ calls: 0, ms: 0 });
    s3.hook.answer = () => undefined;
    expect(await storedBefore(stores(), log, await claim(id))).not.toHaveProperty("text_layer");
    expect(await used()).toMatchObject({ calls: 2, ms: 1_000 });
  }, 20_000);

  test("not at all when the model server was away", async () => {
    const row = await claim(newId());
    const error = { code: "inference_unavailable", message: "away" } as const;
    const asked = artifactOf(row, 9_000, error);
    const none = { ...asked, usage: { prompt_tokens: 0, completion_tokens: 0, attempts: 3 } };
    expect(usedOf(none)).toMatchObject({ modelCalls: 0, modelMs: 0, imageBytes: 0 });
    // It had stored its answer before it died.
    expect(usedOf(asked)).toMatchObject({ modelCalls: 2, modelMs: 9_000 });
  });
});
