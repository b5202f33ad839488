import * as z from "zod";
import * as Bucket from "#core/artifact/bucket";
import * as Database from "#core/db/client";
import * as Extraction from "#core/extraction/extraction";
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
};

export const handler = api(operations);
