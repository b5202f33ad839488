/** Calls that must not be repeated: thinking that uses up the answer's tokens, and a schema that the model server refuses. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Batches, open } from "#test/support/batches/batches";
import type { Answer } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";

let all: Batches;

beforeAll(async () => {
  all = await open({ env: { DEBUG_MODE: "1" } });
});
afterAll(async () => {
  await all?.close();
});

const thought = "Is {total} 12.00? Let me look again.";
const thinking = ModelServer.text("", {
  thinking: { field: "reasoning", text: thought },
  finishReason: "length",
});
const errorOf = ({ body }: Answer) =>
  (body as { error: { code: string; details?: Record<string, unknown> } }).error;
const extract = async (id: string, more: { headers?: Record<string, string>; debug?: unknown } = {}) =>
  all.loop.call("/v1/extract", {
    json: {
      image_base64: await base64(id.length),
      request_id: id,
      ...(more.debug === undefined ? {} : { debug: more.debug }),
    },
    ...(more.headers === undefined ? {} : { headers: more.headers }),
  });
/** The calls that the model server gets meanwhile. */
async function calls<T>(work: () => Promise<T>): Promise<{ calls: number; value: T }> {
  const before = all.model.requests.length;
  const value = await work();
  return { calls: all.model.requests.length - before, value };
}

test("a call whose answer was all thinking fails after one call, with a reason, and is not repeated", async () => {
  all.model.respond = () => thinking;
  const first = await calls(() => extract("think"));
  expect([first.calls, first.value.status]).toEqual([1, 502]);
  expect(errorOf(first.value)).toMatchObject({
    code: "invalid_model_output",
    message: expect.stringContaining("switch thinking off"),
    details: { reason: "model_thinks", artifact_rel: expect.stringContaining("extracts/") },
  });
  const second = await calls(() => extract("think"));
  expect([second.calls, second.value.status]).toEqual([0, 502]);
  expect(errorOf(second.value).details).toEqual(errorOf(first.value).details);
  const stored = await all.loop.call("/v1/extracts/think");
  expect(stored.body).toMatchObject({
    status: "failed",
    error: { code: "invalid_model_output", details: { reason: "model_thinks" } },
    usage: { attempts: 1 },
  });
  const artifact = await all.loop.call("/v1/debug/artifacts/think");
  expect(artifact.body).toMatchObject({ raw_model_text: thought, finish_reason: "length" });
});

test("such a call is not repeated in the queue either", async () => {
  all.model.respond = () => thinking;
  const queued = await calls(async () => {
    expect((await extract("queued", { headers: { prefer: "respond-async" } })).status).toBe(202);
    await expect
      .poll(async () => (await all.loop.call("/v1/extracts/queued")).status, { timeout: 15_000 })
      .toBe(200);
    return all.loop.call("/v1/extracts/queued");
  });
  expect(queued.calls).toBe(1);
  expect(queued.value.body).toMatchObject({
    status: "failed",
    error: { code: "invalid_model_output", details: { reason: "model_thinks" } },
  });
});

test("the items of a run are not repeated either", async () => {
  all.model.respond = () => thinking;
  const run = await calls(async () => {
    const { run_id } = await all.create({ keys: await all.keys(2) });
    await all.ended(run_id);
    return all.items(run_id);
  });
  expect(run.calls).toBe(2);
  expect(run.value.map(({ status, errorCode }) => [status, errorCode])).toEqual(
    run.value.map(() => ["failed", "invalid_model_output"]),
  );
});

test("a caller's schema that passed the lint and is refused by the server is the caller's mistake, and is sent once", async () => {
  all.model.respond = () =>
    ModelServer.error(400, "The provided JSON schema contains features not supported by xgrammar.");
  const schema = {
    type: "object",
    properties: { total: { type: "string" } },
    required: ["total"],
    additionalProperties: false,
  };
  for (const expected of [1, 0]) {
    const tried = await calls(() => extract("refused", { debug: { schema_override: schema } }));
    expect([tried.calls, tried.value.status]).toEqual([expected, 400]);
    expect(errorOf(tried.value)).toMatchObject({
      code: "invalid_request",
      details: {
        reason: "schema_refused",
        issues: [{ path: "debug.schema_override", message: expect.any(String) }],
      },
    });
  }
  const own = await calls(() => extract("own-schema"));
  expect([own.calls, own.value.status, errorOf(own.value).details?.reason]).toEqual([
    1,
    502,
    "schema_refused",
  ]);
});
