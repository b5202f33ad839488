import type { Grey, Quarter } from "./grey.ts";
import type { Mark } from "./ink.ts";

/*
 * The lines of text on an upright page, by its letters alone: they show where paper may be cut, and which lines end in
 * the column of amounts.
 */

export interface TextLine {
  /** Shares of the height of the page as it is sent: upright and straightened. */
  top: number;
  bottom: number;
  /** True if the line ends at the right edge of the amounts, after a gap or as its only word. */
  amount: boolean;
}

/** A letter or a piece of a word on the upright page, in pixels of the look. */
interface Piece {
  left: number;
  right: number;
  y: number;
  high: number;
}

interface Line {
  pieces: Piece[];
  /** Height of its end, so that a line is followed on warped paper. */
  y: number;
}

/** Factors of the usual height of a letter. */
const sameLine = 0.75;
const ofOneWord = 1.1;
const behindName = 1.6;
const sameEdge = 1.6;
/** A line of fewer pieces is a stain. */
const leastPieces = 2;

interface Turned {
  turn: Quarter;
  /** Clockwise degrees by which the lines are tilted; the tilt is removed. */
  tilt: number;
}

/** @param of - indexes of the marks that are text. @returns the lines from top to bottom. */
export function textLinesOf(
  marks: readonly Mark[],
  of: ReadonlySet<number>,
  { width, height, turn, tilt }: Pick<Grey, "width" | "height"> & Turned,
): TextLine[] {
  const place = placing({ width, height, turn, tilt });
  const pieces = [...of].flatMap((at) => (marks[at] === undefined ? [] : [place.piece(marks[at])]));
  const usual = middle(pieces.map(({ high }) => high));
  const lines = joined(clustered(pieces, usual), usual).filter((line) => line.pieces.length >= leastPieces);
  const edge = edgeOf(lines, usual);
  return lines.map((line) => {
    const [y, half] = [
      middle(line.pieces.map((piece) => piece.y)),
      middle(line.pieces.map(({ high }) => high)) / 2,
    ];
    const share = (at: number) => Math.max(0, Math.min(1, at / place.height));
    return { top: share(y - half), bottom: share(y + half), amount: isAmount(line, { edge, usual }) };
  });
}

/** Puts marks where they are on the upright page, whose height is that of the rectangle around it. */
function placing({ width, height, turn, tilt }: Pick<Grey, "width" | "height"> & Turned) {
  const lying = turn % 180 === 90;
  const [wide, high] = lying ? [height, width] : [width, height];
  const radians = (-tilt * Math.PI) / 180;
  const [sin, cos] = [Math.sin(radians), Math.cos(radians)];
  const outer = high * Math.abs(cos) + wide * Math.abs(sin);
  const piece = ({ left, right, top, bottom }: Mark): Piece => {
    const [cx, cy] = [(left + right) / 2, (top + bottom) / 2];
    const [x, y] =
      turn === 90
        ? [height - 1 - cy, cx]
        : turn === 180
          ? [width - 1 - cx, height - 1 - cy]
          : turn === 270
            ? [cy, width - 1 - cx]
            : [cx, cy];
    const [dx, dy] = [x - wide / 2, y - high / 2];
    const [across, down] = lying
      ? [bottom - top + 1, right - left + 1]
      : [right - left + 1, bottom - top + 1];
    const turnedX = wide / 2 + dx * cos - dy * sin;
    const turnedY = outer / 2 + dx * sin + dy * cos;
    return { left: turnedX - across / 2, right: turnedX + across / 2, y: turnedY, high: down };
  };
  return { piece, height: outer };
}

/** From left to right, each piece belongs to the line whose end is at its height. */
function clustered(pieces: readonly Piece[], usual: number): Line[] {
  const lines: Line[] = [];
  for (const piece of pieces.toSorted((a, b) => a.left - b.left)) {
    let best: Line | undefined;
    for (const line of lines)
      if (Math.abs(line.y - piece.y) < Math.abs((best?.y ?? Number.POSITIVE_INFINITY) - piece.y)) best = line;
    if (best !== undefined && Math.abs(best.y - piece.y) <= sameLine * usual) {
      best.pieces.push(piece);
      best.y += 0.35 * (piece.y - best.y);
    } else lines.push({ pieces: [piece], y: piece.y });
  }
  return lines;
}

/** Parts of one line, such as an amount that begins a little lower than its name ends. */
function joined(lines: readonly Line[], usual: number): Line[] {
  const middleOf = (line: Line) => middle(line.pieces.map(({ y }) => y));
  const sorted = lines.map((line) => ({ line, y: middleOf(line) })).sort((a, b) => a.y - b.y);
  const found: { line: Line; y: number }[] = [];
  for (const each of sorted) {
    const last = found.at(-1);
    if (last !== undefined && each.y - last.y <= sameLine * usual) {
      last.line = { pieces: [...last.line.pieces, ...each.line.pieces], y: last.line.y };
      last.y = middleOf(last.line);
    } else found.push({ ...each });
  }
  return found.map(({ line }) => ({ ...line, pieces: line.pieces.toSorted((a, b) => a.left - b.left) }));
}

const rightOf = ({ pieces }: Line) => Math.max(...pieces.map(({ right }) => right));
const leftOf = ({ pieces }: Line) => Math.min(...pieces.map(({ left }) => left));

/** The position at which most lines end that cross the paper or are at its right. */
function edgeOf(lines: readonly Line[], usual: number): number | undefined {
  const lefts = lines.map(leftOf).toSorted((a, b) => a - b);
  const rights = lines.map(rightOf).toSorted((a, b) => a - b);
  const [low, high] = [
    lefts[Math.floor(lefts.length * 0.1)] ?? 0,
    rights[Math.floor(rights.length * 0.9)] ?? 0,
  ];
  const candidates = rights.filter((right) => right > low + 0.6 * (high - low));
  const near = (at: number) => candidates.filter((each) => Math.abs(each - at) <= usual).length;
  const best = candidates.toSorted((a, b) => near(b) - near(a) || b - a)[0];
  return best !== undefined && near(best) >= 2 ? best : undefined;
}

function isAmount(line: Line, { edge, usual }: { edge: number | undefined; usual: number }): boolean {
  if (edge === undefined || Math.abs(rightOf(line) - edge) > sameEdge * usual) return false;
  let left = Number.POSITIVE_INFINITY;
  let letters = 0;
  for (const piece of line.pieces.toReversed()) {
    const gap = left - piece.right;
    if (left !== Number.POSITIVE_INFINITY && gap > ofOneWord * usual)
      return letters >= 2 && gap >= behindName * usual;
    left = Math.min(left, piece.left);
    // Letters that touch are one piece.
    letters += Math.max(1, Math.round((piece.right - piece.left) / (1.1 * usual)));
  }
  return letters >= 3 && left > edge - 9 * usual;
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
