import * as z from "zod";
import * as Fields from "./fields.ts";

/* What the answer says of an e-invoice that is embedded in the document. */

export const Sum = z
  .object({
    id: z.string(),
    ok: z.boolean(),
    fields: z.array(z.string()).meta({ description: "The values of `fields` that took part, by path" }),
    expected: z.string().meta({ description: "What the other values add up to" }),
    actual: z.string().meta({ description: "What the file says" }),
  })
  .meta({ id: "EmbeddedSum", description: "One sum of an embedded e-invoice, done again" });
export type Sum = z.output<typeof Sum>;

export const Embedded = z
  .object({
    syntax: z.enum(["cii", "ubl", "zugferd1", "order-x"]).meta({
      description:
        "How the XML is written: UN/CEFACT CII (ZUGFeRD 2, Factur-X, XRechnung), UBL 2, ZUGFeRD 1, Order-X",
    }),
    profile: z
      .string()
      .nullable()
      .meta({ description: "The identifier by which the file names its profile, as it is written there" }),
    fields: Fields.Fields.meta({
      description: "Exact values by the names of `invoice_v1`: plain decimals, ISO dates, ISO 4217",
    }),
    lines: z.int().meta({
      description: `How many lines the file has; \`fields.line_items\` has the first ${Fields.mostLines}`,
    }),
    sums: z.array(Sum).meta({
      description: "Its own sums, which the official rules hold only to within a unit of the currency",
    }),
  })
  .meta({
    id: "Embedded",
    description: "An e-invoice that the document carries as XML. It never replaces what the model read.",
  });
export type Embedded = z.output<typeof Embedded>;

/** A root element, and the syntax of files that begin with it. */
export interface Root {
  name: string;
  syntax: Embedded["syntax"];
}
