import sharp from "sharp";

/*
 * A number beside each line of print, which a scripted model server reads from the picture that it is sent: seven yellow
 * cells (six digits of four values, and their check) between two marks that tell where they are. They are yellow, so
 * that whoever looks for letters passes them over, and as high as the line's capitals: a line whose capitals would be lower
 * than `legible` pixels is not read.
 */

/** In the units of whoever draws: pixels or points. */
const [mark, space, cell, cells] = [30, 18, 30, 7];
export const shape = { wide: 2 * (mark + space) + cells * cell, high: 13 };
/** From the middle of one mark to that of the other. */
const span = shape.wide - mark;
const capital = 12;
/** The least height of readable capitals, in pixels of the sent picture. */
const legible = 7;

/** By how much less blue than red a cell has, for each value, and a mark. */
const levels = { least: 28, step: 30, values: 4, mark: 210 };
const worths = [1024, 256, 64, 16, 4, 1];

interface Rect {
  x: number;
  wide: number;
  /** Red, green and blue. */
  color: [number, number, number];
}

/** What is drawn for a number, 0 to 4095, from left to right. */
export function rects(number: number): Rect[] {
  const digits = worths.map((worth) => Math.floor(number / worth) % levels.values);
  const color = (value: number): Rect["color"] => [255, 255, 255 - levels.least - levels.step * value];
  const most: Rect["color"] = [255, 255, 255 - levels.mark];
  return [
    { x: 0, wide: mark, color: most },
    ...[...digits, checkOf(digits)].map((digit, at) => ({
      x: mark + space + at * cell,
      wide: cell,
      color: color(digit),
    })),
    { x: span, wide: mark, color: most },
  ];
}

const checkOf = (digits: readonly number[]) =>
  digits.reduce((sum, digit, at) => sum + digit * (at % 2 === 0 ? 1 : 3), 1) % levels.values;

interface Seen {
  /** The numbers of the lines that can be read, from top to bottom. */
  numbers: number[];
  /** Lines that are there, but cut or too small. */
  illegible: number;
}

/** What an upright picture shows. */
export async function read(bytes: Uint8Array): Promise<Seen> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  if (info.channels < 3) return { numbers: [], illegible: 0 };
  const yellow = yellowOf(data, info);
  const marks = marksOf(yellow, info);
  const usual = middle(marks.map(({ high }) => high));
  const pairs = pairsOf(marks.filter(({ high }) => high > 0.7 * usual));
  // Upside down they stand at the right.
  const isUpright = middle(pairs.map(({ left, right }) => (left.x + right.x) / 2)) < info.width / 2;
  const seen: Seen = { numbers: [], illegible: 0 };
  for (const pair of pairs) {
    const scale = (pair.right.x - pair.left.x) / span;
    const digits = digitsOf(yellow, { ...pair, scale, width: info.width });
    const isRight = checkOf(digits.slice(0, -1)) === digits.at(-1);
    const number = digits.slice(0, -1).reduce((sum, digit) => sum * levels.values + digit, 0);
    if (isUpright && isRight && capital * scale >= legible) seen.numbers.push(number);
    else seen.illegible += 1;
  }
  return seen;
}

interface Mark {
  x: number;
  y: number;
  wide: number;
  high: number;
}

interface Pair {
  left: Mark;
  right: Mark;
}

/** More than any cell has. */
const leastYellow = 135;

interface Info {
  width: number;
  height: number;
  channels: number;
}

function yellowOf(data: Uint8Array, { width, height, channels }: Info): Uint8Array {
  const yellow = new Uint8Array(width * height);
  for (let at = 0; at < yellow.length; at += 1)
    yellow[at] = Math.max(0, (data[at * channels] ?? 0) - (data[at * channels + 2] ?? 0));
  return yellow;
}

/** Connected yellow areas of the shape of a mark. */
function marksOf(yellow: Uint8Array, { width }: Info): Mark[] {
  const isSeen = new Uint8Array(yellow.length);
  const marks: Mark[] = [];
  for (let start = 0; start < yellow.length; start += 1) {
    if (isSeen[start] || (yellow[start] ?? 0) < leastYellow) continue;
    const box = areaOf(start, { yellow, isSeen, width });
    const [wide, high] = [box.right - box.left + 1, box.bottom - box.top + 1];
    if (wide < 1.2 * high || wide > 4 * high || high < 3) continue;
    marks.push({ x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2, wide, high });
  }
  return marks;
}

function areaOf(start: number, of: { yellow: Uint8Array; isSeen: Uint8Array; width: number }) {
  const { yellow, isSeen, width } = of;
  const box = { left: width, right: 0, top: Number.POSITIVE_INFINITY, bottom: 0 };
  const stack = [start];
  isSeen[start] = 1;
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const [x, y] = [at % width, Math.floor(at / width)];
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
    for (const next of [x > 0 ? at - 1 : at, x + 1 < width ? at + 1 : at, at - width, at + width]) {
      if ((yellow[next] ?? 0) < leastYellow || isSeen[next]) continue;
      isSeen[next] = 1;
      stack.push(next);
    }
  }
  return box;
}

/** Marks that belong to one line, from top to bottom. */
function pairsOf(marks: readonly Mark[]): Pair[] {
  const pairs: Pair[] = [];
  for (const left of marks) {
    const right = marks.find(({ x, y }) => {
      const apart = (x - left.x) / (left.wide * (span / mark));
      return Math.abs(y - left.y) < 0.8 * left.high && apart > 0.7 && apart < 1.3;
    });
    if (right !== undefined) pairs.push({ left, right });
  }
  return pairs.toSorted((a, b) => a.left.y - b.left.y);
}

/** The values of the cells between two marks. */
function digitsOf(yellow: Uint8Array, of: Pair & { scale: number; width: number }): number[] {
  const { left, right, scale, width } = of;
  return Array.from({ length: cells }, (_, at) => {
    const along = mark / 2 + space + (at + 0.5) * cell;
    const [x, y] = [left.x + along * scale, left.y + ((right.y - left.y) * along) / span];
    let [sum, count] = [0, 0];
    for (let row = Math.round(y - 2 * scale); row <= y + 2 * scale; row += 1)
      for (let column = Math.round(x - 7 * scale); column <= x + 7 * scale; column += 1) {
        sum += yellow[row * width + column] ?? 0;
        count += 1;
      }
    const value = Math.round((sum / Math.max(1, count) - levels.least) / levels.step);
    return Math.max(0, Math.min(levels.values - 1, value));
  });
}

const middle = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
