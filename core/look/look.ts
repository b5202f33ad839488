import { decoded } from "./encoding.ts";
import type { Grey, Quarter } from "./grey.ts";
import { inkOf, pointsOf } from "./ink.ts";
import { type Legibility, measure } from "./legibility.ts";
import type { Net } from "./net.ts";
import { textMarks } from "./text-marks.ts";
import { tiltOf } from "./tilt.ts";
import { uprightOf } from "./upright.ts";
import { weights } from "./weights.ts";

/*
 * One look at a reduced grey copy of a picture, before it is sent: which way up it is, and whether it can be read. By its pixels alone; no model is
 * asked.
 */

export interface Look {
  /** Clockwise quarter turns that make the picture upright; null where its letters do not say. */
  turn: Quarter | null;
  legibility: Legibility;
  /** Clockwise degrees by which its lines are tilted then; 0 for at most 1, and where there is too little text. */
  tilt: number;
}

/** A smaller tilt does not affect reading, and a picture that is not turned can be sent as it is. */
const leastTilt = 1;
const mostTilt = 10.5;

let net: Net | undefined;

/** @param grey - the picture as EXIF turns it, of the size that `reducedSize` gives. */
export function look(grey: Grey): Look {
  net ??= decoded(weights);
  const ink = inkOf(grey);
  const upright = uprightOf(grey, ink.marks, net);
  const { turn, letters } = upright;
  const legibility = measure(grey, upright);
  if (turn === undefined) return { turn: null, tilt: 0, legibility };
  const points = pointsOf(ink, textMarks(ink.marks, letters));
  const tilt = tiltOf(points, grey, turn % 180 === 90);
  const straightened = Math.abs(tilt) > leastTilt && Math.abs(tilt) <= mostTilt;
  return { turn, tilt: straightened ? tilt : 0, legibility };
}
