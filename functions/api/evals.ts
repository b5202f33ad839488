import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import { EvaluationDiff } from "#core/evaluation/diff/schema";
import * as Evaluation from "#core/evaluation/evaluation";
import * as Read from "#core/evaluation/read";
import * as Remove from "#core/evaluation/remove";
import * as ReportWrite from "#core/evaluation/report/write";
import * as Wire from "#core/evaluation/wire";
import * as GroundTruth from "#core/ground-truth/ground-truth";
import * as Idempotency from "#core/idempotency/idempotency";
import * as Run from "#core/run/run";
import { sha256 } from "#core/task/hash";
import { api } from "#functions/http";
import type { Call } from "#functions/request/call";
import { idempotencyKeyOf } from "#functions/request/headers";
import * as Names from "#functions/request/names";
import { operation } from "#functions/request/operation";
import * as Page from "#functions/request/page";
import { services } from "#functions/services";
import { as, SignedUrl, stored } from "#functions/stored-reply";

const params = z.object({ eval_id: Names.evalId });
const owner = z.strictObject({
  key_id: Names.keyId("Another key's evaluation; with the scope `admin:all_keys` only."),
});

const wanted = (
  { principal, log }: Call,
  evalId: string,
  keyId: string | undefined,
  action?: "delete",
): Evaluation.Wanted => ({ evalId, keyId, principal, log, action });

const running = (row: Evaluation.Row, viewer: string) => {
  const poll_url = Evaluation.pathOf(row, viewer);
  const { next, seen = 0, total } = row.progress;
  const done = Math.max(next, seen);
  return {
    status: 202,
    headers: { Location: poll_url, "Retry-After": "2" },
    body: { eval_id: row.evalId, status: "running" as const, items: { done, total }, poll_url },
  };
};

