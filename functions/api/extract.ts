import * as z from "zod";
import * as Config from "#core/config";
import { invalidRequest } from "#core/error";
import * as Extraction from "#core/extraction/extraction";
import { Extract, ExtractRequest, Running } from "#core/extraction/schema";
import { answer } from "#functions/extract-reply";
import { api, operation } from "#functions/http";
import { services } from "#functions/services";

const IdempotencyKey = z.string().regex(/^[\x21-\x7e]{1,255}$/);

/**
 * `Prefer` (RFC 7240): `respond-async` waits not at all, `wait=N` N seconds; what is not understood is ignored, as
 * the RFC asks.
 */
function patienceOf(prefer: string | undefined, timeScale: number): Extraction.Patience {
  const parts = (prefer ?? "").split(",").map((part) => part.trim().toLowerCase());
  const seconds = parts
    .map((part) => /^wait\s*=\s*"?(\d{1,4})"?$/.exec(part)?.[1])
    .find((value) => value !== undefined);
  if (seconds !== undefined)
    return { waitMs: Number(seconds) * 1000 * timeScale, refuseWhenAway: Number(seconds) === 0 };
  return { waitMs: parts.includes("respond-async") ? 0 : undefined, refuseWhenAway: false };
}

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
        patience: patienceOf(call.headers.prefer, Config.app().timeScale),
        deadline: call.deadline,
        log: call.log,
      });
      return answer(outcome);
    },
  }),
};

export const handler = api(operations);
