import * as Budget from "#core/image/budget";
import { legible } from "#core/look/legibility";
import type { Look } from "#core/look/look";
import type { TextLine } from "#core/look/text-lines";

import type { Tile } from "./tile.ts";

/*
 * Long paper: a page whose print would be too small within the budget of one picture is read in tiles from top to bottom,
 * one call each (docs/documents.md, "Long paper"). Neighbors share some lines, so that each line is whole in one of them.
 */

/** An upright page, in pixels. */
interface Paper {
  width: number;
  height: number;
  /** Undefined if the page was not looked at. */
  look: Look | undefined;
  /** Replaces the look's value. */
  lines?: readonly TextLine[] | undefined;
}

interface Room {
  /** For a picture that is alone in its call. */
  imageTokens: number;
  most: number;
}

interface Cut {
  tiles: Tile[];
  /** False if more tiles than allowed would be needed. */
  isEnough: boolean;
}

/** A little above the threshold, because tiles have whole patches. */
const wanted = 1.1 * legible;
/** Fewer letters do not show the size of a page's print. */
const leastLetters = 12;
/** Without letters to measure, paper of this shape is a receipt of some 40 columns. */
const longRatio = 6;
const columnsWidth = 360;
/** Tiles that would make print less than this much larger are not worth a call. */
const leastGain = 1.1;
const sharedLines = 6;
/** The height of six lines of a receipt as a share of its width; used if lines are not known. */
const sharedOfWidth = 0.3;
/** Tiles of fewer lines are cut by size alone. */
const leastLines = 8;

/** @returns undefined for a page that is legible as one picture. */
export function cut(paper: Paper, { imageTokens, most }: Room): Cut | undefined {
  const { width, height } = paper;
  const scale = neededScale(paper);
  if (scale === undefined) return undefined;
  const whole = Budget.sizeWithin(width, height, imageTokens);
  if (Math.sqrt((whole.width * whole.height) / (width * height)) * leastGain >= scale) return undefined;
  const lines = paper.lines ?? paper.look?.lines ?? [];
  const overlap = overlapOf(lines, paper);
  const fits = (count: number) => {
    const part = height / count + (count > 2 ? 2 : 1) * (overlap / 2);
    return Budget.imageTokens(Math.round(width * scale), Math.round(part * scale)) <= imageTokens;
  };
  let count = 2;
  while (count < most && !fits(count)) count += 1;
  const tiles = lines.length >= count * leastLines ? alongLines(lines, count) : even(count, overlap / height);
  return { tiles, isEnough: fits(count) };
}

/** The size at which the page must be sent; undefined if nothing shows that it must not be smaller. */
function neededScale({ width, height, look }: Paper): number | undefined {
  const { letters = 0, letterShare = 0, certain = false } = look?.legibility ?? {};
  if (certain && letters >= leastLetters)
    return Math.min(1, wanted / (letterShare * Math.max(width, height)));
  return height >= longRatio * width ? Math.min(1, columnsWidth / width) : undefined;
}

/** True if print of this page is too small in a picture of so many tokens that could be larger. */
export function isTooSmall(paper: Paper, imageTokens: number): boolean {
  return cut(paper, { imageTokens, most: 2 }) !== undefined;
}

function overlapOf(lines: readonly TextLine[], { width, height }: Paper): number {
  if (lines.length < leastLines) return Math.min(height / 4, sharedOfWidth * width);
  const steps = lines.slice(1).map(({ top }, at) => top - (lines[at] as TextLine).top);
  const step = steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  return sharedLines * step * height;
}

/** Cuts between lines; this many lines are in both neighbors. */
function alongLines(lines: readonly TextLine[], count: number): Tile[] {
  const bounds = Array.from({ length: count - 1 }, (_, k) => {
    const at = (k + 1) / count;
    const found = lines.findIndex(({ top }) => top >= at);
    return found === -1 ? lines.length : found;
  });
  const half = sharedLines / 2;
  const between = (at: number) => {
    const [above, below] = [lines[at - 1], lines[at]];
    if (above === undefined) return 0;
    return below === undefined ? 1 : (above.bottom + below.top) / 2;
  };
  return Array.from({ length: count }, (_, k) => {
    const [first, last] = [k === 0 ? 0 : (bounds[k - 1] as number) - half, bounds[k]];
    const start = Math.max(0, first);
    const both = lines.slice(start, start + sharedLines);
    return {
      ...{ number: k + 1, of: count, top: k === 0 ? 0 : between(start) },
      bottom: last === undefined ? 1 : between(Math.min(lines.length, last + half)),
      ...(k === 0
        ? {}
        : { shared: { lines: both.length, amounts: both.filter(({ amount }) => amount).length } }),
    };
  });
}

function even(count: number, overlap: number): Tile[] {
  return Array.from({ length: count }, (_, k) => ({
    ...{ number: k + 1, of: count },
    top: Math.max(0, k / count - overlap / 2),
    bottom: Math.min(1, (k + 1) / count + overlap / 2),
  }));
}

/** The text after the picture of a tile. */
export function told({ number, of }: Pick<Tile, "number" | "of">): string {
  return `The picture shows part ${number} of ${of} of one page, from its top to its bottom; the other parts are read on their own. Answer about this part alone, with null for what does not stand in it, and list all entries that it shows.`;
}
