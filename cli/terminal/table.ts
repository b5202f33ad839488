/** Rows for people: aligned columns, cut only to the terminal's width. */
import stringWidth from "string-width";
import type { Context } from "./context.ts";
import { shown } from "./text.ts";

const gap = "  ";
/** Narrower columns are not cut, because the rest would be useless. */
const least = 5;
/** Times and statuses are never cut. A text of this many characters can still be identified. */
const telling = 16;

/** How wide each column is, and whether longer cells are cut to it. */
export interface Layout {
  readonly widths: readonly number[];
  readonly cut: boolean;
  /** The columns that identify a row are not cut: the first one, times and statuses. */
  readonly fits: boolean;
}

/**
 * The layout of these rows, and of later ones. On a terminal the widest columns are cut until a line fits, and the
 * first one, which names the row, last. In a file or a pipe every cell is complete.
 */
export function layout(rows: readonly (readonly string[])[], { columns }: Pick<Context, "columns">): Layout {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => stringWidth(shown(row[column] ?? "")))),
  );
  if (columns === undefined) return { widths, cut: false, fits: true };
  const room = columns - gap.length * Math.max(0, count - 1);
  const over = () => widths.reduce((sum, width) => sum + width, 0) - room;
  shrink(widths, over, { from: 1, least: telling });
  const fits = over() <= 0;
  shrink(widths, over, { from: 0, least });
  return { widths, cut: true, fits };
}

/** Takes from the widest column until all fit, or none is wider than `least`. */
function shrink(
  widths: number[],
  over: () => number,
  { from, least }: { from: number; least: number },
): void {
  for (let left = over(); left > 0; left -= 1) {
    const widest = Math.max(...widths.slice(from));
    if (widest <= least) return;
    widths[widths.lastIndexOf(widest)] = widest - 1;
  }
}

/** Whether a terminal would have to cut or wrap these rows. */
export function overflows(
  rows: readonly (readonly string[])[],
  { columns }: Pick<Context, "columns">,
): boolean {
  const whole = layout(rows, {});
  return columns !== undefined && rows.some((row) => stringWidth(line(row, whole).trimEnd()) > columns);
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

/** The rows, of which the first is the head. Where a terminal is too narrow for them each is a block of lines, whole. */
export function table(rows: readonly (readonly string[])[], context: Pick<Context, "columns">): string {
  const fitting = layout(rows, context);
  const [head = [], ...body] = rows;
  return fitting.fits
    ? rows.map((row) => line(row, fitting)).join("")
    : body.map((row) => block(head, row)).join("\n");
}

function block(head: readonly string[], row: readonly string[]): string {
  const widest = Math.max(...head.map((name) => stringWidth(name)));
  return row
    .flatMap((cell, column) =>
      cell === "" ? [] : [`${(head[column] ?? "").padEnd(widest)}${gap}${shown(cell)}\n`],
    )
    .join("");
}

const characters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Cuts a text to this many columns, with an ellipsis if something is missing; no character is split. */
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

/** Without seconds, because a table is only an overview. */
export const minute = (time: string | null | undefined): string =>
  time?.slice(0, 16).replace("T", " ") ?? "-";
