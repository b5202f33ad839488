import * as z from "zod";
import { batches } from "#spec/limits";

/* What calls and answers say about a run whose slots are found while it runs. */

const { maxConcurrency } = batches;
const width = `must be a whole number from 1 to ${maxConcurrency}, or auto`;

/** One message for both forms: zod's own would name neither, and a whole number outside the bounds is told by its form alone. */
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
      "Never more of the run's items than this are at the model server at once. `auto`: as many as bring more throughput, found while it runs; others' requests at the server count as load.",
  });

export const AutoConcurrency = z
  .object({
    mode: z.literal("auto"),
    now: z.int().meta({ description: "The slots in force: so many items are at the model server at once." }),
    most: z.int().meta({ description: "The most that it may get." }),
  })
  .meta({ id: "AutoConcurrency", description: "Of a run that was made with `auto`." });

/** Why the number is what it is. */
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
        "`start`: nothing was measured yet; `growing`: more slots brought more; `knee`: more bring nothing; `probing`: another number is tried for a moment; `rate_fell`: the server became slower; `server_full`: requests wait at the server; `others`: other requests at the server need their part; `limit`: it is the most that is allowed.",
    }),
    since: z.iso.datetime(),
    calls_per_minute: z.int().nullable().meta({
      description:
        "Answers of the model a minute, of all runs on auto together; null before it was measured.",
    }),
    others: z.int().nullable().meta({
      description: "Requests of others at the server; null if it does not say (`/metrics`).",
    }),
  })
  .meta({ id: "SlotsWhy" });
export type Why = z.output<typeof Why>;
