import * as z from "zod";
import { reasons } from "./reasons.ts";

export const Rows = z
  .object({
    returned: z.int().meta({ description: "Rows in `result`." }),
    printed: z.int().nullable().meta({
      description:
        "What the paper itself says (`ITEMS 12`, `Anzahl Artikel: 12`), by the text layer of a PDF; pieces count or rows.",
    }),
    seen: z.int().nullable().meta({
      description:
        "Lines of print that end where amounts stand, sums and payments among them: by a PDF's text layer, else by the look, which sees rather too few. Null without both.",
    }),
    reason: z.enum(reasons).meta({
      description:
        "`adds_up`, `sum_differs`: the rows and the printed sum; `count_matches`, `count_differs`: the printed number; `rows_seen`: there are many more lines with amounts; `parts_unclear`: parts of long paper could not be laid upon each other.",
    }),
  })
  .meta({ id: "Rows", description: "What was compared to tell whether rows are missing." });
export type Rows = z.output<typeof Rows>;
