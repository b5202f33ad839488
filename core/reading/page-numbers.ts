import * as z from "zod";
import { documents } from "#spec/limits";

/** Which pages of a document are read. */
export const Pages = z
  .array(z.int().min(1).max(100_000))
  .min(1)
  .max(documents.queuedPages)
  .refine((pages) => new Set(pages).size === pages.length, "names a page twice")
  .meta({
    uniqueItems: true,
    description: `The pages to read, from 1, in this order; all by default. At most ${documents.callPages} in a call, ${documents.queuedPages} with \`Prefer: respond-async\` and in a batch.`,
  });

/** Whether a file may be several documents. */
export const Split = z.enum(["auto", "never"]).meta({
  description:
    "`auto`: several receipts on one picture are cut apart, and pages that begin another document are not joined; `documents` has an answer for each. Default: `never`.",
});
export type Split = z.output<typeof Split>;
