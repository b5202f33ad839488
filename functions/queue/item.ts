import * as Bucket from "#core/bucket/bucket";
import { ItemMessage } from "#core/run/dispatch/window";
import * as Work from "#core/run/item/work";
import { withDecoder } from "#functions/decoder";
import { services } from "#functions/services";
import { worker } from "#functions/worker";

/**
 * One picture of a run; a slot of the run is a message group, so `concurrency` of them run at a time. The claim
 * does not wait for the visibility: a slot that waits is a GPU that waits.
 */
export const handler = withDecoder(
  worker(
    "item",
    async ({ body, log, ...job }) => {
      const message = ItemMessage.parse(body);
      const ids = { run_uid: message.run_uid, index: message.index };
      return Work.work(services(Bucket.patient()), log.child(ids), message, job);
    },
    { holdBeside: true, renews: true },
  ),
);
