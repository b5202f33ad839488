import * as z from "zod";

/*
 * What is to be known about an answer that is good: what was not read, or not as it stands there. A warning never makes
 * an extract fail. A new code is one more object of the union and one more line of `told`; nothing else.
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

/** As answers have it: always there, empty where there is nothing to say. */
export const Warnings = z.array(Warning).meta({
  description: "What was not read, or not as it stands there; empty where there is nothing to say.",
});

/** What a file's number of pages means for what is read of it: the first. */
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
