import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import { AppError } from "#core/error";
import * as Evaluation from "#core/evaluation/evaluation";
import * as Read from "#core/evaluation/read";
import * as Remove from "#core/evaluation/remove";
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
  const poll_url = `/v1/evals/${row.evalId}${viewer === row.keyId ? "" : `?key_id=${row.keyId}`}`;
  const { next: done, total } = row.progress;
  return {
    status: 202,
    headers: { Location: poll_url, "Retry-After": "2" },
    body: { eval_id: row.evalId, status: "running" as const, items: { done, total }, poll_url },
  };
};

export const operations = {
  "POST /v1/evals": operation({
    summary: "Measure a run by labels",
    description:
      "Holds every item of a run that has ended to the record of a ground truth that names its file. `docs/evaluation.md` says how values are compared and what each figure means.",
    body: Wire.Request,
    responses: { 202: { description: "It is being made", schema: Wire.Running } },
    errors: ["not_found", "conflict"],
    run: async ({ body, call }) => {
      const { db, times, queues } = services(Bucket.connect());
      const { principal, log } = call;
      const { row } = await Run.find(db, { runId: body.run_id, keyId: undefined, principal, log });
      if (row.state !== "succeeded" && row.state !== "canceled")
        throw new AppError("conflict", "only a run that has ended with results can be measured", {
          details: { reason: row.finishedAt === null ? "run_not_ended" : "no_results" },
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
      const evaluation = await Evaluation.order({ db, times, queues }, log, evalId, row, {
        labels: { gt_id: labels.gtId, image_key: body.gt_image_key ?? labels.imageKey },
        groundTruth: { name: labels.name, sha256: labels.sha256 },
        strMode: body.str_mode,
      });
      return running(evaluation, principal.keyId);
    },
  }),

  "GET /v1/evals": operation({
    summary: "Evaluations, newest first",
    description: "Yours. With the scope `admin:all_keys` everybody's, or with `key_id` one key's.",
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
      "With all figures, and addresses under which what became of each document can be fetched for a while, as JSON lines.",
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

  "DELETE /v1/evals/{eval_id}": operation({
    summary: "Delete an evaluation",
    description: "With what became of each document. The run and the labels stay.",
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
