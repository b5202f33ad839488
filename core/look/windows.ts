import type { Grey } from "./grey.ts";
import type { Mark } from "./ink.ts";

/*
 * Small squares cut out around marks, each scaled to the size of its letter and to equal contrast, so that a letter
 * looks the same in every picture. A quarter turn of the picture is a quarter turn of each window.
 */

/** Samples a side. */
export const side = 16;
const samples = side * side;
/** A window is this many times as wide as its letter: its neighbors show which way the line runs. */
const spread = 2.6;
/** The least contrast in gray levels; a window with less has no letter. */
const leastDeviation = 2;

/** Where a window was cut out, and the size of its letter. */
export interface Place {
  x: number;
  y: number;
  size: number;
  /** Index of the mark. */
  mark: number;
}

/** At most about `most` places, spread evenly over the marks. */
export function placesOf(marks: readonly Mark[], most: number): Place[] {
  const all = allPlaces(marks);
  const step = Math.max(1, all.length / most);
  const places: Place[] = [];
  for (let at = 0; Math.floor(at) < all.length && places.length < most; at += step)
    places.push(all[Math.floor(at)] as Place);
  return places;
}

/** A mark of one letter is one place; one of joined letters has a place for each square of its short side. */
function allPlaces(marks: readonly Mark[]): Place[] {
  const places: Place[] = [];
  for (const [mark, { left, right, top, bottom }] of marks.entries()) {
    const wide = right - left + 1;
    const high = bottom - top + 1;
    const long = Math.max(wide, high);
    const short = Math.min(wide, high);
    const pieces = long <= 2.2 * short || long < 8 ? 1 : Math.round(long / (1.1 * short));
    const size = Math.max(5, pieces === 1 ? long : 1.1 * short);
    for (let n = 0; n < pieces; n += 1) {
      const share = (n + 0.5) / pieces;
      places.push({
        x: wide >= high ? left + share * wide - 0.5 : (left + right) / 2,
        y: wide >= high ? (top + bottom) / 2 : top + share * high - 0.5,
        size,
        mark,
      });
    }
  }
  return places;
}

/** The window of a place, 256 values: ink positive, mean 0, deviation 1; undefined where there is no contrast. */
export function cut({ width, height, data }: Grey, { x, y, size }: Place): Float32Array | undefined {
  const into = new Float32Array(samples);
  const step = (spread * size) / side;
  const [x0, y0] = [x - step * (side / 2 - 0.5), y - step * (side / 2 - 0.5)];
  let sum = 0;
  let squares = 0;
  for (let row = 0, at = 0; row < side; row += 1) {
    const py = Math.max(0, Math.min(height - 1.001, y0 + row * step));
    const [yi, fy] = [Math.floor(py), py - Math.floor(py)];
    for (let column = 0; column < side; column += 1, at += 1) {
      const px = Math.max(0, Math.min(width - 1.001, x0 + column * step));
      const xi = Math.floor(px);
      const fx = px - xi;
      const from = yi * width + xi;
      const upper = (data[from] as number) * (1 - fx) + (data[from + 1] as number) * fx;
      const lower = (data[from + width] as number) * (1 - fx) + (data[from + width + 1] as number) * fx;
      const value = -(upper * (1 - fy) + lower * fy);
      into[at] = value;
      sum += value;
      squares += value * value;
    }
  }
  const mean = sum / samples;
  const deviation = Math.sqrt(Math.max(0, squares / samples - mean * mean));
  if (deviation < leastDeviation) return undefined;
  for (let at = 0; at < samples; at += 1) into[at] = ((into[at] as number) - mean) / deviation;
  return into;
}
