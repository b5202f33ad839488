import * as z from "zod";
import { batches } from "#spec/limits";

/* The parts of requests and answers about runs on auto, whose slots are found while they run. */

const { maxConcurrency } = batches;
const width = `must be a whole number from 1 to ${maxConcurrency}, or auto`;

/** One message for both forms: zod's own would name neither of them. */
export const Concurrency = z
  .union([z.int().min(1, width).max(maxConcurrency, width), z.literal("auto")], {
    error: ({ input }) => {
      if (input === null) return `${width}, not null: leave it out instead`;
      const isNumber = typeof input === "string" && /^\d+$/.test(input);
      return isNumber ? `${width}, not text: leave out the quotes` : width;
    },
  })
  .meta({
    description:
      "The most items of the run that are at the model server at once. `auto`: as many as bring more throughput, found while the run goes on; requests of others at the server count as load.",
  });

export const AutoConcurrency = z
  .object({
    mode: z.literal("auto"),
    now: z
      .int()
      .meta({ description: "The current slots: at most this many items are at the model server at once." }),
    most: z.int().meta({ description: "The most that it may get." }),
  })
  .meta({ id: "AutoConcurrency", description: "For a run that was made with `auto`." });

/** The reason for the number of slots. */
const reasons = [
  "start",
  "growing",
  "knee",
  "probing",
  "rate_fell",
  "server_full",
  "others",
  "limit",
] as const;
export type Reason = (typeof reasons)[number];

/** Why a run on auto has the slots that it has. */
export const Why = z
  .object({
    reason: z.enum(reasons).meta({
      description:
        "`start`: nothing was measured yet; `growing`: more slots brought more throughput; `knee`: more would bring nothing; `probing`: another number is tried for a moment; `rate_fell`: the server became slower; `server_full`: requests wait at the server; `others`: other requests use a part of the server; `limit`: it is the most that is allowed.",
    }),
    since: z.iso.datetime(),
    calls_per_minute: z.int().nullable().meta({
      description:
        "Answers of the model a minute, of all runs on auto together; null before it was measured.",
    }),
    others: z.int().nullable().meta({
      description: "Requests of others at the server; null if the server does not report it (`/metrics`).",
    }),
  })
  .meta({ id: "SlotsWhy" });
export type Why = z.output<typeof Why>;
