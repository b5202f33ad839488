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

const [lineHeight, characterWidth, margin] = [30, 14, 20];

/** Lines that came as text instead of print, as a page that holds nothing else. */
export function ofTexts(texts: readonly string[]): Page {
  const lines = texts.map((text, i): Line => {
    const [left, right] = [margin, margin + characterWidth * text.length];
    const [top, bottom] = [margin + 1.5 * lineHeight * i, margin + 1.5 * lineHeight * i + lineHeight];
    return {
      text,
      confidence: 1,
      points: [
        { x: left, y: top },
        { x: right, y: top },
        { x: right, y: bottom },
        { x: left, y: bottom },
      ],
    };
  });
  const width = Math.max(...lines.map(({ points }) => points[1].x)) + margin;
  return { width, height: margin * 2 + 1.5 * lineHeight * lines.length, lines };
}
