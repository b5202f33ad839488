import type { Grey } from "./grey.ts";
import type { Ink, Mark } from "./ink.ts";
import type { Transformed } from "./net.ts";
import { type Box, runsNear, type Side, type Span, sidesOf, type Touch, touchesOf } from "./side.ts";
import { type Upright, uprightShare } from "./upright.ts";

/*
 * Whether print goes on beyond a side of the picture: letters that the side cuts, or that stand at it. A cut through blank paper
 * leaves no sign.
 */

/** What the print of this picture is like. */
interface Print {
  /** Height of a letter in pixels. */
  size: number;
  /** Least difference between ink and paper; less is the print of the back that shines through, and shadows. */
  contrast: number;
  /** Brightness of the paper. */
  paper: number;
  marks: Mark[];
}

/** Fewer marks or letters are no print. */
const leastMarks = 12;
const leastLetters = 8;
/** So many marks say what the others are like. */
const mostMeasured = 120;
/** Of the middle one of the letters, and of the darkest tenth of all print. */
const contrastOfLetters = 0.4;
const contrastOfDarkest = 0.27;
/** Beside ink the paper is at least so bright, of what it is beside the print near it. */
const leastPaper = 0.7;

/** Heights of a letter: how far from the side its neighbors are looked for, and the next one of a letter that is cut. */
const nearby = 3;
/** Ink that is cut is followed so far. */
const followed = 2;
const next = 2.2;
/** Of its height: marks that are higher or lower than the letter that is cut belong to another line. */
const sameLine = 0.7;
/** So many letters that are cut have a neighbor that looks like a letter. */
const leastCut = 2;
/** Share of the marks near the side that look like upright letters; where it is not known what is up, in any orientation. */
const leastLike = 0.3;
const leastLikeUnsure = 0.66;
/** A line whose letters are nearer to the side than this, of their height, has lost a part of them. */
const leastGap = 0.2;
const leastOfLine = 4;
/** A line of letters that is cut along: so many side by side, of which this much of their height is left. */
const leastInRow = 5;
const leastReach = 0.3;
/** Less of it may be the zigzag of torn paper: then the next line is near, and its marks are surely letters. */
const likeSurely = 0.5;

/** @param text - indexes of the marks that are text. */
export function isCutOff(
  grey: Grey,
  ink: Ink,
  { upright, text, net }: { upright: Upright; text: ReadonlySet<number>; net: Transformed },
): boolean {
  const lying = upright.turn !== undefined && upright.turn % 180 === 90;
  const print = printOf(grey, ink, { upright, text, lying });
  if (print === undefined) return false;
  const deep = Math.ceil(followed * print.size) + 1;
  const runs = runsNear(grey, ink.runs, deep);
  return sidesOf(grey).some((side) => {
    const touches = touchesOf(side, runs, deep);
    const found = beside(side, print, { grey, marks: ink.marks, touches, lying });
    if (!found.suspect) return false;
    const like = uprightShare(grey, found.inside, { turn: upright.turn, net });
    return goesOn(found, like, upright.turn !== undefined);
  });
}

function printOf(
  grey: Grey,
  { marks }: Ink,
  { upright, text, lying }: { upright: Upright; text: ReadonlySet<number>; lying: boolean },
): Print | undefined {
  if (text.size < leastMarks || upright.letters.length < leastLetters) return undefined;
  const step = Math.max(1, text.size / mostMeasured);
  const all = [...text].map((at) => marks[at] as Mark);
  const some = all.filter((_, at) => Math.floor(at / step) !== Math.floor((at - 1) / step));
  const levels = some.map((mark) => levelsAround(grey, mark));
  const contrasts = levels.map((level) => level.contrast);
  const ofLetters = upright.letters.map(({ mark }) => levelsAround(grey, marks[mark] as Mark).contrast);
  const contrast = Math.max(
    contrastOfLetters * quantile(ofLetters, 0.5),
    contrastOfDarkest * quantile(contrasts, 0.9),
  );
  const dark = levels.flatMap((level, at) => (level.contrast >= contrast ? [{ ...level, at }] : []));
  if (dark.length < leastLetters) return undefined;
  const heights = some.map((mark) => heightOf(mark, lying));
  const papers = dark.map(({ paper }) => paper);
  return {
    size: Math.max(4, quantile(heights, 0.5)),
    contrast,
    paper: quantile(papers, 0.5),
    marks: dark.map(({ at }) => some[at] as Mark),
  };
}

/** The strip along a side in which a cut shows. */
interface Beside {
  level: boolean;
  /** Marks of print that are near the side and not cut. */
  inside: Mark[];
  /** Letters that the side cuts which have a neighbor. */
  continued: number;
  /** Most letters that are cut side by side, and of those that are no slivers. */
  inRow: number;
  deepInRow: number;
  /** Of a line along the side: heights of a letter between them. */
  gap: number;
  /** Any of it is as much as `goesOn` wants. */
  suspect: boolean;
}

