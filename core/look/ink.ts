import type { Grey } from "./grey.ts";

/*
 * Ink: pixels that are darker than their surroundings, joined to marks (connected components), of which those are kept
 * that have the size of letters and words.
 */

/** A connected piece of ink, in pixels of the grey copy; `right` and `bottom` are inclusive. */
export interface Mark {
  left: number;
  top: number;
  right: number;
  bottom: number;
  area: number;
}

export interface Ink {
  marks: Mark[];
  /** Pieces of other sizes and shapes: bars, stains, pictures, but not lines. */
  others: Mark[];
  runs: Runs;
}

export interface Points {
  x: Int16Array;
  y: Int16Array;
}

/** Half the side of the square over which the mean is taken: about two letters. */
const meanRadius = 9;
const leastContrast = 6;
const mostContrast = 48;

/** A pixel is ink if it is darker than the mean around it by more than the noise of the paper. */
export function inkOf(grey: Grey): Ink {
  const darker = darkness(grey);
  return components(darker, grey, thresholdsOf(darker, grey));
}

/** A mean is its sum times `reciprocal(pixels)`, shifted by so many bits: whole numbers take half the time. */
const shift = 22;
const reciprocal = (pixels: number) => Math.round(2 ** shift / pixels);

/** Mean of the surroundings minus the pixel, 0 where it is brighter; at most 255. */
function darkness(grey: Grey): Uint8Array {
  const { width, height, data } = grey;
  // Whole words, for `components`.
  const out = new Uint8Array(4 * Math.ceil((width * height) / 4));
  // Sums of the columns over the rows of the window, moved down row by row.
  const columns = new Int32Array(width);
  for (let y = 0; y < Math.min(meanRadius, height); y += 1)
    for (let x = 0, at = y * width; x < width; x += 1, at += 1)
      columns[x] = (columns[x] as number) + (data[at] as number);
  const inner = Math.max(meanRadius + 1, width - meanRadius);
  for (let y = 0; y < height; y += 1) {
    moveDown(columns, grey, y);
    const rows = Math.min(height - 1, y + meanRadius) - Math.max(0, y - meanRadius) + 1;
    const row = y * width;
    // The sum of the window, moved to the right pixel by pixel.
    let sum = 0;
    for (let x = 0; x < Math.min(meanRadius, width); x += 1) sum += columns[x] as number;
    const edge = (x: number) => {
      const [left, right] = [x - meanRadius, x + meanRadius];
      if (right < width) sum += columns[right] as number;
      if (left > 0) sum -= columns[left - 1] as number;
      const wide = Math.min(width - 1, right) - Math.max(0, left) + 1;
      const darker = ((sum * reciprocal(rows * wide)) >> shift) - (data[row + x] as number);
      if (darker > 0) out[row + x] = darker;
    };
    for (let x = 0; x < Math.min(meanRadius + 1, width); x += 1) edge(x);
    sum = inside({ columns, data, out }, { row, inner, sum, share: reciprocal(rows * (2 * meanRadius + 1)) });
    for (let x = inner; x < width; x += 1) edge(x);
  }
  return out;
}

/** The pixels of a row whose window does not touch a side. @returns the sum of the last window. */
function inside(
  { columns, data, out }: { columns: Int32Array; data: Uint8Array; out: Uint8Array },
  { row, inner, sum: first, share }: { row: number; inner: number; sum: number; share: number },
): number {
  let sum = first;
  for (let x = meanRadius + 1; x < inner; x += 1) {
    sum = (sum + (columns[x + meanRadius] as number) - (columns[x - meanRadius - 1] as number)) | 0;
    const darker = (Math.imul(sum, share) >> shift) - (data[row + x] as number);
    // Negative values become 0, without a branch: with noise a processor cannot predict the branch, which takes four
    // times as long.
    out[row + x] = darker & ~(darker >> 31);
  }
  return sum;
}

/** Adds the row that enters the window of row `y` to the sums of columns, and takes away the one that left it. */
function moveDown(columns: Int32Array, { width, height, data }: Grey, y: number): void {
  const [enters, leaves] = [y + meanRadius, y - meanRadius - 1];
  if (enters < height && leaves >= 0) {
    const on = data.subarray(enters * width, (enters + 1) * width);
    const off = data.subarray(leaves * width, (leaves + 1) * width);
    for (let x = 0; x < width; x += 1)
      columns[x] = (columns[x] as number) + (on[x] as number) - (off[x] as number);
    return;
  }
  for (let x = 0, on = enters * width; enters < height && x < width; x += 1, on += 1)
    columns[x] = (columns[x] as number) + (data[on] as number);
  for (let x = 0, off = leaves * width; leaves >= 0 && x < width; x += 1, off += 1)
    columns[x] = (columns[x] as number) - (data[off] as number);
}

