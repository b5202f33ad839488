import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Create from "#core/ground-truth/create";
import * as GroundTruth from "#core/ground-truth/ground-truth";
import * as Read from "#core/ground-truth/read";
import * as Remove from "#core/ground-truth/remove";
import * as Schema from "#core/ground-truth/schema";
import * as Source from "#core/ground-truth/source";
import * as Run from "#core/run/run";
import { api } from "#functions/http";
import type { Call } from "#functions/request/call";
import { checked } from "#functions/request/checked";
import * as GroundTruthBody from "#functions/request/ground-truth-body";
import { idempotencyKeyOf } from "#functions/request/headers";
import * as Names from "#functions/request/names";
import { operation, type Reply } from "#functions/request/operation";
import * as Page from "#functions/request/page";
import * as Limits from "#spec/limits";

const stores = () => ({
  db: Database.connect(),
  bucket: Bucket.connect(),
  times: Limits.times(Config.app().timeScale),
});

const params = z.object({ gt_id: Names.groundTruthId });
const owner = z.strictObject({
  key_id: Names.keyId("Another key's ground truth; with the scope `admin:all_keys` only."),
});

const responses = {
  200: {
    description: "The newest version of this name already has these labels",
    schema: Schema.Created,
  },
  201: { description: "The ground truth", schema: Schema.Created },
};

export const operations = {
  "POST /v1/ground_truths": operation({
    summary: "Store labels to measure runs against",
    description:
      'A list of records, an object with the list `items`, an object of records by their pictures\' names, or JSON lines: as `content` of a JSON body, as `file` of a form (4 MiB), or by `data_ref` from `POST /v1/uploads` (100 MiB, packed with gzip or not). A record names its picture (`file`, or `gt_image_key`) and has its labels next to it or under `fields`. A missing field is not scored; null or an empty text says that the paper does not have it; `{"any": […]}` lists the values that are correct; `"?"` says that it cannot be read. `docs/ground-truth.md` has examples. The same labels under the same name are stored once.',
    body: Schema.Request,
    bodyAs: "any",
    doors: GroundTruthBody.doors,
    responses,
    errors: ["conflict"],
    run: async ({ body, raw, call }) => {
      const { keyId } = call.principal;
      const given = GroundTruthBody.isJson(raw.contentType)
        ? await checked(Schema.Request, body)
        : await GroundTruthBody.formOf(raw);
      const { name, gt_image_key: imageKey } = given;
      const records =
        "file" in given
          ? Read.records([given.file], { imageKey })
          : given.data_ref === undefined
            ? Read.ofValue(given.content, { imageKey })
            : Source.uploaded(stores(), call.log, { ref: given.data_ref, keyId, imageKey });
      return kept(call, { name, imageKey, records });
    },
  }),

  "POST /v1/ground_truths/from_run": operation({
    summary: "Draft labels from the results of a run",
    description:
      "One record for each item of an ended run, with its result as labels: fetch it, correct it by hand, and send it again under the same name. Until it is corrected, that run scores as fully correct.",
    body: Schema.FromRunRequest,
    responses,
    errors: ["not_found", "conflict"],
    run: async ({ body, call }) => {
      const { run_id: runId, name } = body;
      const { db, bucket } = stores();
      const { principal, log } = call;
      const { row } = await Run.find(db, { runId, keyId: undefined, principal, log });
      const Draft = await import("#core/run/results/draft");
      const records = Draft.records(bucket, log, row);
      return kept(call, { name, imageKey: "file", records, fromRunId: runId });
    },
  }),

  "GET /v1/ground_truths": operation({
    summary: "Ground truths, newest first",
    description:
      "Your ground truths. With the scope `admin:all_keys` those of all keys, or of one with `key_id`.",
    query: z.strictObject({
      name: z.string().max(200).optional().meta({ description: "Only the versions of this name." }),
      limit: Page.limit,
      cursor: Page.cursor,
      key_id: Names.keyId("Only this key's; another's with the scope `admin:all_keys` only."),
    }),
    responses: {
      200: {
        description: "A page of ground truths",
        schema: z.object({ items: z.array(Schema.GroundTruth), next_cursor: z.string().nullable() }),
      },
    },
    run: async ({ query, call }) => ({
      status: 200,
      body: await GroundTruth.list(stores().db, {
        principal: call.principal,
        log: call.log,
        keyId: query.key_id,
        name: query.name,
        limit: query.limit,
        cursor: query.cursor,
      }),
    }),
  }),

  "GET /v1/ground_truths/{gt_id}": operation({
    summary: "A ground truth",
    description: "With an address from which its records can be fetched for a limited time, as JSON lines.",
    params,
    query: owner,
    responses: { 200: { description: "The ground truth", schema: Schema.WithContent } },
    run: async ({ params, query, call }) => {
      const { db, bucket } = stores();
      const row = await GroundTruth.find(db, wanted(call, params.gt_id, query.key_id));
      return { status: 200, body: await GroundTruth.withContent(bucket, row) };
    },
  }),

  "DELETE /v1/ground_truths/{gt_id}": operation({
    summary: "Delete a ground truth",
    description: "Also deletes its records. Evaluations that used it stay.",
    params,
    query: owner,
    responses: {
      200: {
        description: "It is gone",
        schema: z.object({ deleted: z.object({ ground_truths: z.int() }) }),
      },
    },
    run: async ({ params, query, call }) => {
      const { db, bucket } = stores();
      const row = await GroundTruth.find(db, wanted(call, params.gt_id, query.key_id, "delete"));
      await Remove.remove({ db, bucket }, call.log, row);
      return { status: 200, body: { deleted: { ground_truths: 1 } } };
    },
  }),
};

const wanted = (
  call: Call,
  gtId: string,
  keyId: string | undefined,
  action: "read" | "delete" = "read",
): GroundTruth.Wanted => ({ gtId, keyId, principal: call.principal, log: call.log, action });

async function kept(call: Call, given: Parameters<typeof Create.create>[2]): Promise<Reply> {
  const caller = { principal: call.principal, idempotencyKey: idempotencyKeyOf(call) };
  const { created, isNew } = await Create.create(stores(), call.log, given, caller);
  const headers = { Location: `/v1/ground_truths/${created.gt_id}` };
  return { status: isNew ? 201 : 200, body: created, headers };
}

export const handler = api(operations);
