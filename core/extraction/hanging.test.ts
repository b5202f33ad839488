import { afterAll, beforeAll, expect, test } from "vitest";
import { Decoder } from "#core/document/decoder";
import * as Hanging from "#core/document/fixtures/hanging";
import { extract } from "#core/extraction/extraction";
import type * as Queue from "#core/queue/queue";
import type { Services } from "#core/reading/services";
import { noLimits } from "#spec/key-limits";
import * as Limits from "#spec/limits";
import * as ModelServer from "#test/support/model-server/model-server";
import { png } from "#test/support/picture-parts";
import { fields } from "#test/support/privacy";
import * as TestBucket from "#test/support/test-bucket";
import * as TestDatabase from "#test/support/test-database";

/** One instance, two keys: a picture of one key keeps the decoder busy forever. */

const modelMs = 800;
const limitMs = 2_000;
let database: Awaited<ReturnType<typeof TestDatabase.start>>;
let s3: TestBucket.TestBucket;
let model: ModelServer.ModelServer;
let services: Services;
const decoder = new Decoder({ program: async () => Hanging.url, limitMs });

beforeAll(async () => {
  [database, s3, model] = await Promise.all([
    TestDatabase.start(),
    TestBucket.start(),
    ModelServer.start({ maxModelLen: 8192 }),
  ]);
  model.respond = () => ({ ...ModelServer.json(fields), delayMs: modelMs });
  services = {
    db: database.db,
    bucket: s3.bucket,
    get queues(): Queue.Queues {
      throw new Error("nothing is handed over here");
    },
    model: {
      baseUrl: model.url,
      apiKey: undefined,
      model: "scripted-model",
      connectTimeoutMs: 500,
      readTimeoutMs: 5_000,
      maxModelLen: 8192,
      maxTokens: undefined,
      maxImages: 4,
      look: true,
    },
    times: Limits.times(1),
    version: "0",
    debugMode: false,
    decoder,
  };
});
afterAll(async () => {
  decoder.end();
  await Promise.all([database.close(), s3.close(), model.close()]);
});

let count = 0;
async function timed(keyId: string, width: number): Promise<{ ms: number; outcome: unknown }> {
  const startedAt = performance.now();
  count += 1;
  const caller: Parameters<typeof extract>[2] = {
    principal: { keyId, role: "client", scopes: ["extract:run"], limits: noLimits },
    headerId: { value: `r-${count}`, given: true },
    idempotencyKey: undefined,
    patience: { waitMs: undefined, refuseWhenAway: false },
    deadline: Date.now() + 25_000,
    log: TestBucket.silent,
  };
  const image_base64 = png({ width, height: 32 }).toString("base64");
  const outcome = await extract(services, { task_id: "receipt_fields_v1", image_base64 }, caller).then(
    ({ kind }) => kind,
    (error: unknown) => error,
  );
  return { ms: performance.now() - startedAt, outcome };
}

// Repeated on a busy machine, because tenths of a second are measured.
test("a picture at which the decoder hangs fails for its own key, and does not affect the next key's call", {
  retry: 2,
}, async () => {
  const usual: number[] = [];
  for (let i = 0; i < 3; i += 1) usual.push((await timed("good", 100 + i)).ms);
  const slow = await timed("bad", Hanging.widths.hangs);
  expect(slow.outcome).toMatchObject({
    code: "invalid_image",
    retry: false,
    details: { reason: "decoding_took_too_long", artifact_rel: expect.stringContaining("extracts/") },
  });
  const after = await timed("good", 200);
  expect(after.outcome).toBe("done");
  // The start of the decoder's process takes longer, and must not be part of the time.
  expect(after.ms).toBeLessThan(1.2 * Math.max(...usual.slice(1)));
});
