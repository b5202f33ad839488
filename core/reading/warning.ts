import * as z from "zod";

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
      "A TIFF of several pages, or a picture of several frames: the later ones were not looked at.",
  });

/** The closed list. Members are numbers and field paths, never values. */
export const Warning = z.discriminatedUnion("code", [PagesNotRead]).meta({ id: "Warning" });
export type Warning = z.output<typeof Warning>;

/** In answers the list is always present, and may be empty. */
export const Warnings = z.array(Warning).meta({
  description: "What was not read, or not as it stands there; empty where there is nothing to say.",
});

/** Only the first page of a file with several pages is read. */
export function ofPages(pages: number): Warning[] {
  return pages > 1 ? [{ code: "pages_not_read", read: 1, of: pages }] : [];
}

/** A warning as one line for people. */
export function told(warning: Warning): string {
  switch (warning.code) {
    case "pages_not_read":
      return `page ${warning.read === 1 ? "1" : `1 to ${warning.read}`} of ${warning.of} was read, the others were not`;
  }
}
