import * as z from "zod";
import * as Schema from "#core/canonical/schema";
import { Embedded } from "#core/einvoice/schema";
import { Quality } from "#core/reading/quality";
import { Rows } from "#core/reading/rows/schema";
import { type PartAnswer as Answer, Extract, StoredError, Usage } from "#core/reading/schema";
import { Warnings } from "#core/reading/warning";
import { Complete } from "./complete.ts";

const Box = z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() }).meta({
  id: "PageBox",
  description:
    "In parts of the page as it is seen (0 to 1), from its top left corner: the upright rectangle around the receipt.",
});

/** One of several documents in a file. Only the OpenAPI document has it whole: functions know its type alone. */
const PartAnswer = z
  .object({
    pages: z.array(z.int().min(1)).min(1).meta({ description: "The pages that it is on, from 1." }),
    box: Box.optional().meta({ description: "Only of a receipt that was cut out of its page." }),
    ...{ status: Extract.shape.status, result: Extract.shape.result },
    ...{ complete: Complete.optional(), rows: Rows.optional() },
    ...{ schema_ok: Extract.shape.schema_ok, schema_errors: Extract.shape.schema_errors },
    ...{ normalized: Schema.Normalized, checks: z.array(Schema.Check), warnings: Warnings },
    ...{ quality: Quality.nullable().optional(), embedded: Embedded.optional() },
    ...{ usage: Usage, error: StoredError.optional() },
  })
  .meta({
    id: "PartAnswer",
    description: "One of several documents in a file: what a single extract has of its own.",
  }) satisfies z.ZodType<Answer>;

export const PartAnswers = z.array(PartAnswer).min(2).meta({
  id: "PartAnswers",
  description:
    "With `split: auto`, where the file is several documents: an answer for each, in the order of pages and, on one page, from top to bottom and left to right. `result` is null then, `normalized`, `checks` and `schema_errors` are empty, `schema_ok` says whether all of them match; `usage` is that of all.",
});
