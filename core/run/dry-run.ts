import * as z from "zod";
import { Skipped } from "./skipped.ts";

/** The answer of a dry run. */
export const DryRun = z
  .object({
    dry_run: z.literal(true),
    is_known: z.boolean().meta({
      description: "True if an earlier call made this run already: the call would answer with that run.",
    }),
    items: z.int().nullable().meta({
      description:
        "How many items the run would have; null without a source, and for a source that is too large to be checked within the call.",
    }),
    skipped: Skipped.nullable().meta({ description: "As in a run of `images_dir`; null for other sources." }),
    labels: z
      .object({
        gt_id: z.string().nullable().meta({ description: "Null for a `gt_path`." }),
        name: z.string().nullable(),
        records: z.int().nullable().meta({
          description: "Null if there are too many to read all within the call.",
        }),
      })
      .nullable()
      .meta({ description: "Null without `gt_id` and `gt_path`." }),
  })
  .meta({ id: "DryRun" });
export type DryRun = z.output<typeof DryRun>;
