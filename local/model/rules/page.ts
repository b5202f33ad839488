/** One corner of a text line, in pixels of the picture that was read. */
export interface Point {
  x: number;
  y: number;
}

/** One recognized piece of text: a word, a column of a table, or a whole line, as the detector cut it. */
export interface Line {
  text: string;
  /** Mean probability of the characters, 0 to 1, as the recognizer gave it. */
  confidence: number;
  /** Clockwise from the text's own top left corner. */
  points: [Point, Point, Point, Point];
}

/** A picture as the engine saw it: turned upright, scaled. */
export interface Page {
  width: number;
  height: number;
  lines: Line[];
}