/** Side of the tiles that have a threshold each: paper beside a rough table keeps its own. */
const tilePixels = 48;

interface Thresholds {
  columns: number;
  of: Uint8Array;
}

/**
 * Above the noise of the paper (by the median second difference, which letters hardly change), and above a share of the
 * darkest ink of the tile, so that the halo of a letter is not ink.
 */
function thresholdsOf(darker: Uint8Array, { width, height, data }: Grey): Thresholds {
  const columns = Math.ceil(width / tilePixels);
  const of = new Uint8Array(columns * Math.ceil(height / tilePixels));
  const levels = new Uint32Array(256);
  const steps = new Uint32Array(1024);
  for (let tile = 0; tile < of.length; tile += 1) {
    levels.fill(0);
    steps.fill(0);
    const top = Math.floor(tile / columns) * tilePixels;
    const left = Math.max(1, (tile % columns) * tilePixels);
    const [bottom, right] = [Math.min(height, top + tilePixels), Math.min(width - 1, left + tilePixels)];
    let some = 0;
    for (let y = top; y < bottom; y += 2)
      for (let at = y * width + left; at < y * width + right; at += 2) {
        const level = darker[at] as number;
        levels[level] = (levels[level] as number) + 1;
        const step = Math.abs(2 * (data[at] as number) - (data[at - 1] as number) - (data[at + 1] as number));
        steps[step] = (steps[step] as number) + 1;
        some += 1;
      }
    const noise = quantile(steps, some / 2) / (0.6745 * Math.sqrt(6));
    of[tile] = Math.max(
      leastContrast,
      Math.min(mostContrast, Math.max(4 * noise, 0.3 * quantile(levels, some * 0.97))),
    );
  }
  return { columns, of };
}

function quantile(counts: Uint32Array, rank: number): number {
  let below = 0;
  for (let at = 0; at < counts.length; at += 1) {
    below += counts[at] as number;
    if (below > rank) return at;
  }
  return counts.length - 1;
}

/** Used instead of a mark's index for a part of a long line, such as the edge of the paper. */
export const lineMark = -2;
const leastLine = 24;
const leastOther = 5;

const isLine = ({ left, right, top, bottom }: Mark) => Math.max(right - left, bottom - top) >= leastLine;

export interface Runs {
  x0: Int16Array;
  x1: Int16Array;
  y: Int16Array;
  /** Index of the run's mark, -1 where it is not kept, `lineMark` in a line. */
  mark: Int32Array;
  count: number;
}

/** In each byte of a word: 1, and the seven lower bits. */
const each = 0x01010101;
const top = 0x7f;

/** Whether none of four pixels is above a threshold of at most 127. @param below - 127 less the threshold, in each byte. */
const isEmpty = (word: number, below: number): boolean =>
  ((((word & (top * each)) + below) | word) & ~(top * each)) === 0;

/** Horizontal runs of ink, joined with those of the row above that they touch, corners included. */
function components(darker: Uint8Array, { width, height }: Grey, { columns, of }: Thresholds): Ink {
  const most = Math.ceil(width / 2) * height;
  const [x0, x1, ys] = [new Int16Array(most), new Int16Array(most), new Int16Array(most)];
  const parent = new Int32Array(most);
  const root = (of: number): number => {
    let at = of;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at] as number] as number;
      at = parent[at] as number;
    }
    return at;
  };
  const least = new Uint8Array(width);
  const words = new Int32Array(darker.buffer, 0, darker.length >> 2);
  let below = 0;
  let count = 0;
  let above = 0;
  for (let y = 0; y < height; y += 1) {
    const first = count;
    let over = above;
    if (y % tilePixels === 0) {
      const tiles = of.subarray((y / tilePixels) * columns, (y / tilePixels + 1) * columns);
      for (let x = 0; x < width; x += 1) least[x] = tiles[Math.floor(x / tilePixels)] as number;
      below = (top - Math.min(...tiles)) * each;
    }
    const row = y * width;
    for (let x = 0; x < width; x += 1) {
      if (((row + x) & 3) === 0 && x + 4 <= width && isEmpty(words[(row + x) >> 2] as number, below)) {
        x += 3;
        continue;
      }
      if ((darker[row + x] as number) <= (least[x] as number)) continue;
      const start = x;
      while (x < width && (darker[row + x] as number) > (least[x] as number)) x += 1;
      const run = count;
      count += 1;
      x0[run] = start;
      x1[run] = x - 1;
      ys[run] = y;
      parent[run] = run;
      while (over < first && (x1[over] as number) < start - 1) over += 1;
      for (let touching = over; touching < first && (x0[touching] as number) <= x; touching += 1) {
        const a = root(touching);
        const b = root(run);
        if (a < b) parent[b] = a;
        else parent[a] = b;
      }
    }
    above = first;
  }
  return kept({ x0, x1, y: ys, mark: parent, count }, root);
}

