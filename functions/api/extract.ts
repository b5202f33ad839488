import * as z from "zod";
import { invalidRequest } from "#core/error";
import * as Extraction from "#core/extraction/extraction";
import { Extract, ExtractRequest, Running } from "#core/extraction/schema";
import { api, operation } from "#functions/http";
import { answer } from "#functions/extract-reply";
import { services } from "#functions/services";

const IdempotencyKey = z.string().regex(/^[\x21-\x7e]{1,255}$/);

export const operations = {
  "POST /v1/extract": operation({
    summary: "Read one picture",
    body: ExtractRequest,
    responses: {
      200: { description: "The extract", schema: Extract },
      202: { description: "Somebody is working on this id already", schema: Running },
    },
    run: async ({ body, call }) => {
      const idempotencyKey = call.headers["idempotency-key"];
      if (idempotencyKey !== undefined && !IdempotencyKey.safeParse(idempotencyKey).success) {
        throw invalidRequest([{ path: "Idempotency-Key", message: "1 to 255 printable ASCII characters" }]);
      }
      const outcome = await Extraction.extract(services(), body, {
        principal: call.principal,
        headerId: { value: call.requestId, given: call.requestIdGiven },
        idempotencyKey,
        deadline: call.deadline,
        log: call.log,
      });
      return answer(outcome);
    },
  }),
};

export const handler = api(operations);
