import * as z from "zod";
import { Run } from "#core/run/schema";

/** What a webhook's receiver is sent (deliver.ts): the body of the Standard Webhooks scheme. */
export const RunEnded = z
  .object({
    type: z.enum(["run.succeeded", "run.failed", "run.canceled"]),
    timestamp: z.iso.datetime().meta({ description: "When the run ended." }),
    data: Run,
  })
  .meta({ id: "RunEnded", description: "A run has ended." });
export type RunEnded = z.output<typeof RunEnded>;
