import * as z from "zod";
import { reasons } from "./reasons.ts";

export const Rows = z
  .object({
    returned: z.int().meta({ description: "Rows in `result`." }),
    printed: z.int().nullable().meta({
      description:
        "The number of items that is printed (`ITEMS 12`, `Anzahl Artikel: 12`), by the text layer of a PDF; it may count pieces or rows.",
    }),
    seen: z.int().nullable().meta({
      description:
        "Printed lines that end in the column of amounts, including sums and payments: by a PDF's text layer, else by the look, which counts too few rather than too many. Null without both.",
    }),
    reason: z.enum(reasons).meta({
      description:
        "`adds_up`, `sum_differs`: the rows and the printed sum; `count_matches`, `count_differs`: the printed number; `rows_seen`: there are many more lines with amounts; `parts_unclear`: the rows of two parts of long paper could not be matched.",
    }),
  })
  .meta({ id: "Rows", description: "What was compared to tell whether rows are missing." });
export type Rows = z.output<typeof Rows>;
