/** Sentences for people, wrapped between words to the terminal's width. */
import stringWidth from "string-width";
import type { Context } from "./context.ts";
import { shown } from "./text.ts";

const indent = "  ";

/**
 * The texts as lines, each with its line end; what does not fit a terminal's line goes on in the next, indented. A word that
 * is wider than a line stays whole. In a file or a pipe each text is one line.
 */
export const lines = (texts: readonly string[], { columns }: Pick<Context, "columns">): string =>
  texts.map((text) => `${broken(shown(text), columns).join("\n")}\n`).join("");

function broken(text: string, columns: number | undefined): string[] {
  if (columns === undefined || stringWidth(text) <= columns) return [text];
  const start = /^ */.exec(text)?.[0] ?? "";
  const found: string[] = [];
  let line = start;
  for (const word of text.trim().split(" ")) {
    const longer = line.trim() === "" ? line + word : `${line} ${word}`;
    if (line.trim() !== "" && stringWidth(longer) > columns) {
      found.push(line);
      line = start + indent + word;
    } else line = longer;
  }
  return [...found, line];
}
