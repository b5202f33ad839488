/** Outer part of each side that is not looked at: shadows and edges of a scan. */
const margin = 0.03;
/** Gray levels beyond which a dot is not noise of a scan, nor the back of the paper that shines through. */
const contrast = 32;
/** A letter of 8 points has about 15 such dots on a page of 800: fewer dots than three letters are dust. */
const mostDust = 45 / (800 * 1131);

/** The width to which a page is reduced before it is looked at. */
export const lookWidth = 800;

/**
 * True for gray pixels (one byte each, in rows) without print: hardly a dot differs from the paper. A page with a few
 * words is not blank.
 */
export function isBlank(data: Uint8Array, { width, height }: { width: number; height: number }): boolean {
  const [left, top] = [Math.floor(width * margin), Math.floor(height * margin)];
  const levels = new Uint32Array(256);
  let dots = 0;
  for (let y = top; y < height - top; y += 1)
    for (let x = left; x < width - left; x += 1) {
      const level = data[y * width + x] ?? 0;
      levels[level] = (levels[level] ?? 0) + 1;
      dots += 1;
    }
  const paper = median(levels, dots);
  const print = levels.reduce(
    (sum, count, level) => (Math.abs(level - paper) > contrast ? sum + count : sum),
    0,
  );
  return print <= dots * mostDust;
}

function median(levels: Uint32Array, dots: number): number {
  let below = 0;
  for (const [level, count] of levels.entries()) {
    below += count;
    if (below * 2 >= dots) return level;
  }
  return 255;
}
