import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import * as List from "#core/extraction/list";
import * as Remove from "#core/extraction/remove";
import { get } from "#core/lookup/extract";
import { Extract, Running } from "#core/reading/schema";
import { answer } from "#functions/extract-reply";
import { api } from "#functions/http";
import * as Names from "#functions/request/names";
import { operation } from "#functions/request/operation";
import * as Page from "#functions/request/page";

/** Selects the key that owns the extract. */
const OfKey = z.strictObject({
  key_id: Names.keyId("Another key's extract; with the scope `admin:all_keys` only."),
});

export const operations = {
  "GET /v1/extracts": operation({
    summary: "Extracts, newest first",
    description:
      "Single extracts, without their results; items of runs are in `GET /v1/runs/{run_id}/items`. With `status` or `task_id` a page may be short, or empty with a `next_cursor`: each page searches at most 1,000 extracts.",
    query: z.strictObject({
      limit: Page.limit,
      cursor: Page.cursor,
      status: z.enum(List.statuses).optional().meta({ description: "Only those with this status." }),
      task_id: z
        .string()
        .max(100)
        .optional()
        .meta({ description: "Only those of this task; an unknown task is 400." }),
      key_id: Names.keyId("Another key's extracts; with the scope `admin:all_keys` only."),
    }),
    responses: {
      200: {
        description: "A page",
        schema: z.object({ items: z.array(List.Entry), next_cursor: z.string().nullable() }),
      },
    },
    run: async ({ query: { key_id, task_id, ...query }, call }) => ({
      status: 200,
      body: await List.list(Database.connect(), {
        ...query,
        status: query.status,
        cursor: query.cursor,
        keyId: key_id,
        taskId: task_id,
        principal: call.principal,
        log: call.log,
      }),
    }),
  }),
  "GET /v1/extracts/{request_id}": operation({
    summary: "An extract as stored",
    description:
      "The answer of `POST /v1/extract`, or its state: 202 with `Retry-After` while it is queued or running. Keys with the scope `debug:read_raw` also get `raw`, the model's text. Items of runs are read here too, by `<run_id>~<index>`.",
    params: z.object({ request_id: Names.requestId }),
    query: OfKey,
    responses: {
      200: { description: "The extract; `status` failed has an `error`", schema: Extract },
      202: { description: "It is running", schema: Running },
    },
    run: async ({ params, query, call }) => {
      const outcome = await get(
        { db: Database.connect(), bucket: Bucket.connect() },
        { requestId: params.request_id, keyId: query.key_id, principal: call.principal, log: call.log },
      );
      return answer(outcome.kind === "done" ? { ...outcome, replayed: false } : outcome);
    },
  }),
  "DELETE /v1/extracts/{request_id}": operation({
    summary: "Delete an extract",
    description:
      "Removes its artifact, the records of its attempts, and the copy of its picture if one was kept for the queue. A queued extract is not read any more. The id stays in use: a repeat of the call is 409. An upload that it was read from stays (`DELETE /v1/uploads/{ref}`). An item of a run is 409: delete the run.",
    params: z.object({ request_id: Names.requestId }),
    query: OfKey,
    responses: {
      200: {
        description: "It is gone",
        schema: z.object({ deleted: z.object({ extracts: z.int(), inputs: z.int() }) }),
      },
    },
    errors: ["conflict"],
    run: async ({ params, query, call }) => ({
      status: 200,
      body: {
        deleted: await Remove.remove({ db: Database.connect(), bucket: Bucket.connect() }, call.log, {
          requestId: params.request_id,
          keyId: query.key_id,
          principal: call.principal,
        }),
      },
    }),
  }),
};

export const handler = api(operations);
