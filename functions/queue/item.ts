import * as Bucket from "#core/bucket/bucket";
import { ItemMessage } from "#core/run/dispatch/window";
import * as Work from "#core/run/item/work";
import { services } from "#functions/services";
import { warmed } from "#functions/warm";
import { worker } from "#functions/worker";

/**
 * One picture of a run. A slot of the run is a message group, so `concurrency` pictures are read at a time. The claim
 * does not wait until the visibility is set: a waiting slot leaves the GPU idle.
 */
export const handler = warmed(
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
