import { type Grey, lookPixels } from "./grey.ts";
import type { Letter, Upright } from "./upright.ts";

/*
 * Whether a picture can be read well: measured on the letters that the look found, in the pixels of the reduced copy.
 * Advice to whoever takes the pictures; nothing is refused for it.
 */

/** What is measured on the reduced copy; `faultsOf` judges it. */
export interface Legibility {
  /** The share of windows that were recognized as letters. */
  letters: number;
  /** True if the letters show which way up the picture is, or if the picture is so small that it was not reduced. */
  certain: boolean;
  /** Height of a letter, as a share of the picture's longer side. */
  letterShare: number;
  /** Mean squared step between samples of the sharper letters, whose own variance is 1. */
  sharpness: number;
  /** Brightness of the paper, 0 to 255. */
  paper: number;
  /** Share of the text's area that is burnt out while the paper is not. */
  glare: number;
  /** Print goes on beyond a side of the picture. */
  cutOff: boolean;
}

/** The least height of a letter in pixels; half a pixel is the blur around a letter, which is measured with it. */
export const legible = 8.5;

/** A reduced copy has all the pixels that it may have, but for rounding. */
const notReduced = 0.98;

/** All but `cutOff` (./cut-off.ts). */
export function measure(grey: Grey, { turn, letters }: Upright): Omit<Legibility, "cutOff"> {
  const sizes = letters.map(({ size }) => size).toSorted((a, b) => a - b);
  const letter = at(sizes, 0.5);
  const area = areaOf(letters, grey);
  const levels = levelsIn(grey, area);
  const paper = levelAt(levels, 0.8);
  return {
    letters: letters.length,
    certain: turn !== undefined || grey.width * grey.height < notReduced * lookPixels,
    letterShare: letter / Math.max(grey.width, grey.height),
    sharpness: at(
      letters.map(({ sharpness }) => sharpness).toSorted((a, b) => a - b),
      0.7,
    ),
    paper,
    glare: glareOf(levels),
  };
}

const at = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

interface Area {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The area with nearly all letters; the whole picture if there are none. */
function areaOf(letters: readonly Letter[], { width, height }: Grey): Area {
  if (letters.length === 0) return { left: 0, top: 0, right: width, bottom: height };
  const xs = letters.map(({ x }) => x).toSorted((a, b) => a - b);
  const ys = letters.map(({ y }) => y).toSorted((a, b) => a - b);
  const [low, high] = [0.03, 0.97];
  return {
    left: Math.floor(at(xs, low)),
    top: Math.floor(at(ys, low)),
    right: Math.ceil(at(xs, high)) + 1,
    bottom: Math.ceil(at(ys, high)) + 1,
  };
}

/** How often each level of grey occurs. */
function levelsIn({ width, data }: Grey, { left, top, right, bottom }: Area): Uint32Array {
  const counts = new Uint32Array(256);
  for (let y = top; y < bottom; y += 2)
    for (let x = left; x < right; x += 2) {
      const level = data[y * width + x] as number;
      counts[level] = (counts[level] as number) + 1;
    }
  return counts;
}

function levelAt(counts: Uint32Array, share: number): number {
  const all = counts.reduce((sum, count) => sum + count, 0);
  let below = 0;
  for (let level = 0; level < counts.length; level += 1) {
    below += counts[level] as number;
    if (below >= all * share) return level;
  }
  return 255;
}

/** White areas count as burnt out only if the paper is gray elsewhere. */
const [burnt, white] = [250, 225];

function glareOf(levels: Uint32Array): number {
  if (levelAt(levels, 0.5) >= white) return 0;
  const all = levels.reduce((sum, count) => sum + count, 0);
  return levels.subarray(burnt).reduce((sum, count) => sum + count, 0) / Math.max(1, all);
}