export const operations = {
  "POST /v1/evals": operation({
    summary: "Measure a run against labels",
    description:
      "Compares each item of an ended run with the ground-truth record that names its file. `docs/evaluation.md` says how values are compared and what each figure means.",
    body: Wire.Request,
    responses: { 202: { description: "It is being made", schema: Wire.Running } },
    errors: ["not_found", "conflict"],
    run: async ({ body, call }) => {
      const { db, times, queues } = services(Bucket.connect());
      const { principal, log } = call;
      const { row } = await Run.find(db, { runId: body.run_id, keyId: undefined, principal, log });
      if (row.finishedAt === null)
        throw new AppError("conflict", "the run has not ended", { details: { reason: "run_not_ended" } });
      if (row.state !== "succeeded" && row.state !== "canceled")
        throw new AppError("conflict", "the run has no results to measure", {
          details: { reason: "no_results" },
        });
      const labels = await GroundTruth.find(db, { gtId: body.gt_id, principal, log });
      const idempotencyKey = idempotencyKeyOf(call);
      const proposedId = Evaluation.newId();
      const evalId =
        idempotencyKey === undefined
          ? proposedId
          : await Idempotency.resolve(db, {
              ...{ keyId: principal.keyId, idempotencyKey, proposedId, ttlMs: times.idempotencyMs },
              payloadHash: sha256(JSON.stringify(["evaluation", body])),
            });
      const evaluation = await Evaluation.order({ db, times, queues }, log, {
        evalId,
        run: row,
        wish: {
          labels: { gt_id: labels.gtId, image_key: body.gt_image_key ?? labels.imageKey },
          groundTruth: labels,
          strMode: body.str_mode,
        },
      });
      return running(evaluation, principal.keyId);
    },
  }),

  "GET /v1/evals": operation({
    summary: "Evaluations, newest first",
    description:
      "Your evaluations. With the scope `admin:all_keys` those of all keys, or of one with `key_id`.",
    query: z.strictObject({
      run_id: z.string().min(1).max(100).optional().meta({ description: "Only those of this run." }),
      limit: Page.limit,
      cursor: Page.cursor,
      key_id: Names.keyId("Only this key's; another's with the scope `admin:all_keys` only."),
    }),
    responses: {
      200: {
        description: "A page of evaluations",
        schema: z.object({ items: z.array(Wire.Entry), next_cursor: z.string().nullable() }),
      },
    },
    run: async ({ query, call: { principal, log } }) => {
      const { db } = services(Bucket.connect());
      const { run_id: runId, key_id: keyId, limit, cursor } = query;
      const run = runId === undefined ? undefined : await Run.find(db, { runId, keyId, principal, log });
      const body = await Evaluation.list(db, {
        ...{ principal, log, keyId, limit, cursor, runUid: run?.row.runUid },
      });
      return { status: 200, body };
    },
  }),

  "GET /v1/evals/{eval_id}": operation({
    summary: "An evaluation",
    description:
      "With all figures, and addresses from which the result of each document can be fetched for a limited time, as JSON lines.",
    params,
    query: owner,
    responses: {
      200: { description: "The evaluation, succeeded or failed", schema: Read.Shown },
      202: { description: "It is being made", schema: Wire.Running },
    },
    run: async ({ params, query, call }) => {
      const { db } = services(Bucket.connect());
      const row = await Evaluation.find(db, wanted(call, params.eval_id, query.key_id));
      if (row.state === "running") return running(row, call.principal.keyId);
      return { status: 200, body: await Read.shown(Bucket.connect(), call.log, row) };
    },
  }),

  "GET /v1/evals/{eval_id}/report": operation({
    summary: "The report of an evaluation",
    description:
      "One HTML file that loads nothing: figures, slices, cost, and the worst receipts with their printed values beside the values that were read, and thumbnails of their pictures inside the file. It is made at the first request, and is removed with the evaluation.",
    params,
    query: owner.extend({
      as,
      pictures: z.enum(["0", "1"]).default("1").meta({
        description:
          "`0` leaves out the thumbnails. With `1` the worst receipts have theirs, if the run kept its inputs (`persist_inputs`).",
      }),
    }),
    responses: {
      200: { description: "With `as=url`", schema: SignedUrl },
      303: { description: "The report is at `Location`" },
    },
    errors: ["conflict"],
    run: async ({ params, query, call }) => {
      const { db, bucket } = services(Bucket.connect());
      const row = await Evaluation.find(db, wanted(call, params.eval_id, query.key_id));
      const how = { pictures: query.pictures === "1", deadline: call.deadline };
      const rel = await ReportWrite.write({ db, bucket }, call.log, row, how);
      return stored(bucket, { rel, fileName: `${row.evalId}.html`, as: query.as });
    },
  }),

  "GET /v1/evals/{eval_id}/diff/{other_id}": operation({
    summary: "What two evaluations differ in",
    description:
      "Over the documents that both have, by file or `custom_id`: the values that became right or wrong from the first to the second, field by field, and whether that can be chance. `docs/evaluation.md` says how.",
    params: params.extend({
      other_id: Names.evalId.meta({
        ...Names.evalId.meta(),
        description: "The evaluation that the first is compared with: the newer one.",
      }),
    }),
    query: owner.extend({
      values: z.enum(["canonical", "exact"]).default("canonical").meta({
        description: "Whether values are compared by their meaning, or by their printed text.",
      }),
    }),
    responses: { 200: { description: "The differences", schema: EvaluationDiff } },
    errors: ["conflict"],
    run: async ({ params, query, call }) => {
      const { db, bucket } = services(Bucket.connect());
      const { eval_id, other_id } = params;
      const rows = await Promise.all([
        Evaluation.find(db, wanted(call, eval_id, query.key_id)),
        Evaluation.find(db, { ...wanted(call, other_id, query.key_id), param: "other_id" }),
      ]);
      const { of } = await import("#core/evaluation/diff/evaluations");
      const how = { mode: query.values, deadline: call.deadline };
      return { status: 200, body: await of(bucket, call.log, rows, how) };
    },
  }),

  "DELETE /v1/evals/{eval_id}": operation({
    summary: "Delete an evaluation",
    description: "Also deletes the results of its documents. The run and the labels stay.",
    params,
    query: owner,
    responses: {
      200: { description: "It is gone", schema: z.object({ deleted: z.object({ evals: z.int() }) }) },
    },
    run: async ({ params, query, call }) => {
      const { db, bucket } = services(Bucket.connect());
      const row = await Evaluation.find(db, wanted(call, params.eval_id, query.key_id, "delete"));
      await Remove.remove({ db, bucket }, call.log, row);
      return { status: 200, body: { deleted: { evals: 1 } } };
    },
  }),
};

export const handler = api(operations);
