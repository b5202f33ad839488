import * as z from "zod";
import type { Document } from "#core/document/document";

import { reasons } from "./rows/reasons.ts";
import type { Rows } from "./rows/schema.ts";

type File = Pick<Document, "repaired" | "pages" | "frames">;

/*
 * What a caller should know about a successful answer: what was not read, or was changed. A warning never makes an
 * extract fail. To add a code, add one object to the union and one line to `told`.
 */

const PagesNotRead = z
  .object({
    code: z.literal("pages_not_read"),
    read: z.int().meta({ description: "How many pages or frames were read, from the first on." }),
    of: z.int().meta({ description: "How many the file has." }),
  })
  .meta({
    id: "PagesNotRead",
    description:
      "A picture of several frames, or several pictures in one JPEG: the first was read, the others were not.",
  });

const numbers = z.array(z.int().min(1));

const BlankPages = z
  .object({
    code: z.literal("blank_pages"),
    pages: numbers.meta({ description: "Their numbers, from 1." }),
  })
  .meta({ id: "BlankPages", description: "Pages without any print among others: they were left out." });

const PagesDisagree = z
  .object({
    code: z.literal("pages_disagree"),
    fields: z
      .array(z.string())
      .meta({ description: "Paths of the fields; the first page that has one counts." }),
  })
  .meta({ id: "PagesDisagree", description: "The head of the document differs between two pages." });

const TilesLimited = z
  .object({
    code: z.literal("tiles_limited"),
    pages: numbers.meta({ description: "Their numbers, from 1." }),
  })
  .meta({
    id: "TilesLimited",
    description: "Pages so long that print is still too small in 16 parts: send them in several pictures.",
  });

const RowsMissing = z.object({ code: z.literal("rows_missing"), reason: z.enum(reasons) }).meta({
  id: "RowsMissing",
  description:
    "Evidence on the paper says that `result` lacks rows or has too many: see `complete` and `rows`.",
});

const SeveralReceipts = z
  .object({
    code: z.literal("several_receipts"),
    found: z.int().min(2).meta({ description: "How many were found, on all pages that have several." }),
  })
  .meta({
    id: "SeveralReceipts",
    description:
      "Several receipts lie on one picture, and were read as one. With `split: auto` each is cut out and read on its own.",
  });

const EmbeddedNotRead = z
  .object({
    code: z.literal("embedded_not_read"),
    reason: z.string().meta({ description: "What is wrong with the XML, in words." }),
  })
  .meta({
    id: "EmbeddedNotRead",
    description: "The document carries an e-invoice that cannot be read; the pages were read as always.",
  });

const PdfRepaired = z.object({ code: z.literal("pdf_repaired") }).meta({
  id: "PdfRepaired",
  description: "The PDF is broken and was repaired as far as it went: something of it may be missing.",
});

const FontsMissing = z
  .object({
    code: z.literal("fonts_missing"),
    pages: numbers.meta({ description: "Their numbers, from 1." }),
  })
  .meta({
    id: "FontsMissing",
    description:
      "Pages with words where nothing is drawn, because their fonts are not in the PDF. The model got the page's text from the file beside the picture. Save it with its fonts embedded.",
  });

const FromTextLayer = z
  .object({
    code: z.literal("from_text_layer"),
    fields: z.array(z.string()).meta({ description: "Paths of the values, such as `items[0].price`." }),
  })
  .meta({
    id: "FromTextLayer",
    description:
      "Values that are only in the file's text, where the page shows nothing (`fonts_missing`): they cannot be compared with the page.",
  });

/** The closed list. Members are numbers and field paths, never values. */
export const Warning = z
  .discriminatedUnion("code", [
    PagesNotRead,
    BlankPages,
    PagesDisagree,
    TilesLimited,
    RowsMissing,
    SeveralReceipts,
    EmbeddedNotRead,
    PdfRepaired,
    FontsMissing,
    FromTextLayer,
  ])
  .meta({ id: "Warning" });
export type Warning = z.output<typeof Warning>;

/** In answers the list is always present, and may be empty. */
export const Warnings = z.array(Warning).meta({
  description: "What was not read, or was changed; empty if there is nothing to report.",
});

/** The warnings of a file: it was broken, or only one of several frames was read. */
export const ofFile = ({ repaired, pages, frames }: File): Warning[] => [
  ...(repaired ? [{ code: "pdf_repaired" as const }] : []),
  ...(pages === 1 && frames > 1 ? [{ code: "pages_not_read" as const, read: 1, of: frames }] : []),
];

/** For a document of several pages, or of pages in tiles. @param about.receipts - on those pages that have several. */
export function ofPages({
  blank,
  limited,
  disagree,
  fromTextLayer,
  receipts,
}: Record<"blank" | "limited", readonly number[]> &
  Record<"disagree" | "fromTextLayer", string[]> & { receipts: number }): Warning[] {
  return [
    ...(receipts > 1 ? [{ code: "several_receipts" as const, found: receipts }] : []),
    ...(fromTextLayer.length > 0 ? [{ code: "from_text_layer" as const, fields: fromTextLayer }] : []),
    ...(limited.length > 0 ? [{ code: "tiles_limited" as const, pages: [...limited] }] : []),
    ...(blank.length > 0 ? [{ code: "blank_pages" as const, pages: [...blank] }] : []),
    ...(disagree.length > 0 ? [{ code: "pages_disagree" as const, fields: disagree }] : []),
  ];
}

/** The warnings of a successful answer. */
export const ofRows = ({ complete, rows }: { complete?: boolean | null; rows?: Rows }): Warning[] =>
  complete === false && rows !== undefined ? [{ code: "rows_missing", reason: rows.reason }] : [];

/** A warning as one line for people. */
export function told(warning: Warning): string {
  switch (warning.code) {
    case "pages_not_read":
      return `page ${warning.read === 1 ? "1" : `1 to ${warning.read}`} of ${warning.of} was read, the others were not`;
    case "blank_pages":
      return `blank, and left out: page ${warning.pages.join(", ")}`;
    case "rows_missing":
      return `the rows are not those of the paper: ${warning.reason}`;
    case "tiles_limited":
      return `so long that print stays too small: page ${warning.pages.join(", ")}`;
    case "fonts_missing":
      return `words are not drawn, as their fonts are not in the file: page ${warning.pages.join(", ")}`;
    case "from_text_layer":
      return `read from the file's text, where the page shows nothing: ${warning.fields.join(", ")}`;
    case "embedded_not_read":
      return `its e-invoice cannot be read: ${warning.reason}`;
    case "pages_disagree":
      return `pages differ: ${warning.fields.join(", ")}`;
    case "several_receipts":
      return `${warning.found} receipts lie on it, which were read as one: split reads each on its own`;
    case "pdf_repaired":
      return "the PDF is broken, and something of it may be missing";
  }
}
