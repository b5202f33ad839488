import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as RulesVersion from "#core/canonical/rules-version";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import { perform } from "#core/reading/reading";
import type { Artifact } from "#core/reading/schema";
import * as Override from "#core/task/override";
import * as Task from "#core/task/task";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";
import { fields } from "#test/support/privacy";
import * as TestBucket from "#test/support/test-bucket";
import { differences } from "./difference.ts";
import { replay } from "./replay.ts";

let model: ModelServer.ModelServer;
beforeAll(async () => {
  model = await ModelServer.start({ maxModelLen: 8192 });
});
afterAll(() => model.close());

/** The artifact of a real call to a scripted server, as it would be read from the bucket. */
async function artifactOf(
  behavior: ModelServer.Behavior,
  { taskId = "receipt_fields_v1", debug }: { taskId?: string; debug?: Override.Debug } = {},
): Promise<Artifact> {
  model.respond = () => behavior;
  const known = Task.get(taskId);
  if (known === undefined) throw new Error("no such task");
  const { task, validate } = await Override.override(known, debug);
  const server: Config.Model = {
    ...{ baseUrl: model.url, apiKey: undefined, model: "scripted-model", maxImages: 4, look: true },
    ...{ connectTimeoutMs: 500, readTimeoutMs: 2_000, maxModelLen: 8192, maxTokens: undefined },
  };
  const createdAt = new Date("2026-11-23T10:00:00Z");
  const { error, answer, timingsMs, record } = await perform(server, {
    ...{ task, validate, debug, createdAt, requestId: "r-1", log: TestBucket.silent },
    pages: [1],
    document: await Document.open(await picture(1, "png")),
    deadline: Date.now() + 10_000,
    signal: new AbortController().signal,
  });
  const artifact = {
    ...{ request_id: "r-1", task_id: taskId, created_at: createdAt.toISOString(), ...answer, ...record },
    status: error === undefined ? "succeeded" : "failed",
    ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
    timings_ms: { total: 1, ...timingsMs },
    ...{ artifact_rel: null, payload_hash: "", input: null, code_version: "0.0.9", rules_version: "older" },
    principal: { key_id: "k", role: "client" },
  } as Artifact;
  return JSON.parse(JSON.stringify(artifact)) as Artifact;
}

const receipt = {
  merchant: "Bäckerei Krume",
  date: "23.11.26",
  currency: null,
  items: [{ name: "Brot", quantity: "2", unit_price: "3,50", amount: "7,00" }],
  total: "7,10",
};
const truncated = `{"merchant":"Krume","items":[{"name":"Brot","amount":"3,50"},{"name":"Bre`;

const answers: [string, ModelServer.Behavior, Parameters<typeof artifactOf>[1]?][] = [
  ["one object", ModelServer.json(fields)],
  ["a receipt with sums that do not add up", ModelServer.json(receipt), { taskId: "receipt_v1" }],
  ["one that breaks its schema", ModelServer.json({ total: 12, tip: "1" })],
  [
    "one in a fence, with a number that JavaScript would change",
    ModelServer.text('```json\n{"total":12345678901234567890}\n```'),
  ],
  ["thinking in front of it", ModelServer.text(`<think>{"total":"1"} or?</think>{"total":"2"}`)],
  [
    "one of the caller's own schema",
    ModelServer.json({ a: "x", b: 1 }),
    {
      debug: {
        schema_override: {
          type: "object",
          properties: { a: { type: "string" }, b: { type: "string" } },
          required: ["a", "b"],
          additionalProperties: false,
        },
      },
    },
  ],
  ["no object", ModelServer.text("I cannot read this.")],
  ["two objects", ModelServer.text('{"total":"1"} {"total":"2"}')],
  ["one that did not fit", ModelServer.text(truncated, { finishReason: "length" }), { taskId: "receipt_v1" }],
];