function kept(runs: Runs, root: (of: number) => number): Ink {
  const all: Mark[] = [];
  const of = new Int32Array(runs.count);
  for (let run = 0; run < runs.count; run += 1) {
    const top = root(run);
    const [left, right, y] = [runs.x0[run] as number, runs.x1[run] as number, runs.y[run] as number];
    if (top === run) {
      of[run] = all.length;
      all.push({ left, right, top: y, bottom: y, area: right - left + 1 });
      continue;
    }
    of[run] = of[top] as number;
    const mark = all[of[run] as number] as Mark;
    if (left < mark.left) mark.left = left;
    if (right > mark.right) mark.right = right;
    mark.bottom = y;
    mark.area += right - left + 1;
  }
  const index = new Int32Array(all.length).fill(-1);
  const marks: Mark[] = [];
  const others: Mark[] = [];
  const usual = usualSize(all.filter(likeText));
  for (const [at, mark] of all.entries()) {
    if (!likeText(mark) || !likeLetter(mark, usual)) {
      if (isLine(mark)) index[at] = lineMark;
      else if (mark.area >= leastOther) others.push(mark);
      continue;
    }
    index[at] = marks.length;
    marks.push(mark);
  }
  for (let run = 0; run < runs.count; run += 1) runs.mark[run] = index[of[run] as number] as number;
  return { marks, others, runs };
}

/** Most of the ink is in marks of this size or less; dashed rules are part of this ink. */
function usualSize(marks: Mark[]): number {
  const sized = marks.map(({ left, right, top, bottom, area }) => ({
    size: Math.min(right - left, bottom - top) + 1,
    area,
  }));
  sized.sort((a, b) => a.size - b.size);
  let left = sized.reduce((sum, { area }) => sum + area, 0) * 0.6;
  for (const { size, area } of sized) {
    left -= area;
    if (left <= 0) return size;
  }
  return 0;
}

/** Sizes of letters and of words whose letters touch, whichever way they stand. */
function likeText({ left, right, top, bottom, area }: Mark): boolean {
  const wide = right - left + 1;
  const high = bottom - top + 1;
  const [short, long] = wide < high ? [wide, high] : [high, wide];
  const filled = area / (wide * high);
  if (long < 3 || area < 5 || short > 34 || long > 160 || filled < 0.12) return false;
  // Bars of a barcode, rules, edges of the paper.
  return !(long >= 10 && (long > 12 * short || (long > 3.5 * short && filled > 0.7)));
}

/** Points, dashes and the dots of rules are no letters. */
function likeLetter({ left, right, top, bottom }: Mark, usual: number): boolean {
  const wide = right - left + 1;
  const high = bottom - top + 1;
  const [short, long] = wide < high ? [wide, high] : [high, wide];
  return long >= 4 && long >= 0.6 * usual && (short >= 0.5 * usual || long >= 1.3 * usual);
}

/** The pixels of some of the marks, thinned evenly to at most about `mostPoints`. */
export function pointsOf(
  { marks, runs }: Pick<Ink, "marks" | "runs">,
  of: ReadonlySet<number>,
  mostPoints: number,
): Points {
  let pixels = 0;
  for (const mark of of) pixels += marks[mark]?.area ?? 0;
  const step = Math.max(1, pixels / mostPoints);
  const most = Math.ceil(pixels / step) + 1;
  const [x, y] = [new Int16Array(most), new Int16Array(most)];
  let count = 0;
  let next = 0;
  let seen = 0;
  for (let run = 0; run < runs.count; run += 1) {
    if (!of.has(runs.mark[run] as number)) continue;
    for (let at = runs.x0[run] as number; at <= (runs.x1[run] as number); at += 1, seen += 1) {
      if (seen < next) continue;
      next += step;
      x[count] = at;
      y[count] = runs.y[run] as number;
      count += 1;
    }
  }
  return { x: x.subarray(0, count), y: y.subarray(0, count) };
}
