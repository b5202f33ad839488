/** A part of a long page, from its top on, and what it shows of the part before. */
export interface Tile {
  number: number;
  of: number;
  /** Shares of the height of the page as it was sent. */
  top: number;
  bottom: number;
  /** Undefined where lines are not known. `amounts`: lines that end where amounts stand. */
  shared?: { lines: number; amounts: number } | undefined;
}
