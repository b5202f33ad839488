import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import * as Extraction from "#core/extraction/extraction";
import { Extract, ExtractRequest, Running } from "#core/reading/schema";
import { answer, withPreference } from "#functions/extract-reply";
import { api } from "#functions/http";
import * as ExtractBody from "#functions/request/extract-body";
import { idempotencyKeyOf, patienceOf } from "#functions/request/headers";
import { operation } from "#functions/request/operation";
import { services } from "#functions/services";
import { warmed } from "#functions/warm";

export const operations = {
  "POST /v1/extract": operation({
    summary: "Read one picture",
    description:
      "The picture comes as `file` of a form, as the body itself, or in JSON; the other fields are those of the JSON body, as fields of the form or as query parameters. The same picture and fields sent in another of these ways are the same call. The call waits for the answer. If it cannot end within the platform's 30 s, or the model server is away, the answer is 202 with `poll_url`. `Prefer: respond-async` asks for 202 at once; `Prefer: wait=N` asks for no 202 before N seconds (at most 25), unless the model server is away. With `wait=0` the answer is 202, or 503 if the model server is away. `Preference-Applied` says what was done.",
    query: ExtractBody.ExtractQuery,
    body: ExtractRequest,
    bodyAs: "any",
    doors: ExtractBody.doors,
    responses: {
      200: { description: "The extract", schema: Extract },
      202: {
        description: "Handed over to the queue, or another call is already working on this id",
        schema: Running,
      },
    },
    // For an upload that does not exist.
    errors: ["not_found"],
    run: async ({ query, body, raw, call }) => {
      const input = await ExtractBody.read(query, body, raw);
      const patience = patienceOf(call, Config.app().timeScale);
      const outcome = await Extraction.extract(services(Bucket.connect()), input, {
        principal: call.principal,
        headerId: { value: call.requestId, given: call.requestIdGiven },
        idempotencyKey: idempotencyKeyOf(call),
        patience,
        deadline: call.deadline,
        log: call.log,
      });
      return withPreference(answer(outcome), patience, Date.now() - call.startedAt);
    },
  }),
};

/** The model server's answer may still be stored: a repeat of the call returns it. */
const outOfTime = () =>
  new AppError("inference_timeout", "there was no answer in time: send the same call again");

export const handler = warmed(api(operations, { outOfTime }));
