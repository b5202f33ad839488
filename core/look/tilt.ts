import type { Points } from "./ink.ts";

/*
 * By how much lines of text are tilted. Along the lines of text the profile of the ink (its amount by line) rises and
 * falls sharply: the angle whose profile has the largest sum of squared differences is that of the lines (W. Postl,
 * "Detection of linear oblique structures and skew scan in digitized documents", ICPR 1986).
 */

/** Tilts up to 10 degrees are straightened; a slightly larger range is searched so that its edge is not a maximum. */
const mostTilt = 12;
/** Profiles are taken for strips of about this width, so that warped paper keeps its lines. */
const stripPixels = 220;
const leastPoints = 60;
/** An angle counts only where its profile is sharper than the one without a tilt by this factor. */
const sharperBy = 1.1;

interface Profile {
  /** Position along lines, and across them. */
  along: Int16Array;
  across: Int16Array;
  /** Where the counts of each point's strip begin. */
  strip: Int32Array;
  counts: Int32Array;
  /** Added to every position across, so that none is negative. */
  shift: number;
}

/**
 * The clockwise tilt in degrees, -12 to 12; 0 where there is too little text to say.
 * @param points - only ink of letters, so that a striped table has no influence.
 * @param upended - lines run from top to bottom, or from bottom to top.
 */
export function tiltOf({ x, y }: Points, size: { width: number; height: number }, upended: boolean): number {
  if (x.length < leastPoints) return 0;
  const profile = upended
    ? profileOf(y, x, { along: size.height, across: size.width })
    : profileOf(x, y, { along: size.width, across: size.height });
  const sign = upended ? -1 : 1;
  const at = (tilt: number) => sharpness(profile, sign * Math.tan((tilt * Math.PI) / 180));
  const none = at(0);
  let best = { tilt: 0, sharpness: none };
  const attempt = (tilt: number) => {
    const found = at(tilt);
    if (found > best.sharpness) best = { tilt, sharpness: found };
  };
  for (let tilt = -mostTilt; tilt <= mostTilt; tilt += 1) if (tilt !== 0) attempt(tilt);
  for (const step of [0.5, 0.25]) {
    const { tilt } = best;
    attempt(tilt - step);
    attempt(tilt + step);
  }
  return best.sharpness > sharperBy * none ? best.tilt : 0;
}

function profileOf(along: Int16Array, across: Int16Array, most: { along: number; across: number }): Profile {
  const strips = Math.max(1, Math.round(most.along / stripPixels));
  const wide = most.along / strips;
  const shift = Math.ceil(Math.tan(((mostTilt + 1) * Math.PI) / 180) * most.along) + 1;
  const bins = most.across + 2 * shift + 1;
  const strip = Int32Array.from(along, (position) => Math.floor(position / wide) * bins);
  return { along, across, strip, counts: new Int32Array(strips * bins), shift };
}

/** Mean squared step of the profile, for each point of ink. */
function sharpness({ along, across, strip, counts, shift }: Profile, slope: number): number {
  counts.fill(0);
  const half = shift + 0.5;
  for (let at = 0; at < along.length; at += 1) {
    const moved = (half + (across[at] as number) - slope * (along[at] as number)) | 0;
    const bin = (strip[at] as number) + moved;
    counts[bin] = (counts[bin] as number) + 1;
  }
  let sum = 0;
  for (let bin = 1; bin < counts.length; bin += 1) {
    const step = (counts[bin] as number) - (counts[bin - 1] as number);
    sum += step * step;
  }
  return sum / along.length;
}
