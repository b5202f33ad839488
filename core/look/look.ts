import { isCutOff } from "./cut-off.ts";
import { decoded } from "./encoding.ts";
import { type Grey, lookPixels, type Quarter } from "./grey.ts";
import { inkOf, pointsOf } from "./ink.ts";
import { type Legibility, measure } from "./legibility.ts";
import { type Transformed, transformed } from "./net.ts";
import { type Paper, papersOf } from "./papers.ts";
import { type TextLine, textLinesOf } from "./text-lines.ts";
import { textMarks } from "./text-marks.ts";
import { tiltOf } from "./tilt.ts";
import { uprightOf } from "./upright.ts";
import { weights } from "./weights.ts";

/*
 * One look at a reduced grey copy of a picture, before it is sent: which way up it is, and whether it can be read. It
 * uses only the pixels; the model is not asked.
 */

export interface Look {
  /** Clockwise quarter turns that make the picture upright; null if its letters do not show it. */
  turn: Quarter | null;
  legibility: Legibility;
  /** Clockwise degrees by which its lines are tilted then; 0 for at most 1, and where there is too little text. */
  tilt: number;
  /** From top to bottom; empty if it is not known which way up the picture is. */
  lines: TextLine[];
  /** Several receipts on the picture; empty if there is one, or if it is not clear. */
  papers: Paper[];
}

/** A smaller tilt does not affect reading, and a picture that is not turned can be sent as it is. */
const leastTilt = 1;
const mostTilt = 10.5;
/** The number of ink points by which the tilt of a usual picture is measured. */
const mostPoints = 7_000;

let net: Transformed | undefined;

/** @param grey - the picture as EXIF turns it, of the size that `reducedSize` gives. */
export function look(grey: Grey): Look {
  net ??= transformed(decoded(weights));
  const ink = inkOf(grey);
  const upright = uprightOf(grey, ink.marks, net);
  const { turn, letters } = upright;
  const text = textMarks(ink.marks, letters);
  const cutOff = isCutOff(grey, ink, { upright, text, net });
  const legibility = { ...measure(grey, upright), cutOff };
  const papers = papersOf(grey, ink);
  if (turn === undefined) return { turn: null, tilt: 0, legibility, lines: [], papers };
  // Long paper has more lines, each of which needs its points.
  const most = Math.round(mostPoints * Math.max(1, (grey.width * grey.height) / lookPixels));
  const found = tiltOf(pointsOf(ink, text, most), grey, turn % 180 === 90);
  const tilt = Math.abs(found) > leastTilt && Math.abs(found) <= mostTilt ? found : 0;
  const lines = textLinesOf(ink.marks, text, { width: grey.width, height: grey.height, turn, tilt });
  return { turn, tilt, legibility, lines, papers };
}
