import { describe, expect, test } from "vitest";
import { type ItemRow, type RunRow, type State, states } from "#core/run/run.sql";
import { Item, Run } from "#core/run/schema";
import * as Serialize from "#core/run/serialize";

const at = (seconds: number) => new Date(Date.UTC(2026, 10, 23, 12, 0, seconds));
const row: RunRow = {
  runUid: "uid",
  keyId: "alice",
  runId: "a.b-1",
  taskId: "receipt_v1",
  payloadHash: "hash",
  principalRole: "client",
  allKeys: false,
  state: "running",
  epoch: 5,
  planN: 2,
  ...{ slots: null, slotsWhy: null, lookedAt: null },
  concurrency: 4,
  source: "rerun",
  sourceRunId: "a",
  skipped: null,
  evaluateBy: null,
  persistInputs: true,
  look: null,
  maxPages: null,
  split: null,
  webhookUrl: null,
  expiresAfterS: null,
  webhook: null,
  waitingFor: "model_server",
  total: 10,
  succeeded: 3,
  failed: 1,
  canceled: 1,
  schemaOk: 2,
  schemaFailed: 1,
  warned: 1,
  pages: 9,
  documents: 11,
  types: { "application/pdf": 3 },
  promptTokens: 100,
  completionTokens: 20,
  modelCalls: 5,
  modelMs: 900,
  createdAt: at(0),
  startedAt: at(2),
  finishedAt: null,
  touchedAt: at(3),
  planning: null,
  finishing: null,
  errorCode: null,
  errorMessage: null,
  errorDetails: null,
  artifactRel: null,
  lookAgainAt: null,
};
const of = (changes: Partial<RunRow>, running = 0) => Serialize.run({ ...row, ...changes }, running);

describe("the answer about a run", () => {
  test("counts items as queued that neither run nor have ended, and holds no secret", () => {
    const answer = of({}, 2);
    expect(Run.strict().parse(answer)).toMatchObject({
      counts: {
        total: 10,
        queued: 3,
        running: 2,
        succeeded: 3,
        failed: 1,
        canceled: 1,
        pages: 9,
        documents: 11,
      },
      types: { "application/pdf": 3 },
      timings_ms: { total: null, planning: 2_000, inference: 900 },
      usage: { prompt_tokens: 100, completion_tokens: 20, attempts: 5 },
      waiting_for: "model_server",
      poll_url: "/v1/runs/a.b-1",
      with_warnings: 1,
      skipped: null,
      webhook: null,
      eval: null,
    });
    expect(JSON.stringify(answer)).not.toMatch(/uid|hash/);
    // Another key's run is found under that key.
    expect(Serialize.run(row, 0, "admin").poll_url).toBe("/v1/runs/a.b-1?key_id=alice");
    // The items were read a moment after the run.
    expect(of({}, 7).counts.queued).toBe(0);
  });

  test("has only the states of the contract", () => {
    const shown = Object.fromEntries(states.map((state: State) => [state, of({ state }).status]));
    expect(shown).toMatchObject({ canceling: "finishing", finishing: "finishing", deleting: "deleting" });
    for (const state of ["planning", "running", "succeeded", "failed", "canceled"])
      expect(shown[state]).toBe(state);
  });

  test("has the reason of a failure, and the state of its webhook", () => {
    const attempt = { at: at(9).toISOString(), ok: false, status: 500, error: null, duration_ms: 3 };
    const answer = of({
      state: "failed",
      finishedAt: at(7),
      errorCode: "invalid_request",
      errorMessage: "wrong",
      errorDetails: { issues: [] },
      webhookUrl: "https://example.com/?token=secret",
      webhook: [attempt],
    });
    expect(answer).toMatchObject({
      timings_ms: { total: 7_000 },
      error: { code: "invalid_request", message: "wrong", details: { issues: [] } },
      webhook: { delivered: false, attempts: [attempt] },
    });
    expect(JSON.stringify(answer)).not.toContain("secret");
    expect(of({ webhookUrl: "https://example.com/" }).webhook).toEqual({ delivered: false, attempts: [] });
    expect(
      of({ webhookUrl: "https://example.com/", webhook: [attempt, { ...attempt, ok: true }] }).webhook,
    ).toMatchObject({ delivered: true });
  });
});

const item: ItemRow = {
  runUid: "uid",
  index: 7,
  customId: "c",
  file: null,
  tags: { store: "12" },
  pages: null,
  split: null,
  sourceKind: "url",
  objectKey: null,
  etag: null,
  url: "https://example.com/?signature=secret",
  declaredMimeType: null,
  kept: false,
  status: "succeeded",
  sentEpoch: 5,
  sendSeq: 0,
  slot: 1,
  token: 1,
  leaseUntil: null,
  notBefore: null,
  attempts: 1,
  claims: 1,
  callsCounted: 0,
  suspects: 0,
  buried: 0,
  pendingArtifact: null,
  pagesRead: 2,
  artifactRel: "extracts/2026-11-23/alice/a.b-1~7.json",
  result: '{"total":"1,00"}',
  schemaOk: true,
  warnings: [{ code: "pages_not_read", read: 1, of: 2 }],
  assessment: { quality: { ok: true, reasons: [] } },
  errorCode: null,
  errorMessage: null,
  errorDetails: null,
  promptTokens: 1,
  completionTokens: 2,
  modelCalls: 3,
  totalMs: 4,
  imageMs: 5,
  inferenceMs: 6,
  validateMs: 7,
  endedAt: at(5),
};

test("the answer about an item has its result as it was, and its id within the run", () => {
  const answer = Serialize.item(row, item);
  expect(Item.strict().parse(answer)).toMatchObject({
    index: 7,
    request_id: "a.b-1~7",
    pages: 2,
    result: { total: "1,00" },
    warnings: [{ code: "pages_not_read", read: 1, of: 2 }],
    error: null,
    timings_ms: { total: 4, image: 5, inference: 6, validate: 7 },
    usage: { prompt_tokens: 1, completion_tokens: 2, attempts: 3 },
  });
  expect(JSON.stringify(answer)).not.toContain("secret");
  const failed = { ...item, status: "failed" as const, result: null, errorCode: "invalid_image" as const };
  expect(Serialize.item(row, { ...item, warnings: null }).warnings).toEqual([]);
  expect(Serialize.item(row, { ...failed, errorMessage: "not a picture" })).toMatchObject({
    result: null,
    error: { code: "invalid_image", message: "not a picture" },
  });
});
