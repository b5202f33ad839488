import * as z from "zod";
import * as Work from "#core/extraction/work";
import { withDecoder } from "#functions/decoder";
import { patient } from "#functions/services";
import { worker } from "#functions/worker";

const Message = z.object({ key_id: z.string(), request_id: z.string() });

/** Extracts that became asynchronous, one a message; they never wait behind a batch. */
export const handler = withDecoder(
  worker(
    "single",
    async ({ body, log, ...time }) => {
      const message = Message.parse(body);
      await Work.work(patient(), message, time, log);
    },
    { renews: true },
  ),
);
