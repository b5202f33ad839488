/** Rows for a person to look at: aligned columns, cut to a width. */
import { shown } from "#scripts/text";

const widest = 40;

/** The widths that these rows need; later rows are cut to them. */
export function widthsOf(rows: readonly (readonly string[])[]): number[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: columns }, (_, column) =>
    Math.min(widest, Math.max(...rows.map((row) => shown(row[column] ?? "").length))),
  );
}

/** One row with its line end. */
export function line(cells: readonly string[], widths: readonly number[]): string {
  const text = cells.map((cell, column) => {
    const width = widths[column] ?? widest;
    const clean = shown(cell);
    return (clean.length > width ? `${clean.slice(0, Math.max(0, width - 1))}…` : clean).padEnd(width);
  });
  return `${text.join("  ").trimEnd()}\n`;
}

export function table(rows: readonly (readonly string[])[]): string {
  const widths = widthsOf(rows);
  return rows.map((row) => line(row, widths)).join("");
}

/** Without seconds: a table is for looking. */
export const minute = (time: string | null | undefined): string =>
  time?.slice(0, 16).replace("T", " ") ?? "-";
