import * as Bucket from "#core/bucket/bucket";
import { Message } from "#core/extraction/send";
import * as Work from "#core/extraction/work";
import { services } from "#functions/services";
import { warmed } from "#functions/warm";
import { worker } from "#functions/worker";

/** Extracts that were handed over, one per message; they never wait behind a batch. */
export const handler = warmed(
  worker(
    "single",
    async ({ body, log, ...job }) => {
      const message = Message.parse(body);
      await Work.work(services(Bucket.patient()), log, message, job);
    },
    { renews: true },
  ),
);
