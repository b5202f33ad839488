import type { Shape, Size } from "./format/format.ts";

/** More pixels of a drawn page show nothing more: at this resolution print of 4 points is 17 pixels high. */
const mostDotsPerInch = 300;

/** The pixels that a page has, or is drawn with at most. */
export function pixelsOf({ width, height, unit }: Shape): Size {
  const scale = unit === "points" ? mostDotsPerInch / 72 : 1;
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}
