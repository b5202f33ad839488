/** Rows for a person to look at: aligned columns, cut to the terminal's width and to nothing else. */
import stringWidth from "string-width";
import type { Context } from "./context.ts";
import { shown } from "./text.ts";

const gap = "  ";
/** Nothing is cut below this: what is left would say nothing. */
const least = 5;

/** How wide each column is, and whether longer cells are cut to it. */
export interface Layout {
  readonly widths: readonly number[];
  readonly cut: boolean;
}

/**
 * The layout of these rows, and of later ones. On a terminal the widest columns give way until a line fits; in a file
 * or a pipe every cell is whole.
 */
export function layout(rows: readonly (readonly string[])[], { columns }: Pick<Context, "columns">): Layout {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => stringWidth(shown(row[column] ?? "")))),
  );
  if (columns === undefined) return { widths, cut: false };
  const room = columns - gap.length * Math.max(0, count - 1);
  for (let over = widths.reduce((sum, width) => sum + width, 0) - room; over > 0; over -= 1) {
    const widest = Math.max(...widths);
    if (widest <= least) break;
    widths[widths.lastIndexOf(widest)] = widest - 1;
  }
  return { widths, cut: true };
}

/** One row with its line end. */
export function line(cells: readonly string[], { widths, cut }: Layout): string {
  const text = cells.map((cell, column) => {
    const width = widths[column] ?? 0;
    const clean = cut ? shortened(shown(cell), width) : shown(cell);
    return clean + " ".repeat(Math.max(0, width - stringWidth(clean)));
  });
  return `${text.join(gap).trimEnd()}\n`;
}

export function table(rows: readonly (readonly string[])[], context: Pick<Context, "columns">): string {
  const fitting = layout(rows, context);
  return rows.map((row) => line(row, fitting)).join("");
}

const characters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** What fits into so many columns, with an ellipsis where something is missing; no character is cut in two. */
function shortened(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of characters.segment(text)) {
    used += stringWidth(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Without seconds: a table is for looking. */
export const minute = (time: string | null | undefined): string =>
  time?.slice(0, 16).replace("T", " ") ?? "-";