function beside(
  side: Side,
  print: Print,
  {
    grey,
    marks,
    touches,
    lying,
  }: { grey: Grey; marks: readonly Mark[]; touches: readonly Touch[]; lying: boolean },
): Beside {
  const { size, contrast } = print;
  const range = rangeOf(side, print);
  const near = marks.filter((mark) => {
    const depth = side.depth(mark);
    if (depth > nearby * size) return false;
    const high = heightOf(mark, lying);
    const at = placeOf(side, mark);
    const isSized = (depth === 0 || high >= 0.6 * size) && high <= 1.8 * size;
    return isSized && at >= range.first && at <= range.last;
  });
  const levels = near.map((mark) => levelsAround(grey, mark));
  const inside = near.filter((mark, at) => (levels[at]?.contrast ?? 0) >= contrast && side.depth(mark) > 0);
  const papers = levels.map(({ paper }) => paper);
  const paper = near.length >= 3 ? quantile(papers, 0.6) : print.paper;
  const strokes = touches.filter(
    (touch) =>
      touch.last - touch.first < 1.3 * size &&
      touch.last >= range.first &&
      touch.first <= range.last &&
      isPrint(side, touch, { grey, size, contrast, paper: leastPaper * paper }),
  );
  const continued = continuedOf(side, strokes, { inside, size });
  const inRow = sideBySide(strokes, size);
  const isDeep = ({ reach }: Touch) => reach >= Math.max(2, leastReach * size);
  const deepInRow = sideBySide(strokes.filter(isDeep), size);
  const gap = gapOf(side, inside, size) / size;
  const suspect = continued >= leastCut || inRow >= leastInRow || gap < leastGap;
  return { level: side.level !== lying, inside, continued, inRow, deepInRow, gap, suspect };
}

/** @param like - share of the marks near the side that look like letters. @param sure - it is known which way is up. */
function goesOn({ level, continued, inRow, deepInRow, gap }: Beside, like: number, sure: boolean): boolean {
  if (continued >= leastCut && like >= (sure ? leastLike : leastLikeUnsure)) return true;
  if (sure && gap < leastGap && like >= leastLike) return true;
  if (!level) return false;
  return deepInRow >= leastInRow || (sure && inRow >= leastInRow && gap <= next && like >= likeSurely);
}

/** Where print is along the side, but for a few outliers. */
function rangeOf(side: Side, { marks, size }: Print): Span {
  const middles = marks.map((mark) => placeOf(side, mark));
  return { first: quantile(middles, 0.03) - size, last: quantile(middles, 0.97) + size };
}

const middleOf = ({ first, last }: Span): number => (first + last) / 2;
/** Along the side. */
const placeOf = (side: Side, box: Box): number => (side.first(box) + side.last(box)) / 2;
const heightOf = ({ left, right, top, bottom }: Box, lying: boolean): number =>
  lying ? right - left + 1 : bottom - top + 1;

/** It is as dark as print, on paper. */
function isPrint(
  side: Side,
  { first, last }: Touch,
  { grey, size, contrast, paper }: { grey: Grey; size: number; contrast: number; paper: number },
): boolean {
  const { darkest } = levelsIn(grey, side.box({ first, last }, { first: 0, last: 1 }));
  const around = { first: first - 2, last: last + 2 };
  const { brightest } = levelsIn(grey, side.box(around, { first: 0, last: Math.round(size / 2) }));
  return brightest - darkest >= contrast && brightest >= paper;
}

/** Strokes of one letter count once. */
function continuedOf(
  side: Side,
  strokes: readonly Touch[],
  { inside, size }: { inside: readonly Mark[]; size: number },
): number {
  const places = inside.filter((mark) => side.depth(mark) <= next * size).map((mark) => placeOf(side, mark));
  let count = 0;
  let before = Number.NEGATIVE_INFINITY;
  for (const stroke of strokes) {
    const at = middleOf(stroke);
    if (at - before < 0.8 * size) continue;
    before = at;
    if (places.some((place) => Math.abs(place - at) <= sameLine * size)) count += 1;
  }
  return count;
}

/** The most of them with no larger gap than between words. */
function sideBySide(strokes: readonly Touch[], size: number): number {
  let most = 0;
  let count = 0;
  let before = Number.NEGATIVE_INFINITY;
  for (const { first, last } of strokes) {
    count = first - before <= 2 * size ? count + 1 : 1;
    before = last;
    most = Math.max(most, count);
  }
  return most;
}

/** From the side to the next line along it. */
function gapOf(side: Side, marks: readonly Mark[], size: number): number {
  const middles = marks.map((mark) => (side.depth(mark) + side.end(mark)) / 2);
  const lined = marks.filter((_, at) => {
    const isBeside = (middle: number) => Math.abs(middle - (middles[at] as number)) <= 0.5 * size;
    return middles.filter(isBeside).length >= leastOfLine;
  });
  return Math.min(...lined.map(side.depth));
}

/** Of a mark, with what is next to it. */
function levelsAround(grey: Grey, { left, right, top, bottom }: Box): { contrast: number; paper: number } {
  const around = { left: left - 2, right: right + 2, top: top - 2, bottom: bottom + 2 };
  const { darkest, brightest } = levelsIn(grey, around);
  return { contrast: brightest - darkest, paper: brightest };
}

function levelsIn({ width, height, data }: Grey, box: Box): { darkest: number; brightest: number } {
  let [darkest, brightest] = [255, 0];
  const [left, right] = [Math.max(0, box.left), Math.min(width - 1, box.right)];
  for (let y = Math.max(0, box.top); y <= Math.min(height - 1, box.bottom); y += 1)
    for (let at = y * width + left; at <= y * width + right; at += 1) {
      const level = data[at] as number;
      if (level < darkest) darkest = level;
      if (level > brightest) brightest = level;
    }
  return { darkest, brightest };
}

function quantile(values: readonly number[], share: number): number {
  // Without a function that compares, sorting numbers takes a fifth of the time.
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
