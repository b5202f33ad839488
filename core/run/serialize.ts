import type { ItemRow, RunRow, State } from "./run.sql.ts";
import type { Item, Run } from "./schema.ts";

const statuses = {
  planning: "planning",
  running: "running",
  // Cancellation was requested, and the items in flight are left.
  canceling: "finishing",
  finishing: "finishing",
  succeeded: "succeeded",
  failed: "failed",
  canceled: "canceled",
  deleting: "deleting",
  // Never returned: callers get `not_found`.
  deleted: "deleting",
} as const satisfies Record<State, Run["status"]>;

/** The public id of a run's item, which is also part of its artifact's key. */
export function requestIdOf(run: Pick<RunRow, "runId">, index: number): string {
  return `${run.runId}~${index}`;
}

/** The number of items that have ended, with any status. */
export function endedOf(run: Pick<RunRow, "succeeded" | "failed" | "canceled">): number {
  return run.succeeded + run.failed + run.canceled;
}

/**
 * The answer about a run.
 * @param runningItems - how many of its items are `running`: the row does not count them.
 * @param viewer - the caller's key id, if it may differ from the run's; then the address names the run's key.
 */
export function run(row: RunRow, runningItems: number, viewer: string = row.keyId): Run {
  const createdAt = row.createdAt.getTime();
  return {
    run_id: row.runId,
    key_id: row.keyId,
    task_id: row.taskId,
    status: statuses[row.state],
    created_at: row.createdAt.toISOString(),
    started_at: row.startedAt?.toISOString() ?? null,
    finished_at: row.finishedAt?.toISOString() ?? null,
    concurrency:
      row.slots === null ? row.concurrency : { mode: "auto", now: row.slots, most: row.concurrency },
    slots_why: row.slotsWhy,
    max_pages: row.maxPages,
    split: row.split,
    expires_after: row.expiresAfterS,
    source: { kind: row.source, source_run_id: row.sourceRunId, persist_inputs: row.persistInputs },
    skipped: row.skipped,
    waiting_for: row.waitingFor,
    counts: {
      total: row.total,
      // The run and the count may have been read one after the other, so the difference may be below zero.
      queued: Math.max(0, row.total - endedOf(row) - runningItems),
      running: runningItems,
      succeeded: row.succeeded,
      failed: row.failed,
      canceled: row.canceled,
      pages: row.pages,
      documents: row.documents,
    },
    types: row.types ?? {},
    schema_ok: row.schemaOk,
    schema_failed: row.schemaFailed,
    with_warnings: row.warned,
    timings_ms: {
      total: row.finishedAt === null ? null : row.finishedAt.getTime() - createdAt,
      planning: row.startedAt === null ? null : row.startedAt.getTime() - createdAt,
      inference: row.modelMs,
    },
    usage: {
      prompt_tokens: row.promptTokens,
      completion_tokens: row.completionTokens,
      attempts: row.modelCalls,
    },
    cost: null,
    artifact_rel: row.artifactRel,
    eval: null,
    error: errorOf(row),
    webhook:
      row.webhookUrl === null
        ? null
        : { delivered: (row.webhook ?? []).some((attempt) => attempt.ok), attempts: row.webhook ?? [] },
    poll_url: `/v1/runs/${row.runId}${viewer === row.keyId ? "" : `?key_id=${row.keyId}`}`,
  };
}

/**
 * The answer about an item from its row: `result` is null above 16 KiB, and answers.ts adds the fields computed from
 * it.
 */
export function item(run: Pick<RunRow, "runId" | "taskId">, row: Omit<ItemRow, "pendingArtifact">): Item {
  return {
    index: row.index,
    task_id: run.taskId,
    custom_id: row.customId,
    file: row.file,
    tags: row.tags,
    status: row.status,
    request_id: requestIdOf(run, row.index),
    artifact_rel: row.artifactRel,
    result: row.result === null ? null : (JSON.parse(row.result) as Item["result"]),
    ...row.assessment,
    ...(row.errorCode === "answer_too_long" ? { complete: false as const } : {}),
    schema_ok: row.schemaOk,
    ...{ schema_errors: null, normalized: null, checks: null },
    warnings: row.warnings ?? [],
    pages: row.pagesRead,
    error: errorOf(row),
    ...{ model: null, prompt_sha256: null, schema_sha256: null, image_sha256: null },
    attempts: row.attempts,
    timings_ms: {
      total: row.totalMs,
      image: row.imageMs,
      inference: row.inferenceMs,
      validate: row.validateMs,
    },
    usage: {
      prompt_tokens: row.promptTokens,
      completion_tokens: row.completionTokens,
      attempts: row.modelCalls,
    },
  };
}

function errorOf(row: Pick<ItemRow, "errorCode" | "errorMessage" | "errorDetails">): Item["error"] {
  if (row.errorCode === null) return null;
  const details = row.errorDetails === null ? {} : { details: row.errorDetails };
  return { code: row.errorCode, message: row.errorMessage ?? "", ...details };
}
