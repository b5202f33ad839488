import * as z from "zod";
import * as Work from "#core/run/item/work";
import { withDecoder } from "#functions/decoder";
import { patientRun } from "#functions/services";
import { worker } from "#functions/worker";

const Message = z.object({
  run_uid: z.string(),
  epoch: z.int(),
  index: z.int(),
  seq: z.int(),
  slot: z.int(),
  picture: z.object({ key: z.string(), etag: z.string().nullable() }).optional(),
  again: z.literal(true).optional(),
});

/**
 * One picture of a run; a slot of the run is a message group, so `concurrency` of them run at a time. The claim
 * does not wait for the visibility: a slot that waits is a GPU that waits.
 */
export const handler = withDecoder(
  worker(
    "item",
    async ({ body, log, ...job }) => {
      const message = Message.parse(body);
      const ids = { run_uid: message.run_uid, index: message.index };
      return Work.work(patientRun(), message, job, log.child(ids));
    },
    { holdBeside: true, renews: true },
  ),
);
