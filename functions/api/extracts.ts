import * as z from "zod";
import * as Bucket from "#core/artifact/bucket";
import * as Database from "#core/db/client";
import * as Extraction from "#core/extraction/extraction";
import * as Remove from "#core/extraction/remove";
import { Extract, Running } from "#core/extraction/schema";
import { answer } from "#functions/extract-reply";
import { api, operation } from "#functions/http";

export const operations = {
  "GET /v1/extracts/{request_id}": operation({
    summary: "An extract as stored",
    params: z.object({ request_id: z.string() }),
    query: z.strictObject({
      key_id: z
        .string()
        .optional()
        .meta({ description: "Another key's extract; with the scope `admin:all_keys` only." }),
    }),
    responses: {
      200: { description: "The extract; `status` failed has an `error`", schema: Extract },
      202: { description: "It is running", schema: Running },
    },
    run: async ({ params, query, call }) => {
      const outcome = await Extraction.get(
        { db: Database.connect(), bucket: Bucket.connect() },
        { requestId: params.request_id, keyId: query.key_id, principal: call.principal, log: call.log },
      );
      return answer(outcome.kind === "done" ? { ...outcome, replayed: false } : outcome);
    },
  }),
  "DELETE /v1/extracts/{request_id}": operation({
    summary: "Delete an extract",
    description:
      "Removes its artifact, the records of its attempts and the copy of its picture where one was kept for the queue; one that waits in line is not read any more. The id stays taken: the same call again is 409. An upload that it was read from stays (`DELETE /v1/uploads/{ref}`). An item of a run is 409: delete the run.",
    params: z.object({ request_id: z.string() }),
    query: z.strictObject({
      key_id: z
        .string()
        .optional()
        .meta({ description: "Another key's extract; with the scope `admin:all_keys` only." }),
    }),
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
