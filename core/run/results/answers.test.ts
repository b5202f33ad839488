import { expect, test } from "vitest";
import { type Artifact, askedNobody } from "#core/reading/schema";
import * as Task from "#core/task/task";
import * as Answers from "./answers.ts";
import type { Row } from "./document.ts";

const run = { runId: "r", taskId: "receipt_fields_v1", createdAt: new Date("2026-11-23T12:00:00Z") };
const result = {
  ...{ total: "RM 12.50", subtotal: "RM 10.00", tax: "RM 2.50", service: null },
  ...{ discount: null, cash: "RM 20.00", card: null, change: "RM 7.00" },
};
const row = {
  ...{ index: 3, customId: null, file: "a.png", status: "succeeded", artifactRel: "extracts/a.json" },
  ...{ result: JSON.stringify(result), schemaOk: true, warnings: null, attempts: 1, modelCalls: 1 },
  ...{ errorCode: null, errorMessage: null, errorDetails: null, promptTokens: 1, completionTokens: 1 },
  ...{ totalMs: 1, imageMs: 1, inferenceMs: 1, validateMs: 1 },
} as unknown as Row;
const artifact = {
  ...askedNobody,
  ...{ request_id: "r~3", result, schema_ok: true, model: "m-1", prompt_sha256: "p", schema_sha256: "s" },
  ...{ image_sha256: "i", normalized: { total: { value: "99", currency: null } }, checks: [] },
} as unknown as Artifact;

test("a list computes from the row's result the same values as a single extract has", async () => {
  const item = await Answers.recomputed(run, row);
  expect(item.normalized?.total).toEqual({
    ...{ value: "12.5", currency: "MYR", decimals: 2, currency_source: "printed" },
  });
  expect(item.checks?.map(({ id, ok }) => [id, ok])).toEqual([
    ["total_is_sum_of_parts", true],
    ["cash_minus_total_is_change", false],
  ]);
  expect(item.schema_errors).toEqual([]);
  const task = Task.get(run.taskId);
  expect(item).toMatchObject({ prompt_sha256: task?.promptSha256, schema_sha256: task?.schemaSha256 });
  expect(item).toMatchObject({ model: null, image_sha256: null });
});

test("a result that breaks its schema has the errors with their paths", async () => {
  const broken = { ...row, result: '{"total":"a lot"}', schemaOk: false } as Row;
  const item = await Answers.recomputed(run, broken);
  expect(item.schema_errors?.map(({ path }) => path)).toContain("total");
  expect(item.normalized).toEqual({});
});

test("values that a list does not have are null, and empty lists are empty", async () => {
  const unknown = { schema_errors: null, normalized: null, checks: null };
  expect(await Answers.recomputed(run, { ...row, result: null })).toMatchObject(unknown);
  expect(await Answers.recomputed({ ...run, taskId: "gone_v1" }, row)).toMatchObject(unknown);
  // Only the artifact says which list is incomplete.
  const cut = { ...row, status: "failed", errorCode: "answer_too_long" } as Row;
  expect(await Answers.recomputed(run, cut)).toMatchObject({
    ...{ schema_errors: [], checks: null, normalized: { total: { value: "12.5" } } },
  });
  const nothing = { schema_errors: [], normalized: {}, checks: [], prompt_sha256: null, schema_sha256: null };
  for (const status of ["queued", "running", "canceled"] as const)
    expect(await Answers.recomputed(run, { ...row, status, result: null, modelCalls: 0 })).toMatchObject(
      nothing,
    );
  const failed = { ...row, status: "failed", errorCode: "invalid_image", result: null, modelCalls: 0 } as Row;
  expect(await Answers.recomputed(run, failed)).toMatchObject(nothing);
});

test("results have the values of the artifact, and compute only fields that are newer than it", async () => {
  expect(await Answers.of(run, row, artifact)).toMatchObject({
    ...{ model: "m-1", prompt_sha256: "p", schema_sha256: "s", image_sha256: "i" },
    ...{ normalized: { total: { value: "99", currency: null } }, checks: [], schema_errors: [] },
  });
  const embedded = { syntax: "cii", profile: null, lines: 0, sums: [] } as unknown as Artifact["embedded"];
  expect(await Answers.of(run, row, { ...artifact, embedded })).toMatchObject({ embedded });
  // Null means that the picture was not looked at; answers from before there was a look do not have the field.
  const quality = { ok: false, reasons: ["dark" as const] };
  expect(await Answers.of(run, row, { ...artifact, quality })).toMatchObject({ quality });
  expect(await Answers.of(run, row, { ...artifact, quality: null })).toMatchObject({ quality: null });
  expect(await Answers.of(run, row, artifact)).not.toHaveProperty("quality");
  const { checks, model, image_sha256, ...older } = artifact;
  const item = await Answers.of(run, row, older as Artifact);
  expect(item).toMatchObject({ model: null, image_sha256: null, normalized: { total: { value: "99" } } });
  expect(item.checks?.filter(({ ok }) => !ok).map(({ id }) => id)).toEqual(["cash_minus_total_is_change"]);
});