describe("a replay gives, byte for byte, what is stored", () => {
  for (const [name, behavior, options] of answers)
    test(name, async () => {
      const artifact = await artifactOf(behavior, options);
      expect(artifact.raw_model_text).not.toBeNull();
      expect(await replay(artifact, "0.1.0")).toEqual({
        ...{ request_id: "r-1", task_id: artifact.task_id, outcome: "same", reason: null },
        ...{ differences: [], more: 0, code_version: { stored: "0.0.9", now: "0.1.0" } },
        rules_version: { stored: "older", now: RulesVersion.version },
        ...{ prompt_changed: false, schema_changed: false },
      });
    });
});

test("every part that was altered, or written by other rules, is named with both values", async () => {
  const artifact = await artifactOf(ModelServer.json(receipt), { taskId: "receipt_v1" });
  const altered = structuredClone(artifact);
  if (altered.result === null) throw new Error("no result");
  altered.result.total = "7,01";
  altered.normalized["items[].amount"] = { value: "8" } as never;
  altered.schema_ok = !altered.schema_ok;
  altered.checks.push({ id: "made_up" } as never);
  const { outcome, differences: found } = await replay(altered, "0.1.0");
  expect(outcome).toBe("differs");
  expect(found).toContainEqual({ path: "result.total", stored: "7,01", now: "7,10" });
  expect(found).toContainEqual({ path: "schema_ok", stored: altered.schema_ok, now: artifact.schema_ok });
  for (const part of ["normalized", "checks"])
    expect(
      found.some(({ path }) => path.startsWith(part)),
      part,
    ).toBe(true);
});

test("a text that is altered changes what follows from it", async () => {
  const artifact = await artifactOf(ModelServer.json(fields));
  const text = (artifact.raw_model_text ?? "").replace(/"total":\s*"[^"]*"/, '"total":"1.00"');
  const { differences: found } = await replay({ ...artifact, raw_model_text: text }, "0.1.0");
  expect(found[0]).toMatchObject({ path: "result.total", now: "1.00" });
});

test("an artifact that cannot be replayed has a reason", async () => {
  const artifact = await artifactOf(ModelServer.json(fields));
  const reasons = [
    await replay({ ...artifact, task_id: "receipt_v0" }, "1"),
    await replay({ ...artifact, raw_model_text: null }, "1"),
  ];
  expect(reasons.map(({ outcome, reason }) => [outcome, reason])).toEqual([
    ["not_replayable", "unknown_task"],
    ["not_replayable", "no_raw_text"],
  ]);
});

test("an attempt that the server ended early has no answer, although its text contains an object", async () => {
  const artifact = await artifactOf(ModelServer.json(fields));
  const broken: Artifact = {
    ...{
      ...artifact,
      status: "failed",
      result: null,
      schema_ok: null,
      schema_errors: [],
      normalized: {},
      checks: [],
    },
    error: { code: "inference_timeout", message: "" },
  };
  expect((await replay(broken, "1")).outcome).toBe("same");
});

test("another prompt or schema of the task is reported, and is not a difference by itself", async () => {
  const artifact = await artifactOf(ModelServer.json(fields));
  expect(await replay({ ...artifact, prompt_sha256: "0", schema_sha256: "0" }, "1")).toMatchObject({
    ...{ outcome: "same", prompt_changed: true, schema_changed: true },
  });
});

test("differences are leaves; a different order of members is a difference of their object", () => {
  expect(differences({ a: [1, { b: 2 }] }, { a: [1, { b: 3 }, 4] })).toEqual([
    { path: "a.1.b", stored: 2, now: 3 },
    { path: "a.2", now: 4 },
  ]);
  expect(differences({ x: { a: 1, b: 2 } }, { x: { b: 2, a: 1 } })).toEqual([
    { path: "x", stored: { a: 1, b: 2 }, now: { b: 2, a: 1 } },
  ]);
  expect(differences([], {})).toEqual([{ path: "", stored: [], now: {} }]);
});
