/** A part of a long page, and how much of the part before it shows. */
export interface Tile {
  number: number;
  of: number;
  /** Shares of the height of the page as it was sent. */
  top: number;
  bottom: number;
  /** Undefined if lines are not known. `amounts`: lines that end in the column of amounts. */
  shared?: { lines: number; amounts: number } | undefined;
}
